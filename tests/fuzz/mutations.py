"""Changing an input a little: bytes, lines, and the JSON in it.

All inputs are bytes; most are lines, and most lines hold JSON behind a word or two. So one mutator does
for all: it takes a line's JSON apart when there is some, and else works on bytes. All chance comes from
one `random.Random`: the same generator in the same state gives the same bytes.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, [], {}, "", " ", "\x00", "\u2028", "\ud800", "\U0001f5f3", "a\nb", "é", "0", "-1"),
    *(0, -1, 1, 2, 3, 255, 256, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53 - 1, 2**53),
    *(2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**400, 0.0, 1.0, 1.5, -0.0, 1e308),
    *("ab" * 32, "AB" * 32, "00" * 32, "cd" * 64, "01" * 80, "x" * 300, "localhost:3000", "[::1]:1", [[]]),
)
PIECES: Final[tuple[bytes, ...]] = (
    *(b"\n", b"\r\n", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\\ud800", b"{}", b"[]", b"null"),
    *(b'"', b",", b":", b"{", b"}", b"NaN", b"1e999", b"-", b"=", b"[" * 2000, b'{"a":' * 2000, b"9" * 5000),
    *(b"A" * 5000, b"\xf0\x9f\x97\xb3", b"\xc2\x9b", b"2027-01-01T00:00:00Z", b"0001-01-01T00:00:00+14:00"),
)
Change = Callable[[Random, bytes, Sequence[bytes]], bytes]


def mutate(dice: Random, data: bytes, others: Sequence[bytes], tokens: Sequence[bytes], limit: int) -> bytes:
    """Another input of at most `limit` bytes: one to four changes, with parts of `others` and `tokens`."""
    pieces = (*PIECES, *tokens)
    for _ in range(dice.choice((1, 1, 1, 2, 2, 3, 4))):
        kind = dice.random()
        if kind < 0.45:
            data = _change_json(dice, data, others)
        elif kind < 0.65:
            data = _change_lines(dice, data, others)
        else:
            data = dice.choice(_BYTES)(dice, data, others if dice.random() < 0.3 else pieces)
    return data[:limit]


# -- bytes -----------------------------------------------------------------------------------------


def _place(dice: Random, data: bytes) -> tuple[int, int]:
    """A slice: short as a rule."""
    start = dice.randint(0, len(data))
    return start, min(len(data), start + int(dice.paretovariate(0.7)))


def _flip(dice: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    if not data:
        return data
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]


def _overwrite(dice: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = dice.randint(0, len(data))
    new = dice.randbytes(dice.choice((1, 1, 2, 4, 8)))
    return data[:at] + new + data[at + len(new) :]


def _digit(dice: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    places = [at for at, byte in enumerate(data[:100_000]) if 48 <= byte <= 57]
    if not places:
        return data
    at = dice.choice(places)
    return data[:at] + b"%d" % dice.randrange(10) + data[at + 1 :]


def _delete(dice: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _place(dice, data)
    return data[:start] + data[end:]


def _repeat(dice: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _place(dice, data)
    return data[:end] + data[start:end] * dice.choice((1, 1, 2, 30)) + data[end:]


def _cut(dice: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: dice.randint(0, len(data))]


def _insert(dice: Random, data: bytes, pieces: Sequence[bytes]) -> bytes:
    start, end = _place(dice, data)
    piece = dice.choice(pieces)
    if len(piece) > 6000:
        start_of, end_of = _place(dice, piece)
        piece = piece[start_of:end_of]
    return data[:start] + piece + data[end if dice.random() < 0.5 else start :]


_BYTES: Final[tuple[Change, ...]] = (_flip, _overwrite, _digit, _delete, _repeat, _cut, _insert, _insert)


# -- lines -----------------------------------------------------------------------------------------


def _change_lines(dice: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    lines = data.splitlines(keepends=True) or [b""]
    at = dice.randrange(len(lines))
    kind = dice.randrange(5)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(dice.randint(0, len(lines)), lines[at])
    elif kind == 2:
        to = dice.randrange(len(lines))
        lines[at], lines[to] = lines[to], lines[at]
    else:
        theirs = dice.choice(others).splitlines(keepends=True) or [b""]
        start = dice.randrange(len(theirs))
        lines[at:at] = theirs[start : start + dice.choice((1, 1, 2, 5))]
    return b"".join(lines)


# -- JSON ------------------------------------------------------------------------------------------


def _change_json(dice: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change the JSON of one line, or of the whole input; bytes if there is none."""
    lines = [data] if dice.random() < 0.2 else data.splitlines(keepends=True) or [b""]
    at = dice.randrange(len(lines))
    found = _parse(lines[at])
    if found is None:
        return _overwrite(dice, data, ())
    before, value, after = found
    for _ in range(dice.choice((1, 1, 2))):
        value = _change_value(dice, value, others)
    text = json.dumps(
        value,
        sort_keys=dice.random() < 0.9,
        separators=(",", ":") if dice.random() < 0.95 else None,
        ensure_ascii=dice.random() < 0.1,
    )
    lines[at] = before + text.encode("utf-8", "surrogatepass") + after
    return b"".join(lines)


