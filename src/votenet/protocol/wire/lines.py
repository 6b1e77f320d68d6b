"""Long answers as bytes, joined from what is stored: nothing is decoded and encoded again.

Each line is byte for byte what `encode_message` makes of the same message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from votenet.core.limits import HEADER_BYTES
from votenet.protocol.wire.fields import RequestId
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.messages import encode_message


class Numbered(NamedTuple):
    """A long answer that many wait for, and the id of one request: joined when it is sent, not before.

    Two thousand questions on one link must not make two thousand copies before the first one is written.
    """

    line: bytes
    request_id: RequestId


def line_of(message: Message | bytes | Numbered) -> bytes:
    """The line of a message; a line stays as it is."""
    if isinstance(message, Numbered):
        return with_id(message.line, message.request_id)
    return message if isinstance(message, bytes) else encode_message(message)


def headers_line(packed: bytes, request_id: RequestId, commit: bytes = b"") -> bytes:
    """`headers` from packed headers, one after another, and the commit of the last one in JSON."""
    decided = b',"commit":' + commit if commit else b""
    return b'{"type":"headers","headers":[%s]%s%s}' % (
        _hex_list(packed, HEADER_BYTES),
        decided,
        _id(request_id),
    )


def votes_line(records: Iterable[bytes], request_id: RequestId = None, asker: int | None = None) -> bytes:
    """`votes` from canonical records."""
    asked = b"" if asker is None else b',"asker":%d' % asker
    return b'{"type":"votes","votes":[%s]%s%s}' % (b",".join(records), _id(request_id), asked)


def block_votes_line(block_hash: str, records: Iterable[bytes]) -> bytes:
    """`block_votes` from canonical records."""
    return b'{"type":"block_votes","hash":"%s","votes":[%s]}' % (block_hash.encode(), b",".join(records))


def proof_line(
    record: bytes,
    header: bytes,
    headers: bytes,
    request_id: RequestId,
    *,
    height: int,
    position: int,
    size: int,
    path: Sequence[bytes],
) -> bytes:
    """`proof` from a canonical record and packed headers. Fields with their default value are left out."""
    return b'{"type":"proof","vote":%s,"header":"%s","height":%d%s,"size":%d%s%s%s}' % (
        record,
        header.hex().encode(),
        height,
        b',"position":%d' % position if position else b"",
        size,
        b',"path":[%s]' % _hex_list(b"".join(path), 32) if path else b"",
        b',"headers":[%s]' % _hex_list(headers, HEADER_BYTES) if headers else b"",
        _id(request_id),
    )


def final_proof_line(
    record: bytes, proof: str, request_id: RequestId, *, height: int, position: int
) -> bytes:
    """`proof` from a canonical record and a tlog-proof."""
    return b'{"type":"proof","vote":%s%s,"height":%d%s%s}' % (
        record,
        b',"proof":' + msgspec.json.encode(proof) if proof else b"",
        height,
        b',"position":%d' % position if position else b"",
        _id(request_id),
    )


def with_id(line: bytes, request_id: RequestId) -> bytes:
    """A line that was encoded without an id, with one at its end."""
    return line if request_id is None else b"%s%s}" % (line[:-1], _id(request_id))


def _id(request_id: RequestId) -> bytes:
    return b"" if request_id is None else b',"id":%d' % request_id


def _hex_list(packed: bytes, size: int) -> bytes:
    """Quoted hexadecimal of pieces of `size` bytes, with commas between."""
    if not packed:
        return b""
    return b'"%s"' % packed.hex(",", size).replace(",", '","').encode()
