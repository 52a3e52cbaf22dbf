"""The tiny image as a file: what is in it, who owns it, and what is said when it cannot be built.

That it boots and obeys is tests/fabric/test_guest.py's business.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reddog import images, vhd
from reddog.fabric.provisioning import GuestCertificate, linux_ovf
from reddog.images import _disk, _system
from reddog.images._error import find_tools
from reddog.images._packages import fetch_packages
from reddog.images._tree import Tree
from tiny_image import packages, tiny_image

MIB = 1 << 20


def quiet(phase: str, done: float) -> None:
    assert phase
    assert 0 <= done <= 1


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's root file system, cut out."""
    path = tmp_path_factory.mktemp("image") / "root.img"
    with tiny_image().path.open("rb") as disk:
        entry = disk.read(512)[446 + 16 :][:16]
        start = int.from_bytes(entry[8:12], "little") * 512
        disk.seek(start)
        path.write_bytes(disk.read(int.from_bytes(entry[12:16], "little") * 512))
    return path


def ask(image: Path, *requests: str) -> str:
    """What debugfs says of a file system."""
    command = [find_tools({"debugfs": "e2fsprogs"})["debugfs"], "-f", "-", str(image)]
    text = "\n".join(requests)
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def test_the_image_is_a_small_bootable_fixed_vhd_in_the_catalogue() -> None:
    image = tiny_image()
    assert (image.name, image.publisher, image.os, image.bootable) == (
        *("reddog-tiny-linux-1", "reddog", "Linux"),
        True,
    )
    assert vhd.verify(image.path).size == image.size <= 128 * MIB
    assert image.path.stat().st_blocks * 512 < 64 * MIB, "it is sparse"
    with image.path.open("rb") as disk:
        record = disk.read(512)
    assert record[510:] == b"\x55\xaa"
    assert [record[446 + 16 * number] for number in range(4)] == [0x80, 0, 0, 0]
    ends = []
    for number in range(2):
        entry = record[446 + 16 * number :][:16]
        start, length = (int.from_bytes(entry[at : at + 4], "little") for at in (8, 12))
        assert start % 2048 == 0
        ends.append(start + length)
    assert ends[1] * 512 == image.size


def test_its_files_belong_to_root_and_nobody_has_a_password(root: Path) -> None:
    said = ask(
        root, "stat /", "stat /usr/bin/sudo", "stat /etc/shadow", "cat /etc/shadow", "ls -l /etc/dropbear"
    )
    assert said.count("User:     0   Group:     0") == 3
    assert "Mode:  04755" in said
    assert "Mode:  0640" in said
    assert "root:*:" in said
    assert "host_key" not in said, "every machine makes keys of its own"


def test_an_ordinary_user_can_build_what_belongs_to_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = Tree()
    tree.add_file("etc/secret", "secret", 0o400)
    tree.add_file("bin/su", b"\x7fELF", 0o4755)
    tree.add_link("sbin", "bin")
    tree.add_directory("tmp", 0o1777)
    if os.geteuid() == 0:  # behave like somebody else
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        write = Tree.write

        def write_as_somebody(self: Tree, directory: Path) -> None:
            write(self, directory)
            for path in directory.rglob("*"):
                mode = path.lstat().st_mode
                os.chown(path, 1000, 1000, follow_symlinks=False)
                if not path.is_symlink():
                    path.chmod(mode & 0o7777)  # giving a file away takes its setuid bit

        monkeypatch.setattr(Tree, "write", write_as_somebody)
    target = tmp_path / "disk.img"
    size = _disk.write_disk(target, tmp_path, b"kernel", b"initramfs", tree)
    assert target.stat().st_size == size
    said = ask(tmp_path / "root.img", *(f"stat /{path}" for path in tree.nodes))
    assert said.count("User:     0   Group:     0") == len(tree.nodes)
    assert [mode in said for mode in ("Mode:  0400", "Mode:  04755", "Mode:  01777")] == [True] * 3


