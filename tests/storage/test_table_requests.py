"""Requests to the table service as old and home-made clients send them: forms, versions, methods, batches."""

from __future__ import annotations

import json
import re

import pytest
from azure.data.tables import TableClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

import signing

ATOM = "{http://www.w3.org/2005/Atom}"
DATA = "{http://schemas.microsoft.com/ado/2007/08/dataservices}"
METADATA = f"{DATA[:-1]}/metadata}}"
ENTRY = """<?xml version="1.0" encoding="utf-8"?>
<entry xmlns="http://www.w3.org/2005/Atom" xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices"
       xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">
  <title/><updated>2009-03-18T11:48:34.9840639Z</updated><author><name/></author><id/>
  <content type="application/xml"><m:properties>%s</m:properties></content>
</entry>"""
PROPERTIES = """<d:PartitionKey>p</d:PartitionKey><d:RowKey>1</d:RowKey><d:text>&lt;&amp;</d:text>
<d:int m:type="Edm.Int32">5</d:int><d:long m:type="Edm.Int64">9007199254740993</d:long>
<d:double m:type="Edm.Double">INF</d:double><d:yes m:type="Edm.Boolean">true</d:yes>
<d:when m:type="Edm.DateTime">2009-03-18T00:00:00Z</d:when><d:none m:null="true"/>"""
JSON = {"content-type": "application/json", "accept": "application/json;odata=nometadata"}


def send(
    server,
    method: str,
    path: str,
    query: str = "",
    body: bytes | str = b"",
    version: str = "2015-12-11",
    **more: str,
) -> tuple[int, dict[str, str], bytes]:
    """A request that is signed in the short form; keywords are headers."""
    data = body.encode() if isinstance(body, str) else body
    headers = {"x-ms-date": signing.now(), "x-ms-version": version, "content-length": str(len(data))}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    whole = f"/acct/{path}"
    comp = "?comp=acl" if "comp=acl" in query else ""
    text = f"{headers['x-ms-date']}\n/acct{whole}{comp}"
    headers["authorization"] = f"SharedKeyLite acct:{signing.digest(server.keys[0], text)}"
    target = f"{whole}?{query}" if query else whole
    return signing.ask(server.ports["table"], method, target, headers, data)


def put(server, row: str, **properties: object) -> None:
    body = json.dumps({"PartitionKey": "p", "RowKey": row, **properties})
    assert send(server, "POST", "Things", body=body, **JSON)[0] == 201


def read(server, row: str = "1", accept: str = "application/json;odata=nometadata") -> dict[str, object]:
    status, _, body = send(server, "GET", f"Things(PartitionKey='p',RowKey='{row}')", accept=accept)
    assert status == 200
    found: dict[str, object] = json.loads(body)
    return found


# -- JSON ------------------------------------------------------------------------------------------------


def test_metadata_are_told_as_much_as_they_are_wanted(server, table: TableClient):
    put(server, "1", text="x", long="5", **{"long@odata.type": "Edm.Int64"})
    none = read(server, accept="application/json;odata=nometadata")
    assert none.keys() == {"PartitionKey", "RowKey", "Timestamp", "text", "long"}
    minimal = read(server, accept="application/json;odata=minimalmetadata")
    base = f"http://127.0.0.1:{server.ports['table']}/acct/"
    assert minimal.keys() - none.keys() == {"odata.metadata", "odata.etag", "long@odata.type"}
    assert minimal["odata.metadata"] == f"{base}$metadata#Things/@Element"
    assert minimal == read(server, accept="application/json") == read(server, accept="*/*")
    full = read(server, accept="application/json;odata=fullmetadata")
    assert full.keys() - minimal.keys() == {
        *("odata.type", "odata.id", "odata.editLink", "Timestamp@odata.type")
    }
    assert full["odata.type"] == "acct.Things"
    assert full["odata.id"] == f"{base}Things(PartitionKey='p',RowKey='1')"
    assert full["odata.etag"] == "W/\"datetime'" + str(full["Timestamp"]).replace(":", "%3A") + "'\""


