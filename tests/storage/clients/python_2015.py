"""A tour of the three services with the Python client of 2015, azure-storage 0.20. Its virtual environment runs it.

    python python_2015.py ACCOUNT KEY BLOB-PORT QUEUE-PORT TABLE-PORT

The client builds host names such as ACCOUNT.blob.core.windows.net; as its proxy it is given the service itself.
"""

import os
import sys
from datetime import datetime, timedelta

sys.modules["_elementtree"] = None  # elements in Python, which can be given what they had in 2015
from xml.etree import ElementTree

ElementTree.Element.getchildren = list

import requests
from azure.common import AzureConflictHttpError, AzureMissingResourceHttpError
from azure.storage import AccessPolicy, SharedAccessPolicy
from azure.storage.blob import BlobService
from azure.storage.queue import QueueService
from azure.storage.table import Entity, EntityProperty, TableService

ACCOUNT, KEY, *PORTS = sys.argv[1:]
DATA = os.urandom(5 << 20)


def connected(kind, port):
    session = requests.Session()
    session.proxies = {"http": f"http://127.0.0.1:{port}"}
    return kind(ACCOUNT, KEY, protocol="http", request_session=session)


def refused(error, act, *arguments, **named):
    try:
        act(*arguments, **named)
    except error:
        return
    raise AssertionError(f"{act.__name__} was not refused")


def signed_in_one_hour(permission):
    expiry = datetime.utcnow() + timedelta(hours=1)
    return SharedAccessPolicy(
        AccessPolicy(expiry=expiry.strftime("%Y-%m-%dT%H:%M:%SZ"), permission=permission)
    )


def blobs(service):
    service.create_container("things", x_ms_meta_name_values={"kind": "test"}, x_ms_blob_public_access="blob")
    refused(AzureConflictHttpError, service.create_container, "things", fail_on_exist=True)
    assert [one.name for one in service.list_containers().containers] == ["things"]
    assert service.get_container_metadata("things")["x-ms-meta-kind"] == "test"
    service.put_block_blob_from_text("things", "a/text", "héllo", x_ms_meta_name_values={"a": "b"})
    assert service.get_blob_to_text("things", "a/text") == "héllo"
    service._BLOB_MAX_DATA_SIZE = service._BLOB_MAX_CHUNK_DATA_SIZE = 1 << 20  # in blocks
    service.put_block_blob_from_bytes("things", "data", DATA)
    assert service.get_blob_to_bytes("things", "data") == DATA
    assert service.get_blob_properties("things", "data")["content-length"] == str(len(DATA))
    assert len(service.get_block_list("things", "data").committed_blocks) == 5
    service.put_page_blob_from_bytes("things", "disk", DATA[: 1 << 20])
    assert service.get_page_ranges("things", "disk").page_ranges[0].start == 0
    service.put_page("things", "disk", b"x" * 512, "bytes=512-1023", "update")
    assert service.get_blob("things", "disk", x_ms_range="bytes=512-1023") == b"x" * 512
    names = [one.name for one in service.list_blobs("things", include="metadata").blobs]
    assert names == ["a/text", "data", "disk"]
    assert [one.name for one in service.list_blobs("things", delimiter="/").prefixes] == ["a/"]
    lease = service.lease_blob("things", "disk", "acquire", x_ms_lease_duration=15)["x-ms-lease-id"]
    refused(Exception, service.put_page, "things", "disk", b"y" * 512, "bytes=0-511", "update")
    service.lease_blob("things", "disk", "release", x_ms_lease_id=lease)
    snapshot = service.snapshot_blob("things", "a/text")["x-ms-snapshot"]
    source = f"http://{ACCOUNT}.blob.core.windows.net/things/a/text?snapshot={snapshot}"
    assert service.copy_blob("things", "copy", source)["x-ms-copy-status"] == "success"
    assert service.get_blob_to_text("things", "copy") == "héllo"
    service.set_container_acl("things", x_ms_blob_public_access="container")
    token = service.generate_shared_access_signature("things", "data", signed_in_one_hour("r"))
    url = f"{service.make_blob_url('things', 'data')}?{token}"
    proxies = {"http": f"http://127.0.0.1:{PORTS[0]}"}
    assert requests.get(url, proxies=proxies, timeout=30).content == DATA
    assert requests.delete(url, proxies=proxies, timeout=30).status_code == 403
    service.delete_blob("things", "a/text", x_ms_delete_snapshots="include")
    refused(AzureMissingResourceHttpError, service.get_blob, "things", "a/text")
    assert service.get_blob_service_properties().logging.read is False
    service.delete_container("things")


