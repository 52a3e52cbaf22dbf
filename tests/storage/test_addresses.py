"""URLs of blobs."""

from __future__ import annotations

import string
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reddog.storage import BlobAddress, BlobUrlError, Storage

ACCOUNTS = st.text(string.ascii_lowercase + string.digits, min_size=3, max_size=24)
CONTAINERS = st.text(string.ascii_lowercase + string.digits, min_size=3, max_size=63)
SEGMENTS = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=30)
BLOBS = st.lists(SEGMENTS.filter(lambda part: part not in (".", "..")), min_size=1, max_size=4).map("/".join)
same_storage = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@same_storage
@given(ACCOUNTS, CONTAINERS, BLOBS, st.sampled_from(["core.localhost", "core.windows.net"]))
def test_host_style_urls_give_back_what_they_were_made_of(storage: Storage, account, container, blob, domain):
    url = f"https://{account}.blob.{domain}/{container}/{quote(blob)}"
    assert storage.parse_url(url) == BlobAddress(account, container, blob)


@same_storage
@given(ACCOUNTS, CONTAINERS, BLOBS, st.integers(1, 65535))
def test_path_style_urls_give_back_what_they_were_made_of(storage: Storage, account, container, blob, port):
    url = f"http://127.0.0.1:{port}/{account}/{container}/{quote(blob)}"
    assert storage.parse_url(url) == BlobAddress(account, container, blob)


@same_storage
@given(st.text())
def test_any_text_is_a_blob_or_a_clear_refusal(storage: Storage, text):
    try:
        found = storage.parse_url(text)
    except BlobUrlError as error:
        refusal = error.code, error.status
    else:
        refusal = None
        assert found.blob
    assert refusal in (None, ("InvalidUri", 400))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://acct.blob.core.windows.net/vhds/a.vhd",
        "https://acct.blob.example.org/vhds/a.vhd",
        "https://acct.blob.core.windows.net.example.org/vhds/a.vhd",
        "https://acct.blob.core.windows.net",
        "https://acct.blob.core.windows.net/vhds/",
        "https://acct.blob.core.windows.net/UPPER/a.vhd",
        "https://a.blob.core.windows.net/vhds/a.vhd",
        "http://127.0.0.1:99999/acct/vhds/a.vhd",
        "http://[::1/acct/vhds/a.vhd",
    ],
)
def test_urls_of_other_things_are_refused(storage: Storage, url):
    with pytest.raises(BlobUrlError):
        storage.parse_url(url)


def test_a_url_may_name_a_port_and_ipv6(storage: Storage):
    found = BlobAddress("acct", "vhds", "a.vhd")
    assert storage.parse_url("http://acct.blob.core.localhost:10000/vhds/a.vhd") == found
    assert storage.parse_url("http://[::1]:10000/acct/vhds/a.vhd") == found


def test_nothing_is_written_for_a_url(storage: Storage, tmp_path: Path):
    before = set(tmp_path.rglob("*"))
    storage.parse_url("https://acct.blob.core.windows.net/vhds/a.vhd")
    assert set(tmp_path.rglob("*")) == before
