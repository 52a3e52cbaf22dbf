"""What is written is read again, by the service and by the clients, whatever the type and its content."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

import wire_samples as samples
from reddog import wire

FEW = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
EVERY_TYPE = pytest.mark.parametrize("cls", samples.TYPES, ids=lambda cls: cls.__name__)
NAMESPACE = 'xmlns="http://schemas.microsoft.com/windowsazure"'


@EVERY_TYPE
def test_the_service_reads_what_was_written(cls):
    @FEW
    @given(samples.requests(cls))
    def holds(value: Any) -> None:
        assert wire.decode(cls, wire.encode(value), strict=True) == value

    holds()


@EVERY_TYPE
def test_the_clients_read_what_was_written(cls):
    @FEW
    @given(samples.answers(cls))
    def holds(value: Any) -> None:
        assert wire.decode(cls, wire.encode(value, response=True)) == value

    holds()


@EVERY_TYPE
def test_a_fresh_object_can_be_written(cls):
    root = etree.fromstring(wire.encode(cls()))
    assert etree.QName(root).localname == cls.xml_name()


@EVERY_TYPE
def test_a_type_declares_each_element_and_attribute_once(cls):
    declared = samples.members(cls)
    assert {name for name, _ in declared} == {item.name for item in fields(cls) if item.metadata}
    assert len({member.tag for _, member in declared}) == len(declared)


def test_a_document_is_written_as_the_service_does():
    body = wire.UpdateDeploymentStatus(status="Running")
    assert wire.encode(body) == (
        b'<UpdateDeploymentStatus xmlns="http://schemas.microsoft.com/windowsazure" '
        b'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><Status>Running</Status></UpdateDeploymentStatus>'
    )


def test_an_absent_value_is_left_out_an_empty_one_is_written_and_nil_is_marked():
    group = wire.only(wire.AffinityGroup, name="", description=wire.NIL, label="é")
    text = wire.encode(group).decode()
    assert "<Name/>" in text
    assert '<Description i:nil="true"/>' in text
    assert "<Label>w6k=</Label>" in text
    assert "Location" not in text
    assert wire.decode(wire.AffinityGroup, text.encode(), strict=True).description is None


def test_another_root_can_be_asked_for():
    assert b"<Thing " in wire.encode(wire.Swap("a", "b"), "Thing")


def test_an_item_of_a_list_has_no_namespace_declarations():
    assert wire.encode_item(wire.only(wire.Location, name="West US")) == (
        b"<Location><Name>West US</Name></Location>"
    )


@pytest.mark.parametrize("character", ["\x00", "\x08", "\x1f", "\ufffe", "\ud800"])
def test_a_character_that_xml_cannot_hold_is_refused_with_its_number(character):
    with pytest.raises(wire.ServiceError, match=rf"U\+{ord(character):04X}") as caught:
        wire.encode(wire.Swap(character, "b"))
    assert caught.value.status == 400


def test_secrets_stay_out_of_the_repr():
    linux = wire.LinuxConfigurationSet("host", "user", "Secret-1", custom_data="Secret-2")
    windows = wire.WindowsConfigurationSet(admin_password="Secret-3")
    joined = wire.Credentials("domain", "user", "Secret-4")
    keys = wire.StorageServiceKeys("Secret-5", "Secret-6")
    certificate = wire.CertificateFile(data="U2VjcmV0", password="Secret-7")
    for value in (linux, windows, joined, keys, certificate):
        assert "Secret" not in repr(value)


# -- What the service's reader makes of other people's documents -----------------------------------------


def decode(cls: type[Any], inner: str) -> Any:
    return wire.decode(cls, f"<{cls.xml_name()} {NAMESPACE}>{inner}</{cls.xml_name()}>".encode(), strict=True)


def test_unknown_elements_and_attributes_are_dropped():
    read = decode(wire.Swap, '<Production a="b">x</Production><New/><SourceDeployment>y</SourceDeployment>')
    assert read == wire.Swap("x", "y")


def test_an_element_out_of_order_is_dropped():
    group = "<Name>a</Name><Label>bA==</Label><Location>West US</Location><Description>late</Description>"
    assert decode(wire.CreateAffinityGroup, group).description is None


def test_an_element_of_another_namespace_is_unknown():
    with pytest.raises(wire.ServiceError, match="SourceDeployment is required in Swap"):
        decode(wire.Swap, '<Production>x</Production><SourceDeployment xmlns="urn:x">y</SourceDeployment>')


def test_the_first_of_two_equal_elements_counts():
    read = decode(
        wire.Swap,
        "<Production>x</Production><Production>z</Production><SourceDeployment>y</SourceDeployment>",
    )
    assert read.production == "x"


def test_comments_and_instructions_are_not_there():
    read = decode(
        wire.Swap, "<Production>a<!-- no -->b<?x?></Production><SourceDeployment>y</SourceDeployment>"
    )
    assert read.production == "ab"


def test_white_space_round_values_is_no_part_of_them_but_stays_in_texts():
    read = decode(wire.RollbackUpdateOrUpgrade, "<Mode> auto </Mode><Force>\n true </Force>")
    assert (read.mode, read.force) == (" auto ", True)


@pytest.mark.parametrize("value", ["yes", "2", "-", "true false"])
def test_a_truth_value_is_true_or_false(value):
    with pytest.raises(wire.ServiceError, match="Force must hold true or false"):
        decode(wire.RollbackUpdateOrUpgrade, f"<Mode>auto</Mode><Force>{value}</Force>")


@pytest.mark.parametrize("value", ["x", "1.5", "1_0", "٣", "1" * 30, "0x1", "1 2"])
def test_a_whole_number_has_ascii_digits_alone(value):
    with pytest.raises(wire.ServiceError, match="UpgradeDomain must hold a whole number"):
        decode(wire.WalkUpgradeDomain, f"<UpgradeDomain>{value}</UpgradeDomain>")


@pytest.mark.parametrize("value", ["!", "YQ", "é", "/w=="])
def test_encoded_text_is_base64_of_utf_8(value):
    with pytest.raises(wire.ServiceError, match="Label must hold base64 of UTF-8 text"):
        decode(wire.CreateAffinityGroup, f"<Name>a</Name><Label>{value}</Label><Location>b</Location>")


@pytest.mark.parametrize("inner", ["", "<SourceDeployment/>", "<SourceDeployment>  </SourceDeployment>"])
def test_a_missing_required_element_is_named_with_its_parent(inner):
    production = "<Production>y</Production>"
    if inner == "<SourceDeployment>  </SourceDeployment>":
        assert (
            decode(wire.Swap, production + inner).source_deployment == "  "
        )  # names are judged by the rules
        return
    with pytest.raises(wire.ServiceError, match="SourceDeployment is required in Swap") as caught:
        decode(wire.Swap, production + inner)
    assert (caught.value.code, caught.value.status) == ("InvalidXmlRequest", 400)


def test_elements_in_place_of_text_are_refused():
    with pytest.raises(wire.ServiceError, match="Production must hold text, not elements"):
        decode(wire.Swap, "<Production><b/></Production><SourceDeployment>y</SourceDeployment>")


def test_a_wrong_root_is_told_with_the_right_one():
    with pytest.raises(wire.ServiceError, match=r"root must be Swap .*, not Swop"):
        wire.decode(wire.Swap, f"<Swop {NAMESPACE}/>".encode(), strict=True)
    with pytest.raises(wire.ServiceError, match="root must be Swap"):
        wire.decode(wire.Swap, b"<Swap/>", strict=True)  # no namespace


# -- Hostile documents -----------------------------------------------------------------------------------

ENTITIES = b'<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]><a>&z;</a>'
HOSTILE = {
    "nothing": b"",
    "white space": b"  \n",
    "no XML": b"{}",
    "an open element": b"<Swap>",
    "two roots": b"<a/><b/>",
    "a document type": b"<!DOCTYPE Swap><Swap/>",
    "an external document type": b'<!DOCTYPE Swap SYSTEM "file:///etc/passwd"><Swap/>',
    "entities": ENTITIES,
    "an external entity": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "an unknown entity": b"<Swap>&x;</Swap>",
    "an unknown encoding": b'<?xml version="1.0" encoding="klingon"?><Swap/>',
    "another encoding than it says": b'<?xml version="1.0" encoding="utf-8"?><Swap>\xff\xfe</Swap>',
    "a zero byte": b"<Swap>\x00</Swap>",
    "too many levels": b"<a>" * 5000 + b"</a>" * 5000,
    "an endless text": b"<a>" + b"x" * 11_000_000 + b"</a>",
    "an undeclared prefix": b"<x:Swap/>",
    "a document type in another encoding": '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE Swap><Swap/>'.encode(
        "utf-16"
    ),
    "a document type in a hidden encoding": b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE Swap><Swap/>',
    "a document type in a mainframe's encoding": '<?xml version="1.0" encoding="IBM037"?><!DOCTYPE Swap><Swap/>'.encode(
        "cp037"
    ),
}


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_document_is_a_bad_request(what, strict):
    with pytest.raises(wire.ServiceError) as caught:
        wire.decode(wire.Swap, HOSTILE[what], strict=strict)
    assert (caught.value.code, caught.value.status) == ("InvalidXmlRequest", 400)
    etree.fromstring(caught.value.to_xml())
    assert "<string>" not in caught.value.message  # which is where the parser thinks that it has read it


def test_the_root_of_a_hostile_document_is_not_told():
    for document in HOSTILE.values():
        with pytest.raises(wire.ServiceError):
            wire.root_name(document)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_arbitrary_bytes_raise_nothing_but_service_errors(data, strict):
    with pytest.raises(wire.ServiceError):
        wire.decode(wire.DeploymentRequest, data, strict=strict)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_damaged_documents_are_read_or_refused(data):
    cls = data.draw(st.sampled_from(samples.TYPES))
    document = bytearray(wire.encode(data.draw(samples.requests(cls))))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(document)))
        end = min(len(document), start + data.draw(st.integers(0, 20)))
        document[start:end] = data.draw(st.binary(max_size=4) | st.just(bytes(document[end : end + 20])))
    for strict in (True, False):
        assert _outcome(cls, bytes(document), strict) in (cls, 400)


TAGS = st.sampled_from(sorted({member.tag for cls in samples.TYPES for _, member in samples.members(cls)}))
TREES = st.recursive(
    st.tuples(TAGS, samples.XML_TEXT),
    lambda below: st.tuples(TAGS, st.lists(below, max_size=4)),
    max_leaves=12,
)


def _tree(content: Any, parent: etree._Element) -> None:
    tag, inner = content
    node = etree.SubElement(parent, f"{{{NAMESPACE[7:-1]}}}{tag}")
    if isinstance(inner, str):
        node.text = inner
    else:
        for one in inner:
            _tree(one, node)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(samples.TYPES), st.lists(TREES, max_size=4))
def test_any_tree_of_known_elements_is_read_or_refused(cls, content):
    """Elements where they do not belong, texts in place of elements, and the other way round."""
    root = etree.Element(f"{{{NAMESPACE[7:-1]}}}{cls.xml_name()}")
    for one in content:
        _tree(one, root)
    document = etree.tostring(root)
    for strict in (True, False):
        assert _outcome(cls, document, strict) in (cls, 400)


def _outcome(cls: type[Any], document: bytes, strict: bool) -> Any:
    try:
        return type(wire.decode(cls, document, strict=strict))
    except wire.ServiceError as error:
        return error.status


# -- Objects ---------------------------------------------------------------------------------------------


def test_objects_are_equal_when_all_their_attributes_are():
    assert wire.Swap("a", "b") == wire.Swap("a", "b")
    assert wire.Swap("a", "b") != wire.Swap("a", "c")
    assert wire.AllRoles() != wire.ExtensionRefs(), "types differ"
    assert wire.RoleList([wire.Role("web")]) == wire.RoleList([wire.Role("web")])


def test_objects_show_their_attributes_and_cannot_be_keys():
    assert repr(wire.Swap("a", "b")) == "Swap(production='a', source_deployment='b')"
    with pytest.raises(TypeError, match="unhashable"):
        hash(wire.Swap("a", "b"))