def test_values_may_be_texts_where_their_types_are_told(server, table: TableClient):
    types = {
        "a": ("5", "Edm.Int32"),
        "b": ("true", "Edm.Boolean"),
        "c": ("1.5", "Edm.Double"),
        "d": (7, "Edm.Int64"),
    }
    put(
        server,
        "1",
        **{name: value for name, (value, _) in types.items()},
        **{f"{name}@odata.type": kind for name, (_, kind) in types.items()},
    )
    found = read(server)
    assert [found[name] for name in "abcd"] == [5, True, 1.5, "7"]


@pytest.mark.parametrize(
    "body",
    [
        '{"PartitionKey":"p","RowKey":"1","a":[1]}',
        '{"PartitionKey":"p","RowKey":"1","a":{}}',
        '{"PartitionKey":"p","RowKey":"1","a":"x","a@odata.type":"Edm.Int32"}',
        '{"PartitionKey":"p","RowKey":"1","a":"-3.1","a@odata.type":"Edm.Int32"}',
        '{"PartitionKey":"p","RowKey":"1","a":"9999999999","a@odata.type":"Edm.Int32"}',
        '{"PartitionKey":"p","RowKey":"1","a":"1","a@odata.type":"Edm.Decimal"}',
        '{"PartitionKey":"p","RowKey":"1","a":"1","a@odata.type":5}',
        '{"PartitionKey":"p","RowKey":"1","a":"$","a@odata.type":"Edm.Binary"}',
        '{"PartitionKey":"p","RowKey":"1","a":"","a@odata.type":"Edm.DateTime"}',
        '{"PartitionKey":"p","RowKey":"1","a":null,"a@odata.type":"Edm.DateTime"}',
        '{"PartitionKey":"p","RowKey":"1","a":1e999}',
        '{"PartitionKey":"p","RowKey":"1","a":NaN}',
        '{"PartitionKey":"p","RowKey":"1","a":"\\ud800"}',
        '{"PartitionKey":"p","RowKey":"\\ud800"}',
        '{"PartitionKey":"p","RowKey":5}',
        '{"PartitionKey":"p"}',
        '["PartitionKey"]',
        '{"PartitionKey":',
        "[" * 100_000,
        '{"PartitionKey":"p","RowKey":"1","a":' + "9" * 5000 + "}",
        b"\xff\xfe",
        "",
        "<entry/>",
        "<a",
    ],
    ids=lambda body: str(body)[:60],
)
def test_what_is_no_entity_is_refused_and_changes_nothing(server, table: TableClient, body):
    status, _, answer = send(
        server, "POST", "Things", body=body, **{**JSON, "content_type": "application/json"}
    )
    assert status == 400
    assert json.loads(answer)["odata.error"]["code"]
    assert list(table.list_entities()) == []


def test_what_is_too_large_is_refused(server, table: TableClient):
    status, headers, _ = send(server, "POST", "Things", body=b"x" * ((4 << 20) + 1), **JSON)
    assert (status, headers["x-ms-error-code"]) == (413, "RequestBodyTooLarge")


def test_the_keys_in_a_body_are_those_in_the_url(server, table: TableClient):
    path = "Things(PartitionKey='p',RowKey='1')"
    assert send(server, "PUT", path, body='{"PartitionKey":"p","RowKey":"2"}', **JSON)[0] == 400
    assert send(server, "PUT", path, body='{"a":1}', **JSON)[0] == 204
    assert send(server, "PUT", "Things(RowKey='2',%20PartitionKey='p')", body='{"a":1}', **JSON)[0] == 204
    assert [one["RowKey"] for one in table.list_entities()] == ["1", "2"]


@pytest.mark.parametrize(
    "path",
    [
        "Things(PartitionKey='p')",
        "Things(PartitionKey='p',RowKey='1',More='2')",
        "Things(PartitionKey='p',PartitionKey='p')",
        "Things(PartitionKey=p,RowKey=1)",
        "Things('p')",
        "Things(PartitionKey='p',RowKey='1'",
        "Things/more",
        "Tables(x)",
        "Things(PartitionKey='p',RowKey='1')x",
    ],
)
def test_paths_that_name_nothing_are_refused(server, table: TableClient, path: str):
    assert send(server, "GET", path, **JSON)[0] in (400, 404)


