"""Strict reading of records that prove something to strangers.

A record has one spelling, its canonical JSON (RFC 8785), and is refused in any other: a member that
stands twice, which readers understand differently, cannot hide, and two readers see the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from votenet.core.encoding import canonical
from votenet.core.faults import fault
from votenet.core.limits import FORMAT_VERSION

T = TypeVar("T")


def check_format(written: str, version: int, expected: str, known: int = FORMAT_VERSION) -> None:
    """Raises NotProven: wrong-format, wrong-version."""
    if written != expected:
        raise fault("wrong-format", f"this is {written!r}, not {expected!r}")
    if version != known:
        raise fault("wrong-version", f"version {version} is not known here")


def decode_record(raw: bytes, kind: type[T]) -> T:
    """One canonical record. Raises NotProven: not-json, duplicate-key, bad-record, not-canonical."""
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


def read_record(raw: bytes, kind: type[T]) -> T:
    """One record in any spelling that leaves no doubt what it says: white space and order do not matter.

    Raises:
        NotProven: not-json, duplicate-key, bad-record.
    """
    try:
        _check_syntax(raw)
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise fault("bad-record", str(error)[:200]) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise fault("not-json", f"not JSON: {str(error)[:200]}") from None


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
    unique: dict[str, object] = {}
    for name, value in members:
        if name in unique:
            raise _Twice(name)
        unique[name] = value
    return unique


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _check_syntax(raw: bytes) -> object:
    """The record as it is written. Raises NotProven not-json or duplicate-key, which msgspec does not tell
    apart."""
    try:
        value: object = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a surrogate pair is no text
    except _Twice as error:
        raise fault("duplicate-key", f"the member {str(error)!r} stands twice") from None
    except json.JSONDecodeError as error:  # a record is one line: the number of its line is said elsewhere
        raise fault("not-json", f"not JSON: {error.msg} at character {error.pos + 1}") from None
    except (ValueError, RecursionError) as error:
        raise fault("not-json", f"not JSON: {str(error)[:200]}") from None
    return value
