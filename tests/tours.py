"""A cloud on the simulated fabric, and the whole tour taken of it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import runpy
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from reddog import images, pki
from reddog.cloud import Cloud
from reddog.settings import Settings
from service_packages import ENTRY, cscfg, csdef, make_package, role_xml

SCRIPT = Path(__file__).parent / "e2e" / "whole_tour.py"
PFX_PASSWORD = "pfx-Passw0rd"


@dataclass(frozen=True)
class Taken:
    """A tour that was taken: its exchanges, and the methods that are not supported yet."""

    exchanges: list[dict[str, Any]]
    unsupported: list[str]

    @property
    def methods(self) -> set[str]:
        """The methods of the client whose requests were accepted."""
        return {one["called"] for one in self.exchanges if one["status"] < 300}


@contextmanager
def simulated_cloud(data_dir: Path, **settings: Any) -> Iterator[dict[str, Any]]:
    """Run a cloud in this process, with these settings; gives what it says of itself."""
    data_dir.mkdir(mode=0o700, exist_ok=True)
    images.build_blank(data_dir / "images")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    cloud = Cloud(Settings(data_dir, fabric="simulated", **settings))

    def run(work: Any) -> Any:
        done: Future[Any] = asyncio.run_coroutine_threadsafe(work, loop)
        return done.result(60)

    try:
        summary = run(cloud.start())
        try:
            yield summary
        finally:
            run(cloud.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def supported_operations() -> set[str]:
    """The names of the operations that have a handler."""
    path = str(SCRIPT.parents[2] / "scripts" / "write-docs")
    found: set[str] = runpy.run_path(path)["supported_operations"]()
    return found


def take(python: str, summary: dict[str, Any], directory: Path) -> Taken:
    """Have an interpreter with `azure.servicemanagement` take the whole tour of a cloud."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [python, "-W", "ignore", str(SCRIPT)],
        input=json.dumps({**summary, **certificates(directory), **package(directory)}),
        capture_output=True,
        text=True,
        env={**environment, "NO_PROXY": "*"},
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return Taken(**json.loads(done.stdout))


def package(directory: Path) -> dict[str, str]:
    """A service package whose role has no endpoints, and its configuration."""
    setting = '<ConfigurationSettings><Setting name="Color" /></ConfigurationSettings>'
    definition = csdef(role_xml("WorkerRole1", ENTRY + setting, "Small"))
    return {
        "package": base64.b64encode(make_package(directory, definition).read_bytes()).decode(),
        "configuration": cscfg({"WorkerRole1": 2}, {"Color": "red"}),
        "role": "WorkerRole1",
    }


def certificates(directory: Path) -> dict[str, Any]:
    """A certificate to register, and one with its key for virtual machines."""
    return {"spare": _spare(directory), "pfx": _pfx(directory)}


def _spare(directory: Path) -> dict[str, str]:
    pem, cer = directory / "spare.pem", directory / "spare.cer"
    made = pki.create_management_certificate(pem, cer, common_name="spare")
    from cryptography import x509

    key = x509.load_der_x509_certificate(made.der).public_key()
    public = key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    return {
        "public_key": base64.b64encode(public).decode(),
        "thumbprint": made.thumbprint,
        "data": base64.b64encode(made.der).decode(),
    }


def _pfx(directory: Path) -> dict[str, str]:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key
    from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

    pem = directory / "service.pem"
    made = pki.create_management_certificate(pem, directory / "service.cer", common_name="service")
    key = load_pem_private_key(pem.read_bytes(), None)
    certificate = x509.load_der_x509_certificate(made.der)
    secret = BestAvailableEncryption(PFX_PASSWORD.encode())
    pfx = serialize_key_and_certificates(b"service", key, certificate, None, secret)  # type: ignore[arg-type]
    return {
        "data": base64.b64encode(pfx).decode(),
        "password": PFX_PASSWORD,
        "thumbprint": made.thumbprint,
    }