def test_a_post_stands_for_what_a_proxy_refuses(server, table: TableClient):
    put(server, "1", a=1, b=2)
    path = "Things(PartitionKey='p',RowKey='1')"
    tunnelled = {"x_http_method": "MERGE", "if_match": "*", **JSON}
    assert send(server, "POST", path, body='{"a":3}', **tunnelled)[0] == 204
    assert {name: read(server)[name] for name in "ab"} == {"a": 3, "b": 2}
    assert send(server, "PUT", path, body='{"a":3}', **tunnelled)[0] == 400
    assert send(server, "POST", path, **{**tunnelled, "x_http_method": "STEAL"})[0] == 400
    assert send(server, "POST", path, **{**tunnelled, "x_http_method": "DELETE"})[0] == 204
    assert list(table.list_entities()) == []


@pytest.mark.parametrize("prefer", ["return-content", "return-no-content"])
def test_what_was_made_is_shown_if_that_is_preferred(server, table: TableClient, prefer: str):
    status, headers, body = send(
        server, "POST", "Things", body='{"PartitionKey":"p","RowKey":"1"}', prefer=prefer, **JSON
    )
    assert (status, bool(body)) == ((201, True) if prefer == "return-content" else (204, False))
    assert headers["preference-applied"] == prefer
    assert headers["location"].endswith("/acct/Things(PartitionKey='p',RowKey='1')")
    assert headers["etag"].startswith("W/")


@pytest.mark.parametrize("etag", ['"strong"', "datetime'2015'", "wrong", '"', ""])
def test_conditions_that_are_none_are_refused(server, table: TableClient, etag: str):
    put(server, "1")
    path = "Things(PartitionKey='p',RowKey='1')"
    assert send(server, "PUT", path, body="{}", if_match=etag, **JSON)[0] == 400
    assert send(server, "DELETE", path, if_match='w/"none"', **JSON)[0] == 412
    assert send(server, "DELETE", path, **JSON)[0] == 400


def test_top_is_zero_to_a_thousand(server, table: TableClient):
    put(server, "1")
    for top, expected in (("0", 200), ("1000", 200), ("1001", 400), ("-1", 400), ("x", 400), ("9" * 30, 400)):
        status, headers, _ = send(server, "GET", "Things", f"$top={top}", **JSON)
        assert status == expected
        assert "x-ms-continuation-nextpartitionkey" not in headers


def test_a_filter_may_be_long(server, table: TableClient):
    put(server, "1", a=1)
    wanted = (
        "%20or%20".join(f"RowKey%20eq%20'{'x' * 1000}{number}'" for number in range(20))
        + "%20or%20a%20eq%201"
    )
    status, _, body = send(server, "GET", "Things", f"$filter={wanted}", **JSON)
    assert (status, len(json.loads(body)["value"])) == (200, 1)


@pytest.mark.parametrize("token", ["x", "1!!!", "1!%FF", "1!" + "A" * 5, "%00"])
def test_continuations_that_are_none_are_refused(server, table: TableClient, token: str):
    assert send(server, "GET", "Things", f"NextPartitionKey={token}&NextRowKey=1!", **JSON)[0] == 400
    assert send(server, "GET", "Tables", f"NextTableName={token}", **JSON)[0] == 400


# -- Atom ------------------------------------------------------------------------------------------------


