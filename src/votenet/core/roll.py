"""The roll: who may vote, each voter id with its public key, and the root that stands for all of it.

What lives here: the roll's record, its Merkle root, its file. What must not: reading files, keys on
disk, the rule that a vote must be on the roll (`core/vote.py`).

A leaf is the RFC 6962 leaf hash of DOMAIN_ROLL and the canonical JSON of [voter id, key]; leaves are
in ascending order of the ids' UTF-8 bytes, each id and each key once. The root is in the genesis
definition: whoever has the roll can tell that it is the right one.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import msgspec

from votenet.core.election import Election
from votenet.core.encoding import DOMAIN_ROLL, Hex32, canonical
from votenet.core.limits import ROLL_FORMAT
from votenet.core.merkle import leaf_hash, merkle_root
from votenet.core.text import text_fault
from votenet.core.vote import VoterId
from votenet.errors import ConfigError


class _RollFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: str
    root: Hex32
    voters: tuple[tuple[VoterId, Hex32], ...]


_PAIRS = msgspec.json.Decoder(tuple[tuple[VoterId, Hex32], ...])


class Roll:
    """Voter ids and their public keys (lower-case hexadecimal), in the order of their leaves."""

    def __init__(self, voters: Iterable[tuple[str, str]]) -> None:
        """Raises ConfigError, code bad-roll: an id or a key is not valid, or is there twice."""
        pairs = _checked(voters)
        self.keys = dict(sorted(pairs, key=lambda pair: pair[0].encode()))

    @cached_property
    def root_hex(self) -> str:
        """The Merkle root over all voters, as the genesis definition has it."""
        return merkle_root([roll_leaf(*pair) for pair in self.keys.items()]).hex()

    def to_file(self) -> bytes:
        """The roll file: one voter a line, for people."""
        record = _RollFile(kind=ROLL_FORMAT, root=self.root_hex, voters=tuple(self.keys.items()))
        return msgspec.json.format(canonical(record), indent=1) + b"\n"


def roll_leaf(voter_id: str, key_hex: str) -> bytes:
    """The leaf of one voter; 32 bytes."""
    return leaf_hash(DOMAIN_ROLL + canonical([voter_id, key_hex]))


def roll_from_file(data: bytes) -> Roll:
    """Read a roll file. Raises ConfigError, code bad-roll."""
    try:
        found = msgspec.json.decode(data, type=_RollFile)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _bad(f"the roll file is not valid: {error}") from error
    if found.kind != ROLL_FORMAT:
        raise _bad(f"this is {found.kind!r}, not {ROLL_FORMAT!r}")
    roll = Roll(found.voters)
    if roll.root_hex != found.root:
        raise _bad("the roll was changed: its voters do not give the root that it names")
    return roll


def with_roll(election: Election, roll: Roll | None) -> Election:
    """The election as a node needs it: with its roll, where it has one.

    Raises:
        ConfigError: roll-missing, roll-mismatch, or roll-not-used for an election that is open to all.
    """
    definition = election.definition
    if definition.registration == "open":
        if roll is None:
            return election
        raise ConfigError(
            "this election is open to everybody: it has no roll",
            code="roll-not-used",
            next_step="Leave it out.",
        )
    if roll is None:
        raise ConfigError(
            "this election has a roll, which is not here",
            code="roll-missing",
            next_step="Take the roll file from the election's authority and give it with --roll FILE.",
        )
    if roll.root_hex != definition.roll_root:
        raise ConfigError(
            f"this is another roll: its root is {roll.root_hex}, the election's {definition.roll_root}",
            code="roll-mismatch",
            next_step="Take the roll file that belongs to the genesis file.",
        )
    return Election(definition, registered=roll.keys)


def _checked(voters: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    try:
        pairs = _PAIRS.decode(canonical(list(voters)))
    except (msgspec.ValidationError, UnicodeError) as error:
        raise _bad(f"the roll is not valid: {error}") from error
    ids, keys = set[str](), set[str]()
    for voter_id, key in pairs:
        if wrong := text_fault(voter_id):
            raise _bad(f"the voter id {voter_id!r} has {wrong}")
        if voter_id in ids:
            raise _bad(f"the voter id {voter_id!r} is on the roll twice")
        if key in keys:
            raise _bad(f"the key of {voter_id!r} is on the roll twice: it could vote twice")
        ids.add(voter_id)
        keys.add(key)
    if not pairs:
        raise _bad("the roll is empty")
    return pairs


def _bad(what: str) -> ConfigError:
    return ConfigError(
        what, code="bad-roll", next_step="Make one with: votenet roll create VOTERS.csv -o roll.json"
    )
