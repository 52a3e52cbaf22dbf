"""One storage account, served by one of our services on a given port, until the standard input ends.

    python serve.py DIRECTORY SERVICE PORT [--tls CERTIFICATE KEY]

The account is the one that Azure's storage emulators have, with its well-known key; or those of AZURITE_ACCOUNTS:
ACCOUNT:KEY[:KEY] and so on, between semicolons.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import sys
from pathlib import Path

from aiohttp import web

from reddog.storage import RUNNER_OPTIONS, Storage

WELL_KNOWN = "devstoreaccount1:Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def _padded(key: str) -> str:
    """A key as strict decoders take it; Azurite's tests have one that only lenient ones do."""
    return key.replace("_", "/") + "=" * (-len(key) % 4)


async def serve(storage: Storage, service: str, port: int, context: ssl.SSLContext | None) -> None:
    """Serve until the standard input ends; says when it is ready."""
    application = storage.applications()[service]
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1, **RUNNER_OPTIONS)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


def main() -> None:
    """Serve as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("service", choices=("blob", "queue", "table"))
    parser.add_argument("port", type=int)
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    options = parser.parse_args()
    context = None
    if options.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*options.tls)
    storage = Storage(options.directory, domains=("core.localhost",))
    for account in os.environ.get("AZURITE_ACCOUNTS", WELL_KNOWN).split(";"):
        name, *keys = account.split(":")
        primary, secondary = (_padded(key) for key in (keys * 2)[:2])
        storage.ensure_account(name, primary, secondary)
    asyncio.run(serve(storage, options.service, options.port, context))
    storage.close()


if __name__ == "__main__":
    main()