def test_clients_before_2013_write_and_read_atom(server):
    old = {"version": "2011-08-18", "content_type": "application/atom+xml"}
    made = send(server, "POST", "Tables", body=ENTRY % "<d:TableName>Things</d:TableName>", **old)
    assert made[0] == 201
    assert (
        etree.fromstring(made[2]).findtext(f"{ATOM}content/{METADATA}properties/{DATA}TableName") == "Things"
    )
    status, headers, body = send(server, "POST", "Things", body=ENTRY % PROPERTIES, **old)
    assert (status, headers["content-type"]) == (201, "application/atom+xml;charset=utf-8")
    entry = etree.fromstring(body)
    assert entry.get(f"{METADATA}etag") == headers["etag"]
    for found in (entry, etree.fromstring(send(server, "GET", "Things()", **old)[2]).find(f"{ATOM}entry")):
        properties = found.find(f"{ATOM}content/{METADATA}properties")
        shown = {etree.QName(node).localname: (node.get(f"{METADATA}type"), node.text) for node in properties}
        assert shown.pop("Timestamp")[0] == "Edm.DateTime"
        assert shown == {
            "PartitionKey": (None, "p"),
            "RowKey": (None, "1"),
            "text": (None, "<&"),
            "int": ("Edm.Int32", "5"),
            "long": ("Edm.Int64", "9007199254740993"),
            "double": ("Edm.Double", "INF"),
            "yes": ("Edm.Boolean", "true"),
            "when": ("Edm.DateTime", "2009-03-18T00:00:00Z"),
        }
    listed = etree.fromstring(send(server, "GET", "Tables", **old)[2])
    assert listed.findtext(f"{ATOM}entry/{ATOM}content/{METADATA}properties/{DATA}TableName") == "Things"
    assert read(server)["double"] == "Infinity"


def test_refusals_are_in_the_form_of_the_answer(server, table: TableClient):
    path = "Things(PartitionKey='p',RowKey='none')"
    status, headers, body = send(server, "GET", path, version="2011-08-18")
    error = etree.fromstring(body)
    assert (status, error.findtext(f"{METADATA}code")) == (404, "ResourceNotFound")
    assert headers["x-ms-request-id"] in str(error.findtext(f"{METADATA}message"))
    status, _, body = send(server, "GET", path, **JSON)
    assert (status, json.loads(body)["odata.error"]["code"]) == (404, "ResourceNotFound")


def test_since_2015_there_is_no_atom(server, table: TableClient):
    status, headers, body = send(server, "GET", "Things", accept="application/atom+xml")
    assert (status, headers["x-ms-error-code"]) == (415, "AtomFormatNotSupported")
    assert json.loads(body)["odata.error"]["code"] == "AtomFormatNotSupported"
    assert send(server, "GET", "Things", version="2015-04-05", accept="application/atom+xml")[0] == 200
    assert send(server, "GET", "Things", version="yesterday", **JSON)[0] == 400


# -- Batches ---------------------------------------------------------------------------------------------


def batch(server, parts: list[str], *, changes: bool = True, end: str = "\r\n") -> tuple[int, str]:
    """Send a batch; line ends are as some client would have them."""
    head = "Content-Type: application/http\nContent-Transfer-Encoding: binary\n\n"
    if changes:
        inner = "".join(f"--changes\n{head}{part}\n" for part in parts) + "--changes--\n"
        body = f"--batch\nContent-Type: multipart/mixed; boundary=changes\n\n{inner}--batch--\n"
    else:
        body = "".join(f"--batch\n{head}{part}\n" for part in parts) + "--batch--\n"
    status, _, answer = send(
        server,
        "POST",
        "$batch",
        body=body.replace("\n", end),
        content_type='multipart/mixed; boundary="batch"',
        accept="application/json",
    )
    return status, answer.decode()


def insert(row: str, host: str = "http://127.0.0.1:1/acct/", **headers: str) -> str:
    given = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in headers.items())
    body = json.dumps({"PartitionKey": "p", "RowKey": row})
    return f"POST {host}Things HTTP/1.1\nContent-Type: application/json\n{given}\n{body}"


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("host", ["http://127.0.0.1:1/acct/", "http://acct.table.core.windows.net/", "/"])
def test_a_batch_names_its_entities_in_any_form_of_url(server, table: TableClient, end: str, host: str):
    parts = [insert("1", host, Content_ID="7"), insert("2", host, Prefer="return-no-content")]
    status, answer = batch(server, parts, end=end)
    assert status == 202
    assert re.findall(r"HTTP/1\.1 (\d+)", answer) == ["201", "204"]
    assert "Content-ID: 7" in answer
    assert "RowKey='2')" in answer
    assert [one["RowKey"] for one in table.list_entities()] == ["1", "2"]


