"""Answers as bytes, joined from what is stored: nothing of it is decoded and encoded again.

What lives here: lines that are long, or asked for often. What must not: what goes into them (`answers.py`,
`block_relay.py`). Each is byte for byte what `encode_message` makes of the same message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from votenet.core.limits import HEADER_BYTES


def headers_line(packed: bytes, request_id: int | None) -> bytes:
    """`headers` from packed headers, one after another."""
    return b'{"type":"headers","headers":[%s]%s}' % (_hex_list(packed, HEADER_BYTES), _id(request_id))


def votes_line(records: Iterable[bytes], request_id: int | None) -> bytes:
    """`votes` from canonical records."""
    return b'{"type":"votes","votes":[%s]%s}' % (b",".join(records), _id(request_id))


def block_votes_line(block_hash: str, records: Iterable[bytes]) -> bytes:
    """`block_votes` from canonical records."""
    return b'{"type":"block_votes","hash":"%s","votes":[%s]}' % (block_hash.encode(), b",".join(records))


def proof_line(
    record: bytes,
    header: bytes,
    headers: bytes,
    request_id: int | None,
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


def with_id(line: bytes, request_id: int | None) -> bytes:
    """A line that was encoded without an id, with one at its end."""
    return line if request_id is None else b"%s%s}" % (line[:-1], _id(request_id))


def _id(request_id: int | None) -> bytes:
    return b"" if request_id is None else b',"id":%d' % request_id


def _hex_list(packed: bytes, size: int) -> bytes:
    """Quoted hexadecimal of pieces of `size` bytes, with commas between."""
    if not packed:
        return b""
    return b'"%s"' % packed.hex(",", size).replace(",", '","').encode()
