"""A club's evening as an archive: four contests, forty members with weights, named nodes, a final result."""

from __future__ import annotations

import random
from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import msgspec

from support.amendments import AUTHORITY
from support.elections import CREATED, key_of
from support.named_files import (
    CLOSES,
    Batch,
    NamedFile,
    closing_of,
    key_id,
    named_definition,
    note_line,
    record_id,
)
from votenet.core.election.amendment import Action, sign_amendment
from votenet.core.election.roll import Roll

MEMBERS: Final = tuple(f"{number:04}" for number in range(1, 41))
VOTED: Final = 34
ADDED: Final = "0041"
EXTENDED: Final = CLOSES + 600
WITNESS: Final = "witness.example/harbour"
CHAIR: Final = ("Ann Archer", "Bo Berg", "Cy Cohen", "Dee Dahl")
BOARD: Final = ("Eva", "Finn", "Gil", "Hana", "Ivo", "Jun")
SITES: Final = ("Lake", "River", "Harbour", "Bay", "Island")


def contest(id: str, title: str, method: str, names: tuple[str, ...], **fields: Any) -> dict[str, Any]:
    members = {
        "blank": True, "candidates": [{"name": name, "statement": ""} for name in names], "description": "",
        "id": id, "max": len(names), "method": method, "min": 1, "quorum": None, "seats": 1,
        "threshold": None, "title": title,
    }  # fmt: skip
    return members | fields


def club_definition(roll: Roll, **fields: Any) -> dict[str, Any]:
    options = ("Yes", "No", "Abstain")
    motion = {
        "max": 1,
        "threshold": {"basis": "cast", "share": "two-thirds"},
        "quorum": {"percent": 50},
        "description": "The new bylaws of 3 May replace those of 1998.\nThey come into force at once.",
    }
    contests = [
        contest("chair", "Chair", "instant-runoff", CHAIR),
        contest("board", "Board", "stv", BOARD, seats=3),
        contest("bylaws", "New bylaws", "motion", options, **motion),
        contest("site", "Where to build the new boathouse", "schulze", SITES),
    ]
    told = {
        "organiser": "Rowing Club 1911", "title": "General meeting of the Rowing Club",
        "time_zone": "Europe/Berlin", "registration": "roll", "roll_root": roll.root_hex,
        "roll_size": len(roll.keys), "weighted": True, "contests": contests,
        "authority_key": AUTHORITY.public_hex, "witnesses": [_witness()],
    }  # fmt: skip
    return named_definition(**(told | fields))


def _witness() -> dict[str, str]:
    public = key_of(WITNESS).public
    key = f"{WITNESS}+{key_id(WITNESS, 4, public).hex()}+{b64encode(bytes([4]) + public).decode()}"
    return {"name": "Harbour Society", "key": key, "url": "https://witness.example/"}


@cache
def club_evening(closed: bool = True, **fields: Any) -> tuple[Roll, NamedFile]:
    """The roll and the archive. One voter is added late, one key replaced, the hours extended.

    The closing lists have two votes that are not counted. With `closed` false it stops while voting goes on;
    `fields` replace members of the definition.
    """
    roll = Roll((name, key_of(name).public_hex, 1 + number % 3) for number, name in enumerate(MEMBERS))
    file, chance = NamedFile(club_definition(roll, **fields)), random.Random(11)
    file.block(Batch((), list(_amendments(file))))
    votes = [file.vote(member, choices=_ballot(chance)) for member in MEMBERS[:VOTED]]
    votes.append(file.vote(ADDED, choices=_ballot(chance)))
    for start in range(0, len(votes), 4):
        file.block(Batch(votes[start : start + 4]), node=start % 5)
    if closed:
        lone = file.vote(MEMBERS[-1], choices=_ballot(chance))
        again = file.vote(MEMBERS[0], choices=_ballot(chance))
        held = [[record_id(lone), record_id(again)], [record_id(again)], [], []]
        lists = [file.closing_list(node, own, closes=EXTENDED) for node, own in enumerate(held)]
        file.block(Batch((), lists, closing_of(held)), time=EXTENDED + 40)
        file.block(Batch((), [{"kind": "not-counted", "vote": again}]))
    return roll, file


def certificate_with_witness(file: NamedFile) -> str:
    """The certificate of the archive, cosigned by the election's witness as well."""
    body, name = file.checkpoint(), WITNESS
    signed = key_of(name).sign(f"cosignature/v1\ntime {CREATED + 9}\n{body}".encode())
    said = (CREATED + 9).to_bytes(8, "big") + signed
    return file.certificate() + note_line(name, key_id(name, 4, key_of(name).public) + said)


def _amendments(file: NamedFile) -> Iterator[dict[str, Any]]:
    changes: list[tuple[Action, dict[str, Any]]] = [
        ("add-voter", {"voter_id": ADDED, "key": key_of(ADDED).public_hex, "weight": 2}),
        ("replace-key", {"voter_id": MEMBERS[38], "key": key_of("a new card").public_hex}),
        ("extend", {"closes": EXTENDED}),
    ]
    reasons = ("Joined in May", "Lost the card", "The doors opened late")
    for number, ((action, members), reason) in enumerate(zip(changes, reasons, strict=True), start=1):
        made = sign_amendment(
            AUTHORITY, network_hex=file.network_hex, number=number, action=action, reason=reason, **members
        )
        yield msgspec.to_builtins(made)


def _ballot(chance: random.Random) -> list[list[str]]:
    """A ballot that ranks some of the candidates, now and then blank."""

    def ranked(names: tuple[str, ...], least: int) -> list[str]:
        return sorted(
            chance.sample(names, chance.randint(least, len(names))), key=lambda n: _taste(n, chance)
        )

    motion = chance.choices(("Yes", "No", "Abstain", ""), (20, 6, 3, 1))[0]
    return [ranked(CHAIR, 0), ranked(BOARD, 1), [motion] if motion else [], ranked(SITES, 1)]


def _taste(name: str, chance: random.Random) -> float:
    """The first names of a list are liked a little more."""
    return ord(name[0]) / 8 + chance.random()