def test_a_batch_may_be_in_atom(server, table: TableClient):
    entry = ENTRY % PROPERTIES
    part = f"POST /Things HTTP/1.1\nContent-Type: application/atom+xml\n\n{entry}"
    status, answer = batch(server, [part])
    assert (status, "HTTP/1.1 201 Created" in answer) == (202, True)
    assert table.get_entity("p", "1")["int"] == 5


def test_a_batch_may_hold_one_query(server, table: TableClient):
    put(server, "1", a=5)
    status, answer = batch(server, ["GET /Things(PartitionKey='p',RowKey='1') HTTP/1.1\n\n"], changes=False)
    assert (status, '"a":5' in answer, "200 OK" in answer) == (202, True, True)
    status, answer = batch(server, ["GET /Things?$filter=a%20eq%205&$select=a HTTP/1.1\n\n"], changes=False)
    assert (status, '"a":5' in answer) == (202, True)
    status, answer = batch(server, ["GET /Things(PartitionKey='p',RowKey='2') HTTP/1.1\n\n"], changes=False)
    assert (status, "404 Not Found" in answer, '"0:The specified' in answer) == (202, True, True)


def test_changes_of_other_partitions_or_tables_are_refused(server, table: TableClient):
    other = insert("2").replace('"p"', '"q"')
    for part in (other, insert("2").replace("Things", "Others")):
        status, answer = batch(server, [insert("1"), part])
        assert status == 202
        assert '"1:' in answer
    assert "CommandsInBatchActOnDifferentPartitions" in batch(server, [insert("1"), other])[1]
    assert list(table.list_entities()) == []


def test_a_batch_with_a_wrong_etag_changes_nothing(server, table: TableClient):
    put(server, "2")
    change = "PUT /Things(PartitionKey='p',RowKey='2') HTTP/1.1\nIf-Match: W/\"wrong\"\n\n{}"
    status, answer = batch(server, [insert("1"), change])
    assert (status, "412 Precondition Failed" in answer) == (202, True)
    assert [one["RowKey"] for one in table.list_entities()] == ["2"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--batch--",
        b"--batch\r\n\r\n\r\n--batch--\r\n",
        b"--batch\r\nContent-Type: multipart/mixed\r\n\r\n--batch--\r\n",
        b"--batch\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--\r\n--batch--\r\n",
        b"--batch\r\nContent-Type: application/http\r\n\r\nGET\r\n\r\n--batch--\r\n",
        b"--batch\r\nContent-Type: application/http\r\n\r\nGET http://[ HTTP/1.1\r\n\r\n--batch--\r\n",
        b"--batch\r\nContent-Type: application/http\r\n\r\nGET /Things(x HTTP/1.1\r\nno colon\r\n\r\n--batch--\r\n",
        b"--batch\r\nContent-Type: application/http\r\n\r\nDELETE /Things HTTP/1.1\r\n\r\n--batch--\r\n",
        b"--other\r\n\r\n--other--",
        bytes(range(256)),
    ],
)
def test_what_is_no_batch_is_refused(server, table: TableClient, body: bytes):
    status, _, answer = send(
        server, "POST", "$batch", body=body, content_type="multipart/mixed; boundary=batch"
    )
    assert status == 400 or (status == 202 and b" 400 Bad Request" in answer)
    assert send(server, "POST", "$batch", body=body, content_type="text/plain")[0] == 400


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    kind=st.one_of(
        st.sampled_from(
            ["boundary*=x''%FF", "boundary*0=b; boundary*1=c", 'boundary="', "boundary=", "boundary==?x?="]
        ),
        st.text("boundary=*\"';%b ", max_size=20),
    ),
    pieces=st.lists(
        st.sampled_from(
            [
                *(
                    "--b",
                    "--b--",
                    "--c",
                    "--c--",
                    "",
                    "Content-Type: application/http",
                    "POST /Things HTTP/1.1",
                    "{}",
                ),
                *(
                    "Content-Type: multipart/mixed; boundary=c",
                    "Content-Type: application/json",
                    "x",
                    "GET /Tables x",
                ),
            ]
        ),
        max_size=14,
    ),
)
def test_no_batch_breaks_the_service(server, table, caplog, kind: str, pieces: list[str]):
    for boundary in (kind, "boundary=b"):
        body = "\r\n".join(pieces)
        status, _, _ = send(server, "POST", "$batch", body=body, content_type=f"multipart/mixed; {boundary}")
        assert status < 500, caplog.text


