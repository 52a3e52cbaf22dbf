"""Answers that are one value, in a namespace of their own (xml-elements.md, section "Roots")."""

from __future__ import annotations

from reddog.wire._schema import Scalar, boolean, model, text


@model
class SerializedString(Scalar):
    """The answer ``string``."""

    _xml_name = "string"

    value: str | None = text("string", "")


@model
class SerializedBoolean(Scalar):
    """The answer ``boolean``."""

    _xml_name = "boolean"

    value: bool | None = boolean("boolean", False)
