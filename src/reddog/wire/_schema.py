"""How wire types are declared: dataclasses whose fields say which XML element they are.

Fields stand in the service's element order, unless a class is built with positional arguments: such a class
says the order of its elements in ``_order``. Attributes are named, and default, as the legacy package has
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, ClassVar, Generic, Literal, TypeVar, cast, dataclass_transform

NAMESPACE = "http://schemas.microsoft.com/windowsazure"
INSTANCE_NAMESPACE = "http://www.w3.org/2001/XMLSchema-instance"
SERIALIZATION_NAMESPACE = "http://schemas.microsoft.com/2003/10/Serialization/"
PARAMETERS_NAMESPACE = "http://schemas.datacontract.org/2004/07/Microsoft.WindowsAzure.ServiceManagement"

Kind = Literal[
    "text",
    "number",
    "integer",
    "boolean",
    "encoded",
    "data",
    "element",
    "elements",
    "names",
    "strings",
    "pairs",
]
T = TypeVar("T")
C = TypeVar("C")


class _Nil:
    def __repr__(self) -> str:
        return "NIL"


NIL: Any = _Nil()
"""The value of an attribute that is to be written as ``i:nil="true"``."""


@dataclass(frozen=True, slots=True)
class Member:
    """One element of a type: its tag, what its text means, and what it contains."""

    tag: str
    kind: Kind
    type: str = ""  # the class name of what it contains
    item: str = ""  # the tag of the repeated element inside it
    namespace: str = NAMESPACE  # of what it contains
    required: bool = False  # in requests


@dataclass_transform()
def model(cls: type[C]) -> type[C]:
    """Declare a wire type: a dataclass that takes comparing and showing from `WireType`.

    There are some hundreds of them, and making these methods anew for each took half of the time that an
    import of the package takes.
    """
    return dataclass(repr=False, eq=False)(cls)


@dataclass(repr=False, eq=False)
class WireType:
    """Base of all wire types."""

    _xml_name: ClassVar[str] = ""  # the element's name, where it is not the class's
    _order: ClassVar[
        tuple[str, ...]
    ] = ()  # attribute names in element order, where the fields are in another
    _unordered: ClassVar[bool] = False  # the service takes the elements in any order
    _instance_type: ClassVar[str] = ""  # i:type in answers

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if type(self) is type(other) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # objects change

    def __repr__(self) -> str:
        shown = (f"{item.name}={getattr(self, item.name)!r}" for item in fields(self) if item.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    @classmethod
    def xml_name(cls) -> str:
        """The name of the element that this type is."""
        return cls._xml_name or cls.__name__


@model
class Scalar(WireType):
    """A document that is one value: its only attribute is the root's text."""


@model
class Collection(WireType, Generic[T]):
    """A type that holds a list and behaves like one."""

    def _items(self) -> list[T]:
        items: list[T] | None = getattr(self, fields(self)[0].name)
        return items or []

    def __iter__(self) -> Iterator[T]:
        return iter(self._items())

    def __len__(self) -> int:
        return len(self._items())

    def __getitem__(self, index: int) -> T:
        return self._items()[index]


def members(cls: type[WireType]) -> list[tuple[str, Member]]:
    """The attributes of a type with their elements, in element order."""
    declared = {item.name: item.metadata["member"] for item in fields(cls) if "member" in item.metadata}
    return [(name, declared[name]) for name in cls._order or declared]


def only(cls: type[T], /, **values: Any) -> T:
    """An object with these attributes; all others are ``None``, which is not written."""
    made = object.__new__(cls)
    made.__dict__ = {**absent(cast(Any, cls)), **values}
    return made


@cache
def absent(cls: type[Any]) -> dict[str, None]:
    """Every attribute of a type, as ``None``."""
    return dict.fromkeys(item.name for item in fields(cls))


def _member(tag: str, kind: Kind, default: Any, required: bool) -> Any:
    return field(default=default, metadata={"member": Member(tag, kind, required=required)})


def text(tag: str, default: str | None = None, *, required: bool = False, secret: bool = False) -> Any:
    """Text. A secret stays out of the repr."""
    member = Member(tag, "text", required=required)
    return field(default=default, repr=not secret, metadata={"member": member})


def number(tag: str, default: str | None = None, *, required: bool = False) -> Any:
    """A whole number that the legacy package keeps as text."""
    return _member(tag, "number", default, required)


def integer(tag: str, default: int | None = None, *, required: bool = False) -> Any:
    """A whole number."""
    return _member(tag, "integer", default, required)


def boolean(tag: str, default: bool | None = None, *, required: bool = False) -> Any:
    """``true`` or ``false``."""
    return _member(tag, "boolean", default, required)


def encoded(tag: str, default: str | None = None, *, required: bool = False) -> Any:
    """Text that is base64 on the wire and plain in the attribute."""
    return _member(tag, "encoded", default, required)


def data(tag: str, default: str | None = None, *, required: bool = False, secret: bool = False) -> Any:
    """Base64 that stays base64 in the attribute."""
    return field(
        default=default, repr=not secret, metadata={"member": Member(tag, "data", required=required)}
    )


def element(tag: str, type_name: str, *, absent: bool = False, required: bool = False) -> Any:
    """Another type. Its default is a new object of that type, or ``None`` if it may be ``absent``."""
    member = Member(tag, "element", type=type_name, required=required)
    if absent:
        return field(default=None, metadata={"member": member})
    return field(default_factory=_Later(type_name), metadata={"member": member})


def elements(tag: str, type_name: str = "") -> Any:
    """Repeated elements of another type."""
    member = Member(tag, "elements", type=type_name or tag)
    return field(default_factory=list, metadata={"member": member})


def names(tag: str) -> Any:
    """Repeated elements that hold text."""
    return field(default_factory=list, metadata={"member": Member(tag, "names")})


def strings(tag: str, item: str, *, absent: bool = False, required: bool = False) -> Any:
    """An element around repeated elements that hold text."""
    member = Member(tag, "strings", item=item, required=required)
    if absent:
        return field(default=None, metadata={"member": member})
    return field(default_factory=list, metadata={"member": member})


def pairs(tag: str, item: str, *, absent: bool = False, namespace: str = NAMESPACE) -> Any:
    """An element around repeated pairs of ``Name`` and ``Value``: a dictionary."""
    member = Member(tag, "pairs", item=item, namespace=namespace)
    if absent:
        return field(default=None, metadata={"member": member})
    return field(default_factory=dict, metadata={"member": member})


@dataclass(frozen=True, slots=True)
class _Later:
    """Makes an object of a type that may not be declared yet."""

    name: str

    def __call__(self) -> Any:
        return wire_type(self.name)()


@cache
def wire_type(name: str) -> Any:
    """The wire type of that name."""
    from reddog import wire

    return getattr(wire, name)
