"""The catalogue of errors, and the document that an error becomes."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from reddog import wire
from reddog.wire import errors

CATALOGUE = {name: kind for name, kind in vars(errors).items() if isinstance(kind, wire.ErrorKind)}
EVERY_ENTRY = pytest.mark.parametrize("name", CATALOGUE)
STATUSES = {400, 403, 404, 405, 408, 409, 411, 412, 413, 500, 501, 503}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@EVERY_ENTRY
def test_an_entry_has_a_code_and_a_status_of_http(name):
    kind = CATALOGUE[name]
    assert re.fullmatch("[A-Z][A-Za-z]+", kind.code)
    assert kind.status in STATUSES


def test_a_code_has_one_status():
    statuses: dict[str, set[int]] = {}
    for kind in CATALOGUE.values():
        statuses.setdefault(kind.code, set()).add(kind.status)
    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}


@EVERY_ENTRY
def test_an_entry_is_filled_in_by_names_alone(name):
    kind = CATALOGUE[name]
    names = placeholders(kind.message) | placeholders(kind.remedy)
    assert all(part.isidentifier() for part in names)
    error = kind(**{part: f"<{part}>" for part in names})
    assert "{" not in error.message + error.remedy
    assert all(f"<{part}>" in error.message + error.remedy for part in names)


@EVERY_ENTRY
def test_an_entry_begins_like_a_sentence(name):
    message = CATALOGUE[name].message
    assert message[0].isupper() or message[0] == "{"
    assert "  " not in message


def test_no_two_entries_say_the_same():
    said = [(kind.code, kind.message) for kind in CATALOGUE.values()]
    assert len(said) == len(set(said))


def test_an_error_carries_what_answers_logs_and_stores_need():
    error = errors.ROLE_NOT_FOUND(name="web")
    assert (error.code, error.status) == ("ResourceNotFound", 404)
    assert str(error) == error.message == "Role web was not found in the currently deployed service."
    assert error.docs == "docs/errors.md#resourcenotfound"


def test_an_endless_value_is_cut_in_the_message():
    assert len(errors.UNKNOWN_PATH(path="x" * 10_000).message) < 300


@given(st.text())
def test_any_message_becomes_a_document(message):
    root = etree.fromstring(wire.ServiceError("BadRequest", 400, message).to_xml())
    assert root.tag == "{http://schemas.microsoft.com/windowsazure}Error"
    assert [etree.QName(child).localname for child in root] == ["Code", "Message"]


def test_values_are_not_templates():
    assert errors.ROLE_NOT_FOUND(name="{0} {name}").message.startswith("Role {0} {name} was")
