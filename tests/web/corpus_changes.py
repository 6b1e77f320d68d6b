"""Files made at random: good ones with a changed part or scribbled bytes, and sequences of amendments."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.amended_files import roll_of
from support.named_files import Json
from verifier.test_random_amendments import HOURS, PEOPLE, WEIGHTS, RandomFile
from web.corpus_files import Case, amended_cases, first_cases, named_cases, second_says

STRANGE: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**53 - 1, 2**53, 1.5, 10**30, [], {}, [[]]),
    *("", "x", "A\u202eB", "ab" * 32, "AB" * 32, "ab" * 64, "a" * 201, "\x00", "\n"),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to all parts of a JSON value."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield (*path, name)
        yield from places(part, (*path, name))


def part_at(value: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        value = value[name]
    return value


def changed(value: Any, dice: random.Random) -> Any:
    """A copy of a JSON value with one part changed, left out, added or moved."""
    made = json.loads(json.dumps(value))
    everywhere = list(places(made))
    *way, name = dice.choice(everywhere)
    holder = part_at(made, tuple(way))
    part = holder[name]
    match dice.randrange(7):
        case 0:
            holder[name] = dice.choice(STRANGE)
        case 1:
            del holder[name]
        case 2 if isinstance(holder, list):
            holder.insert(name, part)
        case 3 if type(part) is int:
            holder[name] = part + dice.choice([1, -1, 60, -60, 1000])
        case 4 | 5 if isinstance(part, str) and part:
            at = dice.randrange(len(part) + 1)
            holder[name] = part[:at] + dice.choice("0f9aZ \u00e9\n=") + part[at + dice.randint(0, 1) :]
        case 6 if isinstance(part, list):
            dice.shuffle(part)
        case _:
            holder[name] = json.loads(json.dumps(part_at(made, dice.choice(everywhere))))
    return made


def spelled(value: Any) -> bytes:
    """Canonical but for numbers that no record may have."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


SNIPPETS = [
    *(bytes([byte]) for byte in b' \n\t\r,:[]{}"\\-0\x00\x7f\xff'),
    *(
        b".0",
        b"e1",
        b"null",
        b"NaN",
        b"-0",
        b"[" * 2000,
        b"9" * 400,
        b'"kind":"amendment",',
        b'{"a":1,"a":1}',
    ),
    *(
        b"\\u0041",
        b"\\ud800",
        b"\\ud83d\\ude00",
        b"\\/",
        b"\\x",
        b"\xc3\xa9",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
    ),
]


def scribbled(data: bytes, dice: random.Random) -> bytes:
    """Bytes with a few put in, left out or replaced, mostly at the signs of JSON."""
    for _ in range(dice.choice([1, 1, 1, 2])):
        signs = [at for at in range(len(data)) if data[at] in b'{}[],:"\n'] or [0]
        at = dice.choice(signs) if dice.random() < 0.8 else dice.randrange(len(data) + 1)
        data = data[:at] + dice.choice([b"", dice.choice(SNIPPETS)]) + data[at + dice.randint(0, 1) :]
    return data


def random_cases(count: int) -> Iterator[Case]:
    """So many good files with a changed part, and as many with scribbles."""
    dice = random.Random(2037)
    good = [case for case in (*named_cases(), *amended_cases(), *first_cases()) if "good" in case.name]
    good = [case for case in good if case.product and len(case.data) < 200_000]
    for number in range(count):
        case = dice.choice(good)
        lines = [json.loads(line) for line in case.data.splitlines()]
        line = dice.randrange(len(lines))
        lines[line] = changed(lines[line], dice)
        yield case._replace(name=f"changed/{number} {case.name}", data=b"".join(map(spelled, lines)))
        yield case._replace(name=f"scribbled/{number} {case.name}", data=scribbled(case.data, dice))


def drawn_block(dice: random.Random) -> Json:
    """What a block of a `RandomFile` gets."""
    keys = ["ann", "bo", "k1", "k2", "k3"]
    amendments = [
        {
            "action": dice.choice(["add-voter", "replace-key"] * 4 + ["extend", "close"] * 2 + ["cancel"]),
            "voter": dice.choice(PEOPLE),
            "key": dice.choice(keys),
            "weight": dice.choice([1, 1, 2, 1_000_000]),
            "hour": dice.choice(HOURS),
            "shift": dice.choice([0] * 9 + [1, -1]),
            "signer": dice.choice(["the authority"] * 9 + ["ann"]),
        }
        for _ in range(dice.choice([0, 1, 1, 2]))
    ]
    votes = [
        (dice.choice(PEOPLE), dice.choice(keys), dice.choice(["Alice", "Bob"]))
        for _ in range(dice.randrange(3))
    ]
    return {
        "amendments": amendments,
        "votes": votes,
        "closes": dice.random() < 0.15,
        "left_out": (dice.random() < 0.5, dice.random() < 0.5),
        "wait": dice.choice([1, 1, 1, 300, 500]),
    }


def amendment_cases(count: int, folder: Path) -> Iterator[Case]:
    """So many sequences of amendments, votes and closings; a block that is refused is taken off again."""
    for seed in range(count):
        dice = random.Random(seed)
        voters = dice.choice([WEIGHTS, dict.fromkeys(WEIGHTS, 1)])
        made, roll = RandomFile(voters), roll_of(voters).to_file()
        for number in range(6):
            before = made.kept()
            made.grow(drawn_block(dice))
            case = Case(f"random/amendments-{seed}.{number}", "archive", made.file.pack(), roll)
            yield case
            if max(voters.values()) == 1:
                yield case._replace(name=f"{case.name}-alone", roll=None)
            if second_says(case, folder)[0]:
                made.restore(before)
