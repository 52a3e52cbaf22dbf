"""All services of a cloud, put together."""

from __future__ import annotations

import base64
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reddog import pki
from reddog.engine import Engine, EngineSettings, OperationRequest, Reader, Tx
from reddog.fabric import ComputeDriver
from reddog.services import management_certificates, vm_images
from reddog.services._call import Handler
from reddog.services._deployment_view import DeploymentView
from reddog.services._instance_reconciler import InstanceReconciler, PackageReconciler
from reddog.services._media import MediaLinks
from reddog.services._package_files import PackageFiles
from reddog.services._package_plan import PackagePlanner
from reddog.services._package_view import PackageView
from reddog.services._role_plan import RolePlanner
from reddog.services._role_reconciler import RoleReconciler
from reddog.services.affinity_groups import AffinityGroups
from reddog.services.data_disks import DataDisks
from reddog.services.deployments import Deployments
from reddog.services.disks import DiskReconciler, DisksService
from reddog.services.dns_servers import DnsServersService
from reddog.services.hosted_services import HostedServices
from reddog.services.image_publishing import ImagePublishing
from reddog.services.load_balanced_sets import LoadBalancedSets
from reddog.services.locations import Locations
from reddog.services.management_certificates import ManagementCertificates
from reddog.services.operating_systems import OperatingSystems
from reddog.services.operations import Operations
from reddog.services.os_images import OSImageReconciler, OSImagesService, PlatformImage
from reddog.services.package_deployments import PackageDeployments
from reddog.services.quotas import Quotas
from reddog.services.reserved_ips import ReservedIPs
from reddog.services.resource_extensions import ResourceExtensionsService
from reddog.services.role_instances import RoleInstances
from reddog.services.role_sizes import RoleSizes
from reddog.services.roles import Roles
from reddog.services.service_certificates import ServiceCertificates
from reddog.services.static_addresses import StaticAddresses
from reddog.services.storage_accounts import StorageAccountReconciler, StorageAccounts
from reddog.services.subscriptions import Subscriptions
from reddog.services.virtual_networks import VirtualNetworks
from reddog.services.vm_images import VMImageReconciler, VMImagesService
from reddog.storage import Storage
from reddog.store import Store


@dataclass(frozen=True)
class ServicesSettings:
    """What the services are told.

    Args:
        base_url: The management endpoint's URL, without a slash at its end.
        endpoints: Gives a storage account's endpoint URLs: blob, queue, table.
        platform_images: The images offered to every subscription.
        networks: Networks (``127.x.y``) from which deployments get their virtual IPs.
        boot_id: Changes whenever machines have been powered off from outside.
        scratch: A directory on the storage's file system for copies under way; emptied at every start.
        role_files: The directory of packages and role instances.
        engine: Times and sizes of the engine.
        quotas: How much a subscription may have.
    """

    base_url: str
    endpoints: Callable[[str], list[str]]
    platform_images: Sequence[PlatformImage]
    networks: list[str]
    boot_id: str
    scratch: Path
    role_files: Path
    engine: EngineSettings = field(default_factory=EngineSettings)
    quotas: Quotas = field(default_factory=Quotas)


