"""A running cloud: everything put together, started and stopped in order."""

from __future__ import annotations

import asyncio
import errno
import logging
import shutil
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

from aiohttp import web

from reddog import images, pki
from reddog.cloud import _ports
from reddog.cloud._endpoints import StorageEndpoints
from reddog.cloud._errors import CloudError
from reddog.cloud._machines import boot_id, make_driver
from reddog.cloud._ports import Ports, PortTaken
from reddog.engine import EngineSettings
from reddog.frontend import Access, Dispatcher, FrontEnd, Subject
from reddog.services import PlatformImage, Quotas, Services, ServicesSettings, blocks_of
from reddog.settings import Settings
from reddog.storage import RUNNER_OPTIONS, AccountDamaged, Storage
from reddog.store import Store, StoreError

LEAST_SPACE = 64 << 20  # bytes without which nothing can be kept safely
AZURE_DOMAIN = "core.windows.net"  # media links of old programs mean the local account of that name
PORT_ATTEMPTS = 5
GRACE = 10.0  # seconds for requests under way to end
SUBSCRIPTION_NAME = "reddog"
log = logging.getLogger("reddog.cloud")


class Cloud:
    """One cloud on one data directory.

    Args:
        settings: What it is told.
        checkpoint: Called at every step boundary of its operations; tests kill the process there.
    """

    def __init__(self, settings: Settings, *, checkpoint: Callable[[str], None] = lambda name: None) -> None:
        self._settings = settings
        self._checkpoint = checkpoint
        self._parts = AsyncExitStack()

    async def start(self) -> dict[str, Any]:
        """Start, and tell how to use the cloud: what ``reddog up --output json`` prints.

        :raises CloudError: it cannot; nothing is left running.
        """
        try:
            return await self._start_somewhere()
        except CloudError:
            await self.stop()
            raise
        except PortTaken as error:
            await self.stop()
            raise CloudError(str(error), error.remedy) from None
        except (StoreError, AccountDamaged, pki.CertificateError) as error:
            await self.stop()
            raise CloudError(error.message, error.remedy) from None
        except OSError as error:
            await self.stop()
            remedy = "Make room, or correct what the message names, then try again."
            raise CloudError(f"The cloud cannot start: {error}.", remedy) from None

    async def stop(self) -> None:
        """Stop answering, finish the requests under way, and let go of the machines without stopping them."""
        await self._parts.aclose()

    async def _start_somewhere(self) -> dict[str, Any]:
        """Start, on other ports if one that was free a moment ago has been taken meanwhile."""
        for _ in range(PORT_ATTEMPTS - 1):
            try:
                return await self._start()
            except PortTaken:
                raise
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                await self.stop()
        return await self._start()

    async def _start(self) -> dict[str, Any]:
        settings = self._settings
        require_space(settings.data_dir)
        store = await asyncio.to_thread(Store, settings.data_dir)
        self._parts.callback(store.close)
        ports = _ports.choose(settings)
        endpoints = StorageEndpoints.of(settings.host, ports, settings.storage_domain)
        storage = Storage(settings.storage_dir, domains=(settings.storage_domain, AZURE_DOMAIN))
        self._parts.callback(storage.close)
        driver = await asyncio.to_thread(make_driver, settings)
        self._parts.callback(driver.close)
        authority = pki.Authority(settings.pki_dir, hosts=_names(settings))
        base_url = f"https://{_url_host(settings.host)}:{ports.management}"
        services = Services(
            store, storage, driver, self._services_settings(endpoints, base_url), checkpoint=self._checkpoint
        )
        await asyncio.to_thread(services.start)
        self._parts.push_async_callback(asyncio.to_thread, services.stop)
        subscription = services.bootstrap(SUBSCRIPTION_NAME, self._administrator())
        access = Access(authority.server_certificate)
        services.watch_certificates(lambda: access.update(*_subjects(services)))
        dispatcher = Dispatcher(access, services.handlers, services.engine)
        front_end = FrontEnd(
            settings.host, ports.management, access=access, dispatcher=dispatcher, grace=GRACE
        )
        await front_end.start()
        self._parts.push_async_callback(front_end.stop)
        await self._serve_storage(storage, ports)
        _ports.keep(settings.data_dir, ports)
        log.info("The cloud answers on %s; machines run under %s.", base_url, driver.accelerator)
        return self._summary(subscription, authority, base_url, ports, driver.accelerator)

    def _services_settings(self, endpoints: StorageEndpoints, base_url: str) -> ServicesSettings:
        settings = self._settings
        return ServicesSettings(
            base_url=base_url,
            endpoints=endpoints,
            platform_images=[
                _platform(image)
                for image in images.catalogue(settings.images_dir)
                if image.bootable or settings.fabric == "simulated"
            ],
            networks=blocks_of(settings.data_dir),
            boot_id=boot_id(settings),
            scratch=settings.storage_dir / ".copies",
            role_files=settings.roles_dir,
            quotas=Quotas(**{limit.name: getattr(settings, f"max_{limit.name}") for limit in fields(Quotas)}),
            engine=EngineSettings(retention=3600.0 * settings.operation_retention),
        )

    def _administrator(self) -> pki.Certificate:
        """The management certificate that ``reddog up`` makes, and renews."""
        pem, cer = self._administrator_files()
        return pki.keep_management_certificate(pem, cer, common_name="reddog administrator")

    def _administrator_files(self) -> tuple[Path, Path]:
        directory = self._settings.pki_dir
        return directory / "admin.pem", directory / "admin.cer"

    async def _serve_storage(self, storage: Storage, ports: Ports) -> None:
        where = {"blob": ports.blob, "table": ports.table, "queue": ports.queue}
        for kind, application in storage.applications().items():
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=GRACE, **RUNNER_OPTIONS)
            await runner.setup()
            self._parts.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, self._settings.host, where[kind]).start()

    def _summary(
        self, subscription: str, authority: pki.Authority, base_url: str, ports: Ports, accelerator: str
    ) -> dict[str, Any]:
        settings = self._settings
        pem, cer = self._administrator_files()
        published = settings.pki_dir / "reddog.publishsettings"
        pki.write_publish_settings(published, pem, subscription, SUBSCRIPTION_NAME, base_url)
        return {
            "management_host": base_url.removeprefix("https://"),
            "subscription_id": subscription,
            "certificate": str(pem),
            "certificate_cer": str(cer),
            "ca_certificate": str(authority.ca_certificate),
            "publish_settings": str(published),
            "storage_domain": settings.storage_domain,
            "blob_endpoint": f"http://{_url_host(settings.host)}:{ports.blob}",
            "table_endpoint": f"http://{_url_host(settings.host)}:{ports.table}",
            "queue_endpoint": f"http://{_url_host(settings.host)}:{ports.queue}",
            "fabric": settings.fabric,
            "accelerator": accelerator,
            "data_dir": str(settings.data_dir),
        }


