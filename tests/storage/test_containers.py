"""Containers, listings and the service's own properties, through Azure's own client."""

from __future__ import annotations

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.storage.blob import BlobPrefix, BlobServiceClient, ContainerClient


def test_containers_are_listed_by_prefix_and_in_pages(service: BlobServiceClient):
    for number in range(7):
        service.create_container(f"box-{number}", metadata={"n": str(number)})
    service.create_container("other")
    pages = service.list_containers("box", include_metadata=True, results_per_page=3).by_page()
    found = [[one.metadata["n"] for one in page] for page in pages]
    assert found == [["0", "1", "2"], ["3", "4", "5"], ["6"]]


def test_blobs_are_listed_in_pages_without_doubles(container: ContainerClient):
    names = [f"folder/{number:02}" for number in range(11)]
    for name in reversed(names):
        container.upload_blob(name, b"")
    pages = [[one.name for one in page] for page in container.list_blobs(results_per_page=4).by_page()]
    assert [len(page) for page in pages] == [4, 4, 3]
    assert [name for page in pages for name in page] == names


def test_folders_are_shown_once_however_small_the_pages(container: ContainerClient):
    for name in ("a/1", "a/2", "b", "c/1", "c/2", "c/d/3"):
        container.upload_blob(name, b"")
    found = list(container.walk_blobs(results_per_page=1))
    assert [one.name for one in found] == ["a/", "b", "c/"]
    assert [isinstance(one, BlobPrefix) for one in found] == [True, False, True]
    assert [one.name for one in container.walk_blobs("c/")] == ["c/d/", "c/1", "c/2"]


def test_a_listing_tells_what_was_asked_for(container: ContainerClient):
    blob = container.upload_blob("blob", b"1", metadata={"k": "<&>"})
    moment = blob.create_snapshot()["snapshot"]
    container.get_blob_client("waiting").stage_block("a", b"1")
    found = list(container.list_blobs(include=["snapshots", "metadata", "uncommittedblobs"]))
    assert [(one.name, one.snapshot) for one in found] == [
        ("blob", moment),
        ("blob", None),
        ("waiting", None),
    ]
    assert found[1].metadata == {"k": "<&>"}
    assert [one.name for one in container.list_blobs()] == ["blob"]


def test_names_with_marks_of_xml_survive_a_listing(container: ContainerClient):
    names = sorted(["<a>&b", "'quoted\"", "日本", "a b+c%20"])
    for name in names:
        container.upload_blob(name, b"")
    assert sorted(one.name for one in container.list_blobs()) == names


def test_a_container_is_made_once_and_keeps_its_metadata(
    service: BlobServiceClient, container: ContainerClient
):
    with pytest.raises(ResourceExistsError):
        service.create_container("things")
    container.set_container_metadata({"a": "b"})
    assert container.get_container_properties().metadata == {"a": "b"}


def test_a_leased_container_is_not_deleted_without_the_lease(container: ContainerClient):
    lease = container.acquire_lease()
    with pytest.raises(HttpResponseError) as error:
        container.delete_container()
    assert error.value.status_code == 412
    container.delete_container(lease=lease)


def test_deleting_a_container_frees_its_files(server, container: ContainerClient):
    container.upload_blob("blob", b"1").create_snapshot()
    container.get_blob_client("waiting").stage_block("a", b"1")
    container.delete_container()
    assert not container.exists()
    assert server.files() == set()


@pytest.mark.parametrize("name", ["UPPER", "a", "two--dashes", "-x-", "x" * 64])
def test_bad_names_of_containers_are_refused(service: BlobServiceClient, name: str):
    with pytest.raises(HttpResponseError) as error:
        service.create_container(name)
    assert error.value.status_code == 400


def test_service_properties_are_kept(service: BlobServiceClient):
    assert service.get_service_properties()["hour_metrics"].enabled is False
    service.set_service_properties(target_version="2020-10-02")
    assert service.get_service_properties()["target_version"] == "2020-10-02"


def test_the_account_tells_what_it_is(service: BlobServiceClient):
    assert service.get_account_information()["sku_name"] == "Standard_RAGRS"
