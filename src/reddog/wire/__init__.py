"""What the API looks like, said once and used by both of its ends.

The operation table, the wire types, the XML codec and the catalogue of errors. A leaf: it imports no sibling.
"""

from reddog.wire import errors
from reddog.wire._decode import decode, root_name
from reddog.wire._encode import encode, encode_item
from reddog.wire._routing import Match, needs_body_root, route
from reddog.wire._schema import NIL, Collection, Scalar, WireType, model, only
from reddog.wire.errors import ErrorKind, ServiceError
from reddog.wire.operations import OPERATIONS
from reddog.wire.operations import Operation as RestOperation
from reddog.wire.types import *  # noqa: F403
from reddog.wire.types import __all__ as _types

__all__ = [  # noqa: PLE0604
    "NIL",
    "OPERATIONS",
    "Collection",
    "ErrorKind",
    "Match",
    "RestOperation",
    "Scalar",
    "ServiceError",
    "WireType",
    "decode",
    "encode",
    "encode_item",
    "errors",
    "model",
    "needs_body_root",
    "only",
    "root_name",
    "route",
    *_types,
]