def queues(service):
    service.create_queue("jobs", x_ms_meta_name_values={"kind": "test"})
    assert [one.name for one in service.list_queues().queues] == ["jobs"]
    for text in ("first", "second"):
        service.put_message("jobs", text)
    assert service.get_queue_metadata("jobs")["x-ms-approximate-messages-count"] == "2"
    assert service.peek_messages("jobs").queue_messages[0].message_text == "first"
    first = service.get_messages("jobs", visibilitytimeout=60).queue_messages[0]
    changed = service.update_message("jobs", first.message_id, "changed", first.pop_receipt, 0)
    again = service.get_messages("jobs", numofmessages=2).queue_messages
    assert sorted(one.message_text for one in again) == ["changed", "second"]
    assert changed["x-ms-popreceipt"]
    for one in again:
        service.delete_message("jobs", one.message_id, one.pop_receipt)
    service.put_message("jobs", "third", messagettl=60)
    service.clear_messages("jobs")
    assert len(service.peek_messages("jobs")) == 0
    assert service.generate_shared_access_signature("jobs", signed_in_one_hour("r"))
    service.delete_queue("jobs")


def tables(service):
    assert service.create_table("entities")
    assert not service.create_table("entities")
    assert [one.name for one in service.query_tables()] == ["entities"]
    first = {"PartitionKey": "p", "RowKey": "1", "text": "téxt", "number": 1 << 40, "yes": True}
    service.insert_entity("entities", first)
    entity = Entity()
    entity.PartitionKey, entity.RowKey = "p", "ü 2"
    entity.when, entity.small = datetime(2015, 5, 5, 5, 5), EntityProperty("Edm.Int32", 2)
    service.insert_entity("entities", entity)
    refused(AzureConflictHttpError, service.insert_entity, "entities", entity)
    found = service.get_entity("entities", "p", "1")
    assert (found.text, found.number, found.yes) == ("téxt", 1 << 40, True)
    assert service.get_entity("entities", "p", "ü 2").small in (2, EntityProperty("Edm.Int32", 2))
    service.update_entity("entities", "p", "1", {"text": "new", "real": 1.5})
    service.merge_entity("entities", "p", "1", {"more": "yes"})
    found = service.get_entity("entities", "p", "1")
    assert (found.text, found.real, found.more) == ("new", 1.5, "yes")
    assert not hasattr(found, "number")
    service.insert_or_replace_entity("entities", "p", "3", {"PartitionKey": "p", "RowKey": "3", "number": 3})
    service.insert_or_merge_entity(
        "entities", "p", "3", {"PartitionKey": "p", "RowKey": "3", "text": "three"}
    )
    queried = service.query_entities("entities", "PartitionKey eq 'p' and RowKey ge '2'", "RowKey")
    assert [one.RowKey for one in queried] == ["3", "ü 2"]
    pages = service.query_entities("entities", top=2)
    rest = service.query_entities(
        "entities",
        next_partition_key=pages.x_ms_continuation["NextPartitionKey"],
        next_row_key=pages.x_ms_continuation["NextRowKey"],
    )
    assert (len(pages), len(rest)) == (2, 1)
    service.begin_batch()
    for number in range(3):
        service.insert_entity("entities", {"PartitionKey": "batch", "RowKey": str(number)})
    service.commit_batch()
    assert len(service.query_entities("entities", "PartitionKey eq 'batch'")) == 3
    service.delete_entity("entities", "p", "1")
    refused(AzureMissingResourceHttpError, service.get_entity, "entities", "p", "1")
    assert service.generate_shared_access_signature("entities", signed_in_one_hour("r"))
    assert service.delete_table("entities")


blobs(connected(BlobService, PORTS[0]))
queues(connected(QueueService, PORTS[1]))
tables(connected(TableService, PORTS[2]))
print("toured")