def test_batches_in_batches_are_refused_however_deep(server, table: TableClient):
    body = "".join(
        f"--b{n}\r\nContent-Type: multipart/mixed; boundary=b{n + 1}\r\n\r\n" for n in range(20_000)
    )
    status, _, _ = send(server, "POST", "$batch", body=body, content_type="multipart/mixed; boundary=b0")
    assert status == 400


# -- Any request -----------------------------------------------------------------------------------------

PATHS = (
    *("", "Tables", "Tables()", "Tables('Things')", "Things", "Things()", "$batch", "none", "$metadata"),
    *("Things(PartitionKey='p',RowKey='1')", "Things(PartitionKey='',RowKey='')", "%FF%00", "Things(", "a/b"),
)
QUERIES = (
    *("", "comp=acl", "comp=properties&restype=service", "comp=stats&restype=service", "$filter=a eq 1"),
    *(
        "$filter='",
        "$top=5",
        "$select=a,b,*",
        "NextPartitionKey=1!&NextRowKey=1!",
        "comp=nonsense",
        "$format=json",
    ),
)
BODIES = (
    *(b"", b"{}", b'{"PartitionKey":"p","RowKey":"2"}', b'{"TableName":"Others"}', b"<a/>", b"\xff", b"[]"),
    b"<SignedIdentifiers/>",
    b"--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nPOST /x HTTP/1.1\n\n{}\n--c--\n--b--\n",
)
HEADERS = {
    "content-type": (
        "application/json",
        "application/atom+xml",
        "multipart/mixed; boundary=b",
        "multipart/mixed",
        "é",
    ),
    "accept": ("application/json;odata=fullmetadata", "application/atom+xml", "*/*", "\x80"),
    "if-match": ("*", 'W/"x"', "x", ""),
    "prefer": ("return-no-content", "return-content", "x"),
    "x-http-method": ("MERGE", "DELETE", "x"),
    "x-ms-version": ("2009-04-14", "2011-08-18", "2013-08-15", "2021-12-02", "x"),
    "dataserviceversion": ("1.0;NetFx", "3.0"),
}


@settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "MERGE", "PATCH", "DELETE", "HEAD", "OPTIONS"]),
    path=st.one_of(st.sampled_from(PATHS), st.text("Things()'=,%aé$", max_size=12)),
    query=st.one_of(
        st.sampled_from(QUERIES), st.text("$filter= ()'1Lae", max_size=20).map("$filter={}".format)
    ),
    body=st.one_of(st.sampled_from(BODIES), st.binary(max_size=30)),
    chosen=st.fixed_dictionaries(
        {}, optional={name: st.sampled_from(values) for name, values in HEADERS.items()}
    ),
)
def test_no_request_breaks_the_service(server, table, caplog, method, path, query, body, chosen):
    sent = body if method not in ("GET", "HEAD", "OPTIONS") else b""
    target = "".join(letter if letter.isascii() else "%C3%A9" for letter in path)
    headers = {name.replace("-", "_"): value for name, value in chosen.items()}
    version = headers.pop("x_ms_version", "2015-12-11")
    status, _, _ = send(server, method, target, query.replace(" ", "%20"), sent, version, **headers)
    assert status < 500 or status == 501, caplog.text


@pytest.mark.parametrize(
    "boundary", ["boundary*=idna''x", "boundary*=undefined''x", "boundary*=utf-7''+2AA-"]
)
def test_a_boundary_in_an_odd_encoding_is_the_callers_mistake(server, table: TableClient, boundary: str):
    kind = f"multipart/mixed; {boundary}"
    assert send(server, "POST", "$batch", body=b"--x\r\n\r\n--x--", content_type=kind)[0] == 400
    nested = f"--x\r\nContent-Type: {kind}\r\n\r\n--x--".encode()
    assert send(server, "POST", "$batch", body=nested, content_type="multipart/mixed; boundary=x")[0] == 400
