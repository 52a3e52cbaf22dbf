"""What happens when things are wrong on the machine, in the data directory, or in the caller's hands."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.common import AzureConflictHttpError, AzureHttpError, AzureMissingResourceHttpError
from tests.e2e.conftest import CloudStarter, RunningCloud, own_ports

from azure.servicemanagement import ServiceManagementService
from reddog import images, vhd

NOT_RUNNING = 3


@pytest.fixture(scope="module")
def cloud(start_cloud: CloudStarter) -> RunningCloud:
    """A cloud on which the tests of this module may do anything but break it."""
    return start_cloud("simulated")


@pytest.fixture(scope="module")
def sms(cloud: RunningCloud) -> ServiceManagementService:
    return client_of(cloud)


def client_of(cloud: RunningCloud) -> ServiceManagementService:
    os.environ["REDDOG_PROFILE"] = cloud.environment["REDDOG_PROFILE"]
    summary = cloud.summary
    return ServiceManagementService(
        summary["subscription_id"], summary["certificate"], host=summary["management_host"]
    )


class Home:
    """Somebody's home directory without a cloud in it."""

    def __init__(self, directory: Path) -> None:
        self.data_dir = directory / "cloud"
        self.environment = {
            **os.environ,
            "HOME": str(directory),
            "REDDOG_PROFILE": str(directory / "profile.json"),
        }

    def reddog(self, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = self.environment if path is None else {**self.environment, "PATH": path}
        command = [sys.executable, "-m", "reddog.cli", *arguments, "--data-dir", str(self.data_dir)]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=120, check=False
        )

    def up(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Start a cloud; on ports of its own unless the arguments say otherwise."""
        known = arguments or (() if (self.data_dir / "ports.json").exists() else own_ports())
        return self.reddog("up", "--detach", "--output", "json", "--fabric", "simulated", *known)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    found = Home(tmp_path)
    yield found
    found.reddog("down")


def leaves_nothing(home: Home) -> None:
    """No process runs on the home's data directory, and nothing says that one does."""
    for _ in range(50):  # the process that could not start may still be on its way out
        found = subprocess.run(
            ["pgrep", "-f", str(home.data_dir)], capture_output=True, text=True, check=False
        )
        if not found.stdout:
            break
        time.sleep(0.1)
    assert found.stdout == ""
    assert not (home.data_dir / "running.json").exists()
    assert home.reddog("status").returncode == NOT_RUNNING


# -- The machine -----------------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_named_with_the_next_step(home: Home) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = home.up("--port", str(port))
    assert refused.returncode == 1
    assert f"Port {port} on 127.0.0.1 is in use" in refused.stderr
    assert "--port" in refused.stderr
    leaves_nothing(home)


def test_usual_ports_that_are_taken_are_replaced_by_free_ones_and_kept(home: Home) -> None:
    with socket.socket() as other:
        held = True
        try:
            other.bind(("127.0.0.1", 8443))
            other.listen()
        except OSError:
            held = False  # another cloud has it, which may go at any moment
        first = json.loads(home.up("--host", "127.0.0.1").stdout)["management_host"]
    assert not (held and first.endswith(":8443"))
    assert home.reddog("down").returncode == 0
    assert json.loads(home.up().stdout)["management_host"] == first


def test_without_qemu_it_is_said_what_to_install(home: Home, tmp_path: Path) -> None:
    (home.data_dir / "images").mkdir(parents=True)
    images.build_blank(home.data_dir / "images")
    refused = home.reddog("up", "--detach", "--fabric", "qemu", path=str(tmp_path))
    assert refused.returncode == 1
    assert "qemu-system-x86_64 was not found" in refused.stderr
    assert "apt install qemu-system-x86" in refused.stderr
    leaves_nothing(home)


def test_a_full_disk_is_told_before_anything_is_written(home: Home, tmp_path: Path) -> None:
    code = (
        "import shutil, sys; usage = shutil.disk_usage('/');"
        "shutil.disk_usage = lambda path: usage._replace(free=1 << 20);"
        "from reddog.cli import main; sys.argv[0] = 'reddog'; main()"
    )
    arguments = ["up", "--fabric", "simulated", "--data-dir", str(home.data_dir)]
    refused = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=home.environment,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 1
    assert "is full" in refused.stderr
    assert "Free some space" in refused.stderr
    assert not (home.data_dir / "cloud.db").exists()


def test_a_thousand_idle_connections_leave_room_for_more(home: Home) -> None:
    """With no more open files than most systems allow at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 3000:
        pytest.skip("this process may not open 3000 files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        summary = json.loads(home.up().stdout)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3000, hard))
        host, port = summary["management_host"].split(":")
        idle = [socket.create_connection((host, int(port)), timeout=10) for _ in range(1000)]
        answer = ask(summary, summary["certificate"])
        for connection in idle:
            connection.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert answer.status_code == 200


def test_two_clouds_cannot_share_a_data_directory(home: Home) -> None:
    assert home.up().returncode == 0
    refused = home.up()
    assert refused.returncode == 1
    assert "already running" in refused.stderr
    record = home.data_dir / "running.json"
    record.rename(record.with_suffix(".away"))  # even a cloud that nothing is known of keeps its directory
    refused = home.up()
    record.with_suffix(".away").rename(record)
    assert refused.returncode == 1
    assert "in use by the process" in refused.stderr


# -- The data directory ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port = [", "not valid TOML"),
        ("prot = 8443", "unknown setting 'prot'"),
        ('port = "8443"', "port must be of type int"),
        ('fabric = "hyperv"', "fabric must be one of"),
        ("port = 65536", "port must be from 0 to 65535"),
        ('storage_domain = "no domain"', "must be a domain name"),
        ("operation_retention = 0", "must be from 1"),
        ("max_cores = -1", "max_cores must be from 0"),
        ('host = ""', "must be an address"),
    ],
)
def test_a_configuration_that_is_wrong_is_told_with_its_place(home: Home, text: str, said: str) -> None:
    home.data_dir.mkdir()
    (home.data_dir / "reddog.toml").write_text(text)
    refused = home.reddog("up", "--detach")
    assert refused.returncode == 1
    assert said in refused.stderr
    leaves_nothing(home)


def test_a_configuration_that_cannot_be_read_is_told(home: Home) -> None:
    (home.data_dir / "reddog.toml").mkdir(parents=True)
    refused = home.reddog("up", "--detach")
    assert refused.returncode == 1
    assert "reddog.toml cannot be read" in refused.stderr
    leaves_nothing(home)


def test_a_damaged_database_is_told_and_not_overwritten(home: Home) -> None:
    assert home.up().returncode == 0
    assert home.reddog("down").returncode == 0
    database = home.data_dir / "cloud.db"
    for extra in home.data_dir.glob("cloud.db-*"):
        extra.unlink()
    database.write_bytes(b"this is no database" * 1000)
    refused = home.up()
    assert refused.returncode == 1
    assert "cloud.db" in refused.stderr
    assert database.read_bytes().startswith(b"this is no database")
    leaves_nothing(home)


@pytest.mark.parametrize("name", ["index.db", "account.json"])
def test_a_damaged_storage_account_is_told_with_its_directory(home: Home, name: str) -> None:
    summary = json.loads(home.up().stdout)
    os.environ["REDDOG_PROFILE"] = home.environment["REDDOG_PROFILE"]
    sms = ServiceManagementService(
        summary["subscription_id"], summary["certificate"], host=summary["management_host"]
    )
    done(sms, sms.create_storage_account("damaged", "", "damaged", location="West US"))
    assert home.reddog("down").returncode == 0
    directory = home.data_dir / "storage" / "damaged"
    for extra in directory.glob(f"{name}-*"):
        extra.unlink()
    (directory / name).write_bytes(os.urandom(20_000))
    refused = home.up()
    assert refused.returncode == 1
    assert f"The storage account in {directory} cannot be used" in refused.stderr
    leaves_nothing(home)
    directory.rename(home.data_dir.with_name("away"))  # as the message says
    assert json.loads(home.up().stdout) == summary
    sms.delete_storage_account("damaged")


def test_damaged_server_certificates_are_made_anew(home: Home) -> None:
    assert home.up().returncode == 0
    assert home.reddog("down").returncode == 0
    for name in ("server.pem", "ca.pem"):
        (home.data_dir / "pki" / name).write_text("damaged")
    assert home.up().returncode == 0
    assert home.reddog("image", "list").returncode == 0


@pytest.mark.parametrize("what", ["garbage", "expired"])
def test_the_clouds_own_management_certificate_is_made_anew(home: Home, what: str) -> None:
    before = json.loads(home.up().stdout)
    assert home.reddog("down").returncode == 0
    pem = home.data_dir / "pki" / "admin.pem"
    if what == "expired":
        make_certificate(pem, "rsa:2048")
    else:
        pem.write_bytes(os.urandom(200))
    assert json.loads(home.up().stdout) == before
    assert home.reddog("image", "list").returncode == 0


def test_an_unreadable_management_certificate_is_told(home: Home, tmp_path: Path) -> None:
    assert home.up().returncode == 0
    garbage = tmp_path / "garbage.cer"
    garbage.write_bytes(os.urandom(200))
    for file, said in ((garbage, "not an X.509 certificate"), (tmp_path / "absent.cer", "cannot be read")):
        refused = home.reddog("cert", "add", str(file))
        assert refused.returncode == 1
        assert said in refused.stderr


def test_the_guides_weak_key_works_and_is_warned_of(home: Home, tmp_path: Path) -> None:
    summary = json.loads(home.up().stdout)
    pem, cer = openssl_certificate(tmp_path, "rsa:1024")
    added = home.reddog("cert", "add", str(cer))
    assert added.returncode == 0
    assert "1024 bits" in added.stderr
    os.environ["REDDOG_PROFILE"] = home.environment["REDDOG_PROFILE"]
    sms = ServiceManagementService(summary["subscription_id"], str(pem), host=summary["management_host"])
    with pytest.warns(match="1024"):
        assert len(list(sms.list_locations())) == 14


def test_an_expired_certificate_is_refused_in_words(home: Home, tmp_path: Path) -> None:
    summary = json.loads(home.up().stdout)
    pem, cer = openssl_certificate(
        tmp_path, "rsa:2048", "-not_before", "20100101000000Z", "-not_after", "20110101000000Z"
    )
    added = home.reddog("cert", "add", str(cer))
    assert "expired" in added.stderr
    os.environ["REDDOG_PROFILE"] = home.environment["REDDOG_PROFILE"]
    sms = ServiceManagementService(summary["subscription_id"], str(pem), host=summary["management_host"])
    with pytest.raises(Exception, match="expired on 2011-01-01"):  # the SDK sees it by itself
        sms.list_locations()
    refused = ask(summary, str(pem))
    assert refused.status_code == 403
    assert "valid from 2010-01-01 to 2011-01-01" in refused.text


def ask(summary: dict[str, Any], certificate: str) -> requests.Response:
    """Ask for the locations without the SDK."""
    return requests.get(
        f"https://{summary['management_host']}/{summary['subscription_id']}/locations",
        headers={"x-ms-version": "2014-10-01"},
        cert=certificate,
        verify=summary["ca_certificate"],
        timeout=10,
    )


# -- VHDs and media links --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def account(sms: ServiceManagementService) -> str:
    """The blob endpoint of a storage account."""
    done(sms, sms.create_storage_account("baddays", "", "baddays", location="West US"))
    properties = sms.get_storage_account_properties("baddays").storage_service_properties
    return str(properties.endpoints[0])


def done(sms: ServiceManagementService, result: Any) -> Any:
    for _ in range(200):
        operation = sms.get_operation_status(result.request_id)
        if operation.status != "InProgress":
            return operation
        time.sleep(0.05)
    raise AssertionError("the operation does not end")


def fixed_vhd(path: Path, size: int = 1 << 20) -> Path:
    path.write_bytes(bytes(size))
    vhd.write_footer(path)
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.write_bytes(os.urandom(1 << 20)), "does not end with a VHD footer"),
        (lambda path: damage(fixed_vhd(path)), "checksum is wrong"),
        (lambda path: make_dynamic(path), "dynamic, not fixed"),  # noqa: PLW0108 - defined below
        (lambda path: fixed_vhd(path, 1 << 20).write_bytes(path.read_bytes()[512:]), "has 1048576 bytes"),
        (lambda path: fixed_vhd(path, 3 * 512), "not a multiple of"),
    ],
    ids=["no footer", "damaged footer", "dynamic", "cut off", "odd size"],
)
def test_what_is_no_fixed_vhd_is_not_uploaded(
    cloud: RunningCloud, account: str, tmp_path: Path, make: Any, said: str
) -> None:
    file = tmp_path / "disk.vhd"
    make(file)
    refused = cloud.reddog("vhd", "upload", str(file), f"{account}vhds/refused.vhd", check=False)
    assert refused.returncode == 1
    assert said in " ".join(refused.stderr.split())
    assert "qemu-img convert" in refused.stderr


def test_media_links_that_lead_nowhere_are_refused_with_the_reason(
    cloud: RunningCloud, sms: ServiceManagementService, account: str, tmp_path: Path
) -> None:
    small = fixed_vhd(tmp_path / "small.vhd")
    cloud.reddog("vhd", "upload", str(small), f"{account}vhds/small.vhd")
    for link, said in (
        (f"{account}vhds/absent.vhd", "There is no blob at the media link"),
        ("http://someoneelse.blob.core.windows.net/vhds/a.vhd", "which the subscription does not have"),
        ("ftp://nowhere/at/all", "is not a blob's URL"),
        ("url_to_storage_blob_for_source_image_vhd", "is not a blob's URL"),
    ):
        with pytest.raises(AzureHttpError, match=said):
            sms.add_os_image("label", link, "badimage", "Linux")
    sms.add_os_image("label", f"{account}vhds/small.vhd", "smallimage", "Linux")
    with pytest.raises(AzureHttpError, match="lease conflict"):
        sms.add_os_image("label", f"{account}vhds/small.vhd", "again", "Linux")
    with pytest.raises(AzureConflictHttpError, match="already exists"):
        sms.add_os_image("label", f"{account}vhds/small.vhd", "smallimage", "Linux")
    sms.delete_os_image("smallimage")
    with pytest.raises(AzureMissingResourceHttpError):
        sms.get_os_image("smallimage")


# -- Kills -----------------------------------------------------------------------------------------------


def test_a_cloud_that_is_killed_comes_back_as_it_was(home: Home) -> None:
    summary = json.loads(home.up().stdout)
    os.environ["REDDOG_PROFILE"] = home.environment["REDDOG_PROFILE"]

    def client() -> ServiceManagementService:
        return ServiceManagementService(
            summary["subscription_id"], summary["certificate"], host=summary["management_host"]
        )

    client().create_hosted_service("survivor", "survivor", location="West US")
    running = json.loads((home.data_dir / "running.json").read_text())
    os.kill(running["pid"], signal.SIGKILL)
    with pytest.raises(Exception, match="Nothing listens at"):
        client().list_hosted_services()
    assert home.reddog("status").returncode == NOT_RUNNING
    assert json.loads(home.up().stdout) == summary
    assert [service.service_name for service in client().list_hosted_services()] == ["survivor"]


# -- Making bad things -----------------------------------------------------------------------------------


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 0xFF
    path.write_bytes(data)


def make_dynamic(path: Path) -> None:
    raw = path.with_suffix(".raw")
    raw.write_bytes(bytes(1 << 20))
    command = ["qemu-img", "convert", "-O", "vpc", "-o", "subformat=dynamic", str(raw), str(path)]
    subprocess.run(command, check=True, capture_output=True)


def openssl_certificate(directory: Path, key: str, *options: str) -> tuple[Path, Path]:
    """The guide's own two commands."""
    pem, cer = directory / "mycert.pem", directory / "mycert.cer"
    request = ["openssl", "req", "-x509", "-nodes", "-newkey", key, "-subj", "/CN=mine"]
    validity = options or ("-days", "365")
    made = subprocess.run(
        [*request, *validity, "-keyout", str(pem), "-out", str(pem)], capture_output=True, check=False
    )
    if made.returncode:  # an openssl that cannot be told dates
        make_certificate(pem, key)
    subprocess.run(
        ["openssl", "x509", "-inform", "pem", "-in", str(pem), "-outform", "der", "-out", str(cer)],
        check=True,
        capture_output=True,
    )
    return pem, cer


def make_certificate(pem: Path, key: str) -> None:
    """A certificate of the year 2010."""
    from datetime import UTC, datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(public_exponent=65537, key_size=int(key.split(":")[1]))
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mine")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2010, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2011, 1, 1, tzinfo=UTC))
        .sign(private, hashes.SHA256())
    )
    pem.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