def _parse(line: bytes) -> tuple[bytes, Any, bytes] | None:
    """(what stands before the JSON, the value, the line's end)."""
    starts = [at for at in (line.find(b"{"), line.find(b"[")) if at >= 0]
    if not starts or len(line) > 200_000:
        return None
    body = line.rstrip(b"\r\n")
    try:
        return line[: min(starts)], json.loads(body[min(starts) :]), line[len(body) :]
    except (ValueError, RecursionError):
        return None


def _change_value(dice: Random, root: Any, others: Sequence[bytes]) -> Any:
    """Change one place in a parsed value."""
    places = _places(root)
    if not places or dice.random() < 0.02:
        return copy.deepcopy(dice.choice(VALUES))
    inner, key = dice.choice(places)
    kind = dice.random()
    if kind < 0.35:
        inner[key] = _other_value(dice, inner[key])
    elif kind < 0.5:
        inner[key] = copy.deepcopy(dice.choice(VALUES))
    elif kind < 0.65:  # a value of another place: right in its type perhaps, wrong in its meaning
        theirs = _parse(dice.choice(dice.choice(others).splitlines() or [b""])) if kind < 0.57 else None
        source = _places(theirs[1] if theirs else root) or places
        there, name = dice.choice(source)
        if len(json.dumps(there[name])) < 5000:
            inner[key] = json.loads(json.dumps(there[name]))
    elif kind < 0.75:
        del inner[key]
    elif isinstance(inner, list):
        _change_list(dice, inner, key)
    else:
        inner[dice.choice((*inner, "id", "x", ""))] = inner.pop(key)
    return root


def _change_list(dice: Random, items: list[Any], at: int) -> None:
    kind = dice.randrange(4)
    if kind == 0:
        items.insert(dice.randint(0, len(items)), json.loads(json.dumps(items[at])))
    elif kind == 1:
        dice.shuffle(items)
    elif kind == 2:
        del items[dice.randrange(len(items)) :]
    else:
        items.extend([items[at]] * dice.choice((1, 10, 100)))


def _other_value(dice: Random, value: Any) -> Any:
    """A value of the same type as a rule."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + dice.choice(
            (-1, 1, -value, value, -10, 10, 3600, -3600, 2**32, 1 << dice.randrange(64))
        )
    if isinstance(value, str) and value:
        at = dice.randrange(len(value))
        if len(value) >= 16 and dice.random() < 0.5 and all(c in "0123456789abcdef" for c in value):
            return value[:at] + dice.choice("0123456789abcdef") + value[at + 1 :]
        new = dice.choice(("", "a", "\n", " ", "A", "0", "\u200b", "\x85", "é", '"', "\U0001f5f3", value))
        return dice.choice(
            (value[:at] + new + value[at + 1 :], value[:at] + new + value[at:], new + value, value + new)
        )
    return copy.deepcopy(dice.choice(VALUES))


def _places(root: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a value, at most a few thousand."""
    found: list[tuple[Any, Any]] = []
    todo = [root]
    while todo and len(found) < 5000:
        inner = todo.pop()
        if isinstance(inner, dict):
            found += [(inner, key) for key in inner]
            todo += inner.values()
        elif isinstance(inner, list):
            found += [(inner, at) for at in range(len(inner))]
            todo += inner
    return found