class Services:
    """Every operation's handler, and the engine that drives what they change.

    Args:
        store: Where goals are kept.
        storage: Holds blobs.
        driver: Runs machines.
        settings: See `ServicesSettings`.
        checkpoint: Called at every step boundary with its name; tests kill the process there.
    """

    def __init__(
        self,
        store: Store,
        storage: Storage,
        driver: ComputeDriver,
        settings: ServicesSettings,
        *,
        checkpoint: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._scratch = settings.scratch
        self._store = store
        self._certificates_changed: Callable[[], None] = lambda: None
        self._telling = threading.Lock()  # the last one to be told knows of all changes
        self._files = PackageFiles(settings.role_files, _role_image(driver, settings.platform_images))
        self._roles = RoleReconciler(storage, driver, settings.boot_id)
        self._instances = InstanceReconciler(driver, self._files, settings.boot_id)
        reconcilers = [
            StorageAccountReconciler(storage),
            DiskReconciler(storage),
            OSImageReconciler(storage),
            VMImageReconciler(storage, driver, settings.scratch),
            self._roles,
            PackageReconciler(self._files),
            self._instances,
        ]
        self.engine = Engine(store, reconcilers, settings=settings.engine, checkpoint=checkpoint)
        supported = self._handlers(storage, driver, settings)
        self.supported = frozenset(supported)
        self.handlers: Mapping[str, Handler] = supported

    def bootstrap(self, name: str, certificate: pki.Certificate) -> str:
        """Make sure that there is a subscription which the certificate may manage; returns its id."""

        def change(tx: Tx) -> str:
            row = next(iter(tx.list("subscription")), None)
            subscription = row.key if row is not None else str(uuid.uuid4())
            if row is None:
                tx.insert("subscription", subscription, subscription=subscription, goal={"name": name})
            key = management_certificates.key_of(subscription, certificate.thumbprint)
            if tx.get(management_certificates.KIND, key) is None:
                goal = management_certificates.goal_of(certificate)
                tx.insert(management_certificates.KIND, key, subscription=subscription, goal=goal)
            return subscription

        request = OperationRequest(uuid.uuid4().hex, "Start Cloud", "")
        return self.engine.accept(request, change)

    def watch_certificates(self, changed: Callable[[], None]) -> None:
        """Have `changed` called now, and whenever a management certificate is added or deleted."""
        self._certificates_changed = changed
        self._tell_of_certificates()

    def _tell_of_certificates(self) -> None:
        with self._telling:
            self._certificates_changed()

    def managers(self) -> tuple[list[str], list[tuple[str, bytes]]]:
        """Every subscription, and every management certificate: its subscription and its DER bytes."""

        def read(reader: Reader) -> tuple[list[str], list[tuple[str, bytes]]]:
            rows = reader.list(management_certificates.KIND)
            certificates = [(row.subscription, base64.b64decode(row.goal["data"])) for row in rows]
            return [row.key for row in reader.list("subscription")], certificates

        return self._store.read(read)

    def start(self) -> None:
        """Finish or undo what an earlier process left, and start to work."""
        self._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left_over in self._scratch.iterdir():
            left_over.unlink()
        packages = self._store.read(lambda reader: reader.list("package"))
        self._files.forget_others([package.key for package in packages])
        self._roles.follow(self.engine)
        self._instances.follow(self.engine)
        self.engine.start()

    def stop(self) -> None:
        """Stop working; what is under way goes on at the next start."""
        self.engine.stop()

    def _handlers(
        self, storage: Storage, driver: ComputeDriver, settings: ServicesSettings
    ) -> dict[str, Handler]:
        engine, url, quotas = self.engine, settings.base_url, settings.quotas
        media = MediaLinks(storage)
        images = OSImagesService(engine, media, settings.platform_images)
        planner = RolePlanner(engine, media, images, settings.endpoints)
        view = DeploymentView(driver)
        packages = PackageView(driver, self._instances)
        package_planner = PackagePlanner(engine, media, self._files)
        deployments = Deployments(engine, planner, view, packages, settings.networks, quotas)
        hosted_services = HostedServices(engine, url, deployments.of_service, quotas)
        accounts = StorageAccounts(engine, settings.endpoints, url, quotas)
        services = (
            Locations(),
            RoleSizes(),
            OperatingSystems(),
            ResourceExtensionsService(),
            Subscriptions(engine, quotas),
            Operations(engine),
            ManagementCertificates(engine, url, self._tell_of_certificates),
            AffinityGroups(engine, url, hosted_services.shown, accounts.shown),
            hosted_services,
            ServiceCertificates(engine, url),
            accounts,
            DisksService(engine, media),
            images,
            VMImagesService(engine, media),
            ImagePublishing(engine, images.require, vm_images.require),
            VirtualNetworks(engine, quotas),
            ReservedIPs(engine, settings.networks, quotas),
            deployments,
            PackageDeployments(engine, package_planner, settings.networks, quotas),
            RoleInstances(engine),
            Roles(engine, planner, view, media, images, quotas),
            DataDisks(engine, planner),
            DnsServersService(engine, quotas),
            LoadBalancedSets(engine),
            StaticAddresses(engine),
        )
        return {name: handler for service in services for name, handler in service.handlers().items()}


def _role_image(driver: ComputeDriver, images: Sequence[PlatformImage]) -> PlatformImage | None:
    """The image that role instances are made of; where nothing boots, any does."""
    fits = (image for image in images if image.runs_roles or "boots" not in driver.capabilities)
    return next(fits, None)
