"""Prints what `azure.servicemanagement` of the running interpreter looks like, as JSON.

Regenerate the checked-in snapshot from the published package (in a virtual environment that has it):

    VENV/bin/python tests/sdk/introspect.py > tests/sdk/legacy-0.20.8.json

Uses the standard library alone, so that it runs in either environment.
"""

import inspect
import json
import sys
import types

CLIENTS = (
    "ServiceManagementService",
    "ServiceBusManagementService",
    "WebsiteManagementService",
    "SqlDatabaseManagementService",
    "SchedulerManagementService",
)


def default_of(value):
    if callable(value):
        return {"callable": getattr(value, "__name__", type(value).__name__)}
    return value


def signature(function):
    """Parameters as [name, has a default, default]; self left out."""
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    return [
        [p.name, p.default is not p.empty, None if p.default is p.empty else default_of(p.default)]
        for p in parameters
    ]


def fresh(value):
    """A fresh attribute's value: its kind for a container or model, itself for a scalar."""
    if isinstance(value, dict):
        return {"dict": len(value)}
    if isinstance(value, (list, tuple)):
        return {"list": len(value)}
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str(value)
    if (
        type(value).__name__ == "_xml_attribute"
    ):  # the published package leaves this placeholder where XML has none
        return None
    return {"model": type(value).__name__}


def model(cls):
    try:
        instance = cls()
    except TypeError:
        return {"signature": signature(cls.__init__)}
    names = [name for name in ("__iter__", "__len__", "__getitem__") if hasattr(cls, name)]
    return {
        "signature": signature(cls.__init__),
        "attributes": {name: fresh(value) for name, value in vars(instance).items()},
        "protocols": names,
    }


def client(cls):
    methods = {}
    for name in dir(cls):
        if name.startswith("_"):
            continue
        value = inspect.getattr_static(cls, name)
        if isinstance(value, property):
            methods[name] = "property"
        else:
            methods[name] = (
                [p for p in signature(getattr(cls, name)) if p[0] != "elapsed"]
                if callable(getattr(cls, name))
                else "value"
            )
    return {"signature": signature(cls.__init__), "methods": methods}


def describe(package):
    exported, models, functions, constants = [], {}, {}, {}
    for name, value in sorted(vars(package).items()):
        if name.startswith("_"):
            continue
        exported.append(name)
        if name in CLIENTS or isinstance(value, types.ModuleType):
            continue
        if inspect.isclass(value):
            models[name] = model(value)
        elif callable(value):
            functions[name] = signature(value)
        else:
            constants[name] = value
    return {
        "exported": exported,
        "version": package.__version__,
        "constants": constants,
        "functions": functions,
        "models": models,
        "clients": {name: client(getattr(package, name)) for name in CLIENTS if hasattr(package, name)},
    }


if __name__ == "__main__":
    import azure.servicemanagement

    json.dump(describe(azure.servicemanagement), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")
