"""Types of the fields of messages (how long, of which characters), and texts and packed lists in them."""

from __future__ import annotations

import base64
import binascii
import functools
import re
import struct
from typing import Annotated, Final

import msgspec

from votenet.core.encoding import Unsigned
from votenet.core.ledger.mempool import SHORT_ID
from votenet.core.limits import HEADER_BYTES, MAX_NAME
from votenet.core.text import NEVER
from votenet.errors import RemoteProtocolError

MAX_TEXT: Final = 1000
"""Characters of a sentence that another program wrote."""
MAX_LABEL: Final = 100
"""Characters of the name of a node, of its version, of its kernel."""
SHORT_KEY: Final = 8
"""Bytes of a node key in `neighbours`: another key that begins with the same ones gains nothing by it."""
ANNOUNCED: Final = 2 * SHORT_ID
"""Bytes of one announced vote."""

_CODE = r"[a-z0-9_-]{1,64}"
_ADDRESS = r"[0-9A-Za-z_.:%\[\]-]{1,262}"
_ONE_LINE = rf"^[^{NEVER}]*\Z"

Code = Annotated[str, msgspec.Meta(pattern=rf"^{_CODE}\Z")]
"""Of an error, a warning, a state, a method, a kernel."""
HexHeader = Annotated[str, msgspec.Meta(min_length=2 * HEADER_BYTES, max_length=2 * HEADER_BYTES)]
HexSeed = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")]
HexWork = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{1,64}\Z")]
RequestId = Unsigned | None
Data = str | None
AddressText = Annotated[str, msgspec.Meta(pattern=rf"^{_ADDRESS}\Z")]
"""`host:port`, or an IP address alone: characters that are safe in any log or terminal."""
OptionalAddress = Annotated[str, msgspec.Meta(pattern=rf"^({_ADDRESS})?\Z")]
Line = Annotated[str, msgspec.Meta(pattern=_ONE_LINE, max_length=MAX_TEXT)]
"""A text of another program: one line, nothing that steers a terminal or turns the order of letters."""
Label = Annotated[str, msgspec.Meta(pattern=_ONE_LINE, max_length=MAX_LABEL)]
Name = Annotated[str, msgspec.Meta(pattern=_ONE_LINE, max_length=MAX_NAME)]
"""Of an election or a candidate, as a node sends it."""

_address, _code = re.compile(_ADDRESS), re.compile(_CODE)


def is_address(text: str) -> bool:
    """Whether the characters and the length are those of an address."""
    return _address.fullmatch(text) is not None


def is_code(text: str) -> bool:
    """Whether this may be the code of an error."""
    return _code.fullmatch(text) is not None


def as_line(text: str, longest: int = MAX_TEXT) -> str:
    """A text as `Line` takes it: cut, with a question mark for what is not printable."""
    return (text if text.isascii() and text.isprintable() else _unprintable().sub("?", text))[:longest]


@functools.cache
def _unprintable() -> re.Pattern[str]:
    """Compiled when it is needed: every command starts with this module."""
    return re.compile(f"[{NEVER}\\ud800-\\udfff]")


def work_to_hex(work: int) -> str:
    return format(work, "x")


# The functions below raise RemoteProtocolError (bad-message) for a field that is not what it should be.


def decode_data(data: Data) -> bytes:
    """The bytes in a `data` field of the reference client; empty for null, as Go reads it."""
    try:
        return base64.b64decode(data or "", validate=True)
    except (binascii.Error, ValueError):
        raise RemoteProtocolError("bad-message", "the data field is not base64") from None


def encode_data(payload: bytes) -> str:
    """Base64 with padding, as Go's encoder writes a byte slice."""
    return base64.b64encode(payload).decode("ascii")


def split_ids(ids: bytes) -> list[bytes]:
    """The short ids in a field."""
    _check_length(ids, SHORT_ID, "short ids")
    return [ids[start : start + SHORT_ID] for start in range(0, len(ids), SHORT_ID)]


def split_keys(keys: bytes) -> frozenset[bytes]:
    """The short keys in `neighbours`."""
    _check_length(keys, SHORT_KEY, "keys of neighbours")
    return frozenset(keys[start : start + SHORT_KEY] for start in range(0, len(keys), SHORT_KEY))


def split_announced(ids: bytes) -> list[tuple[bytes, bytes]]:
    """(short id with the reader's seed, with the sender's) of each vote in `have_votes`."""
    _check_length(ids, ANNOUNCED, "announced votes")
    return list(struct.iter_unpack(f"{SHORT_ID}s{SHORT_ID}s", ids))


def _check_length(field: bytes, size: int, what: str) -> None:
    if len(field) % size:
        raise RemoteProtocolError("bad-message", f"{what} come in {size} bytes each")