def test_a_second_build_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no apt then, and so no network."""
    cache = packages()
    bin = tmp_path / "bin"
    bin.mkdir()
    for tool, path in find_tools({**_disk.DISK_TOOLS, "dpkg-deb": "dpkg"}).items():
        (bin / tool).symlink_to(path)
    monkeypatch.setenv("PATH", str(bin))
    heard: list[float] = []
    made = images.build(tmp_path / "images", cache=cache, progress=lambda phase, done: heard.append(done))
    assert images.catalogue(tmp_path / "images") == [made]
    assert heard == sorted(heard)
    assert heard[-1] == 1
    assert {path.name for path in (tmp_path / "images").iterdir()} == {
        "reddog-tiny-linux-1.json",
        "reddog-tiny-linux-1.vhd",
    }


def test_missing_tools_are_named_with_their_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("reddog.images._error.SYSTEM_PATH", str(tmp_path))
    with pytest.raises(images.ImageError, match="mformat, mcopy, syslinux") as caught:
        images.build(tmp_path / "images", cache=tmp_path / "cache", progress=quiet)
    assert "apt-get install e2fsprogs mtools syslinux" in caught.value.remedy
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize("sources", ["", "deb [trusted=yes] http://127.0.0.1:9/debian stable main\n"])
def test_without_an_archive_the_next_step_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: str
) -> None:
    (tmp_path / "sources.list").write_text(sources)
    settings = f'Dir::Etc::sourcelist "{tmp_path}/sources.list"; Dir::Etc::sourceparts "/dev/null";\n'
    (tmp_path / "apt.conf").write_text(settings + 'Acquire::Retries "0";\n')
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    with pytest.raises(images.ImageError, match="busybox-static") as caught:
        images.build(tmp_path / "images", cache=tmp_path / "cache", progress=quiet)
    assert "apt-get update" in caught.value.remedy
    assert list((tmp_path / "images").iterdir()) == []


def test_a_damaged_cache_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    for text in (
        "{",
        "[]",
        "{}",
        '{"format": 1, "files": {"absent.deb": "00"}}',
        '{"format": 0, "files": {}}',
    ):
        (tmp_path / "packages.json").write_text(text)
        with pytest.raises(images.ImageError):
            fetch_packages(tmp_path, quiet)


def test_a_tree_survives_the_kernels_archive_format(tmp_path: Path) -> None:
    tree = Tree()
    tree.add_file("a/b/file", b"12345", 0o755)
    tree.add_link("a/link", "b/file")
    tree.add_device("dev/console", 5, 1)
    archive = tree.cpio()
    assert len(archive) % 512 == 0
    busybox = tmp_path / "busybox"
    busybox.write_bytes(_busybox())
    busybox.chmod(0o755)
    done = subprocess.run([busybox, "cpio", "-t"], input=archive, capture_output=True, check=True)
    assert done.stdout.decode().split() == ["a", "a/b", "a/b/file", "a/link", "dev", "dev/console"]


def _busybox() -> bytes:
    return _system.find_busybox(fetch_packages(packages(), quiet))


@pytest.fixture(scope="module")
def awk(tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    """The guest's own awk, running the guest's own reader of ovf-env.xml."""
    busybox = tmp_path_factory.mktemp("awk") / "busybox"
    busybox.write_bytes(_busybox())
    busybox.chmod(0o755)
    script = Path(_system.__file__).parent / "guest" / "ovf.awk"
    return [busybox, "awk", "-f", script]


# What XML can carry; the API allows less.
_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co"]), min_size=1, max_size=40
)


@settings(max_examples=40, deadline=None)
@given(
    password=_TEXT | st.sampled_from(["<", "a&amp;b", "]]>", "'\"", "\\1 & \\\\", "%s%d"]),
    data=st.binary(max_size=99),
)
def test_the_guest_reads_what_the_host_wrote(awk: list[str | Path], password: str, data: bytes) -> None:
    keys = [("AB", "/home/a/.ssh/authorized_keys", "ssh-rsa AAAA a&b"), ("CD", "keys", "ssh-rsa BBBB <c>")]
    pairs = [("EF", "/home/a/id", "ssh-rsa CCCC a@b")]
    certificates = [GuestCertificate("EF", "a\n+b=\n", "c\nd"), GuestCertificate("01", "e\n")]
    document = linux_ovf("web1", "alice", password, True, keys, data, pairs, certificates)
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        for part in ("PublicKey", "KeyPair", "Certificate"):
            (place / part).mkdir()
        (place / "ovf-env.xml").write_bytes(document)
        subprocess.run([*awk, "-v", f"directory={place}", place / "ovf-env.xml"], check=True)
        assert (place / "UserPassword").read_bytes() == password.encode()
        assert (place / "HostName").read_text() == "web1"
        assert (place / "DisableSshPasswordAuthentication").read_text() == "true"
        told = [
            [(place / f"{part}.{name}").read_text() for name in ("Fingerprint", "Path", "Value")]
            for part in ("PublicKey/1", "PublicKey/2", "KeyPair/3")
        ]
        assert told == [list(key) for key in (*keys, *pairs)]
        given = {path.name: path.read_text() for path in (place / "Certificate").iterdir()}
        assert given == {
            "4.Thumbprint": "EF",
            "4.Data": "a\n+b=\n",
            "4.PrivateKey": "c\nd",
            "5.Thumbprint": "01",
            "5.Data": "e\n",
        }
