"""Files that prove something to strangers: how strictly they are read, and what can be wrong with them.

What lives here: the table of faults, reading one canonical record, errors with a fault's code. What
must not: what the records mean (`receipt.py`, `archive.py`), files.

A record has one spelling, its canonical JSON (RFC 8785), and is refused in any other: a member that
stands twice, which readers understand differently, cannot hide, and two readers see the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, TypeVar

import msgspec

from votenet.core.encoding import canonical
from votenet.errors import NotProven

T = TypeVar("T")

FAULTS: Final[dict[str, str]] = {
    # The file
    "unreadable": "The file is damaged, or is not compressed as its name says.",
    "truncated": "The file ends too early: its last line is missing or cut.",
    "line-too-long": "A line is longer than any block can be.",
    "trailing-data": "Something follows the totals.",
    "not-json": "A line is not JSON in UTF-8.",
    "duplicate-key": "A JSON object has a member twice.",
    "bad-record": "A record has a missing, unknown or malformed member.",
    "not-canonical": "A record is not written in canonical JSON.",
    "wrong-format": "The file is of another kind.",
    "wrong-version": "The file has a version that this program does not know.",
    # The election
    "bad-genesis": "The election's definition contradicts itself.",
    "network-mismatch": "The definition or a vote belongs to another network id.",
    # Headers
    "bad-header": "A header is not 80 bytes in lower-case hexadecimal.",
    "broken-chain": "A header does not name the hash of the one before it.",
    "bad-version": "A header has an unknown version.",
    "bad-bits": "A header has another difficulty than the rules ask for.",
    "bad-work": "A header's hash does not meet its target.",
    "bad-time": "A header's time is before the median of its ancestors, or in the future.",
    # Blocks
    "bad-merkle-root": "The votes are not those that the header commits to.",
    "bad-merkle-path": "The path does not lead from the vote to the header.",
    "block-too-large": "A block has too many votes or bytes.",
    "bad-order": "The votes of a block are not in ascending order of their ids.",
    "voter-twice": "A voter has two votes on the chain.",
    "not-open": "A block with votes is from before the opening.",
    "closed": "A block with votes is from after the closing.",
    # Votes
    "bad-vote": "A vote's fields break the rules.",
    "vote-too-large": "A vote has too many bytes.",
    "bad-choices": "A vote has too many choices, or one twice.",
    "unknown-candidate": "A vote is for somebody who does not stand.",
    "bad-signature": "A vote is not signed by the key that it names.",
    "not-on-roll": "A vote's voter id is not on the roll that was given.",
    "wrong-key": "A vote is signed by another key than the roll names.",
    # Against a running network
    "abandoned": "The receipt's block is not on the chain of the node that was asked.",
    # The end
    "wrong-totals": "Height, votes or tip are not what the blocks come to.",
}
"""What a checker may answer, and what it means."""


def fault(code: str, message: str) -> NotProven:
    """An error for one of FAULTS; `message` says where."""
    return NotProven(message, code=code, next_step=FAULTS[code])


def decode_record(raw: bytes, kind: type[T]) -> T:
    """One canonical record.

    Raises:
        NotProven: not-json, duplicate-key, bad-record, not-canonical.
    """
    try:
        value = msgspec.json.decode(raw, type=kind)
        if canonical(value) == raw:
            return value
    except msgspec.ValidationError as error:
        _check_syntax(raw)
        raise fault("bad-record", str(error)[:200]) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        _check_syntax(raw)
        raise fault("not-json", f"not JSON: {str(error)[:200]}") from None
    missing = _left_out(_check_syntax(raw), msgspec.to_builtins(value))
    if missing:
        raise fault("bad-record", f"the member {missing!r} is missing")
    raise fault("not-canonical", "the record is written in another way than canonical JSON")


def _left_out(written: Any, read: Any) -> str:
    """The first member that the decoder filled in with its default; empty if all are written."""
    if isinstance(read, dict):
        left = next((name for name in read if name not in written), "")
        return left or next(filter(None, (_left_out(written[name], read[name]) for name in read)), "")
    if isinstance(read, list | tuple):
        return next(filter(None, map(_left_out, written, read)), "")
    return ""


class _Twice(Exception):
    """A member stands twice in one object."""


def _unique(members: Iterable[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in members:
        if name in found:
            raise _Twice(name)
        found[name] = value
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _check_syntax(raw: bytes) -> object:
    """The record as it is written. Raises NotProven, not-json or duplicate-key: the quick decoder does not
    tell them apart."""
    try:
        value: object = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a surrogate pair is no text
    except _Twice as error:
        raise fault("duplicate-key", f"the member {str(error)!r} stands twice") from None
    except (ValueError, RecursionError) as error:
        raise fault("not-json", f"not JSON: {str(error)[:200]}") from None
    return value