def _subjects(services: Services) -> tuple[list[str], list[Subject]]:
    """What the front end is to know of subscriptions and their certificates."""
    subscriptions, certificates = services.managers()
    subjects = []
    for subscription, der in certificates:
        found = pki.load_certificate(der)
        subjects.append(Subject(subscription, found.thumbprint, der, found.not_before, found.not_after))
    return subscriptions, subjects


def require_space(data_dir: Path) -> None:
    """Refuse to start on a full disk.

    :raises CloudError: less than 64 MiB are free.
    """
    free = shutil.disk_usage(data_dir).free
    if free < LEAST_SPACE:
        message = (
            f"The disk of {data_dir} is full: {free >> 20} MiB are free, {LEAST_SPACE >> 20} are needed."
        )
        raise CloudError(message, "Free some space there, or choose another --data-dir.")


def _platform(image: images.ImageInfo) -> PlatformImage:
    return PlatformImage(
        name=image.name,
        label=image.label,
        os=image.os,
        family=image.family,
        publisher=image.publisher,
        description=image.description,
        published=image.published,
        size=image.size,
        path=image.path,
        runs_roles=image.runs_roles,
    )


def _names(settings: Settings) -> list[str]:
    """What the server's certificate is to be valid for."""
    return list(dict.fromkeys(["localhost", "127.0.0.1", "::1", settings.host]))


def _url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
