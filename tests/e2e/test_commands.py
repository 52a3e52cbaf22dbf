"""The `reddog` command: what it prints, in which form, and how it ends."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from tests.e2e.conftest import CloudStarter, RunningCloud, own_ports

from azure.servicemanagement import ServiceManagementService
from service_packages import make_package

PROMISED = (
    *("management_host", "subscription_id", "certificate", "ca_certificate"),
    *("publish_settings", "storage_domain", "data_dir"),
)


@pytest.fixture(scope="module")
def cloud(start_cloud: CloudStarter) -> RunningCloud:
    return start_cloud("simulated")


def test_up_tells_programs_all_that_they_need(cloud: RunningCloud) -> None:
    assert all(cloud.summary[name] for name in PROMISED)
    host, _, port = cloud.summary["management_host"].rpartition(":")
    assert host == "127.0.0.1"
    assert port.isdigit()
    for name in ("certificate", "publish_settings"):
        assert stat.S_IMODE(Path(cloud.summary[name]).stat().st_mode) == 0o600
    assert stat.S_IMODE(cloud.data_dir.stat().st_mode) == 0o700


def test_status_comes_in_every_form(cloud: RunningCloud) -> None:
    as_json = json.loads(cloud.reddog("status", "--output", "json").stdout)
    assert as_json == yaml.safe_load(cloud.reddog("status", "--output", "yaml").stdout)
    assert as_json["virtual_machines"] == []
    assert cloud.summary["management_host"] in cloud.reddog("status").stdout


def test_wrong_arguments_end_with_2(cloud: RunningCloud) -> None:
    assert cloud.reddog("status", "--output", "xml", check=False).returncode == 2
    assert cloud.reddog("nonsense", check=False).returncode == 2


def test_the_version_is_told(cloud: RunningCloud) -> None:
    command = [sys.executable, "-m", "reddog.cli", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, env=cloud.environment, check=True)
    assert done.stdout == f"reddog {version('reddog')}\n"


def test_what_the_cloud_writes_is_for_its_user_alone(start_cloud: CloudStarter) -> None:
    cloud = start_cloud("simulated")
    cloud.reddog("image", "list")
    public = {"admin.cer", "ca.pem"}
    open_to_others = [
        str(path)
        for path in cloud.data_dir.rglob("*")
        if path.stat().st_mode & 0o077 and path.name not in public and not path.is_symlink()
    ]
    assert open_to_others == []


def test_up_in_the_foreground_says_how_to_stop_it(tmp_path: Path, cloud: RunningCloud) -> None:
    data_dir = tmp_path / "a cloud"
    command = [sys.executable, "-m", "reddog.cli", "up", "--fabric", "simulated", *own_ports()]
    environment = {**cloud.environment, "REDDOG_PROFILE": str(tmp_path / "profile.json")}
    with subprocess.Popen(
        [*command, "--data-dir", str(data_dir)], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        last = next(line for line in process.stdout if line.startswith("Stop it with:"))
        assert "Ctrl-C" in last
        assert f"`reddog down --data-dir '{data_dir}'` stops them too" in last
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert not (data_dir / "running.json").exists()


def test_who_looks_in_the_wrong_directory_is_told_the_right_one(cloud: RunningCloud, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "reddog.cli", "status", "--data-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=cloud.environment, check=False)
    assert done.returncode == 3
    assert f"reddog up --data-dir {tmp_path}" in done.stderr
    assert f"the one that is running: --data-dir {cloud.data_dir}" in done.stderr


def test_what_is_not_there_ends_with_4(cloud: RunningCloud) -> None:
    for command in ("console", "ssh"):
        missing = cloud.reddog("vm", command, "nobody", check=False)
        assert missing.returncode == 4
        assert "There is no virtual machine named nobody" in missing.stderr


def test_images_are_listed(cloud: RunningCloud) -> None:
    (image,) = json.loads(cloud.reddog("image", "list", "--output", "json").stdout)
    assert (image["os"], image["category"]) == ("Linux", "Public")


def test_a_certificate_is_made_and_registered(
    cloud: RunningCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-m", "reddog.cli", "cert", "create", "mine", "--output", "json"]
    made = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert stat.S_IMODE((tmp_path / "mine.pem").stat().st_mode) == 0o600
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    added = json.loads(cloud.reddog("cert", "add", str(tmp_path / "mine.cer"), "--output", "json").stdout)
    assert added["thumbprint"] == made["thumbprint"]


def test_doctor_looks_at_the_whole_machine(cloud: RunningCloud) -> None:
    done = cloud.reddog("doctor", "--output", "json", check=False)
    rows = {row["check"]: row for row in json.loads(done.stdout)}
    assert {"Python", "QEMU", "Acceleration", "Disk space", "Certificate", "Low ports"} <= set(rows)
    assert rows["Data directory"]["verdict"] == "ok"
    problems = [row for row in rows.values() if row["verdict"] == "problem"]
    assert done.returncode == (1 if problems else 0)
    assert all(row["remedy"] for row in problems)


def test_doctor_sees_a_qemu_that_cannot_join_machines(cloud: RunningCloud, tmp_path: Path) -> None:
    old = tmp_path / "qemu-system-x86_64"
    old.write_text("#!/bin/sh\nprintf 'Available netdev backend types:\\nsocket\\nhubport\\nuser\\n'\n")
    old.chmod(0o755)
    environment = {**cloud.environment, "PATH": f"{tmp_path}:{cloud.environment['PATH']}"}
    done = replace(cloud, environment=environment).reddog("doctor", "--output", "json", check=False)
    (row,) = [row for row in json.loads(done.stdout) if row["check"] == "Private networks"]
    assert (row["verdict"], "7.2" in row["remedy"], "stream" in row["finding"]) == ("problem", True, True)


def test_doctor_sees_an_open_data_directory(cloud: RunningCloud) -> None:
    cloud.data_dir.chmod(0o755)
    try:
        done = cloud.reddog("doctor", "--output", "json", check=False)
    finally:
        cloud.data_dir.chmod(0o700)
    (row,) = [row for row in json.loads(done.stdout) if row["check"] == "Data directory"]
    assert (row["verdict"], row["remedy"]) == ("problem", f"chmod 700 {cloud.data_dir}")
    assert done.returncode == 1


def test_reset_empties_the_cloud_and_keeps_its_images(start_cloud: CloudStarter) -> None:
    cloud = start_cloud("simulated")
    refused = cloud.reddog("reset", check=False)
    assert refused.returncode != 0  # nobody said yes
    cloud.reddog("reset", "--yes")
    assert [path.name for path in cloud.data_dir.iterdir()] == ["images"]
    assert cloud.up("simulated")["subscription_id"] != cloud.summary["subscription_id"]


def test_directories_of_others_are_neither_taken_nor_emptied(cloud: RunningCloud, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "thesis.txt").write_text("mine")
    tmp_path.chmod(0o755)
    for arguments in (["up", "--detach", "--fabric", "simulated"], ["reset", "--yes"]):
        command = [sys.executable, "-m", "reddog.cli", *arguments, "--data-dir", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, env=cloud.environment, check=False)
        assert done.returncode in (1, 4)
        assert "not a reddog data directory" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_reset_leaves_what_is_not_the_clouds(start_cloud: CloudStarter) -> None:
    cloud = start_cloud("simulated")
    (cloud.data_dir / "notes.txt").write_text("mine")
    cloud.reddog("reset", "--yes")
    assert sorted(path.name for path in cloud.data_dir.iterdir()) == ["images", "notes.txt"]


@pytest.mark.parametrize("name", ["", "/nonexistent/directory/mine"])
def test_a_certificate_that_cannot_be_written_is_told(cloud: RunningCloud, name: str) -> None:
    command = [sys.executable, "-m", "reddog.cli", "cert", "create", name]
    done = subprocess.run(command, capture_output=True, text=True, env=cloud.environment, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["vhd", "package"])
def test_a_blob_that_is_there_is_replaced_only_by_force(
    cloud: RunningCloud, tmp_path: Path, kind: str
) -> None:
    summary, account = cloud.summary, f"replaced{kind}"
    environment = pytest.MonkeyPatch()
    environment.setenv("REDDOG_PROFILE", cloud.environment["REDDOG_PROFILE"])
    sms = ServiceManagementService(
        summary["subscription_id"], summary["certificate"], host=summary["management_host"]
    )
    sms.create_storage_account(account, "", account, location="West US")
    environment.undo()
    file = make_package(tmp_path) if kind == "package" else next((cloud.data_dir / "images").glob("*.vhd"))
    link = f"https://{account}.blob.core.windows.net/things/a"  # the local account of that name
    cloud.reddog(kind, "upload", str(file), link)
    refused = cloud.reddog(kind, "upload", str(file), link, check=False)
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    cloud.reddog(kind, "upload", str(file), link, "--force")
    unknown = cloud.reddog(kind, "upload", str(file), link.replace(account, "unknown"), check=False)
    assert unknown.returncode == 4
    assert "<Error" not in unknown.stderr
    missing = cloud.reddog(kind, "upload", str(tmp_path / "none"), link, check=False)
    assert missing.returncode == 1
    assert "Traceback" not in missing.stderr


def test_addresses_of_others_are_told_from_ports_that_are_taken(cloud: RunningCloud, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "reddog.cli", "up", "--detach", "--fabric", "simulated"]
    for host in ("192.0.2.1", "300.1.1.1"):
        arguments = ["--host", host, "--data-dir", str(tmp_path / "cloud")]
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, env=cloud.environment, check=False
        )
        assert done.returncode == 1
        assert f"{host} is no address of this machine" in done.stderr
