"""The roll: who may vote, each voter id with its public key, and the root that stands for all of it.

A leaf is the RFC 6962 leaf hash of DOMAIN_ROLL and the canonical JSON of [voter id, key, weight,
credential]; leaves are in ascending order of the ids' UTF-8 bytes, each id, key and credential once. The
credentials of an election with public ballots are empty. The root is in the genesis definition, so a program
that gets a roll file can tell whether it is the right one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, NamedTuple

import msgspec

from votenet.core.election.definition import Election
from votenet.core.encoding import DOMAIN_ROLL, Hex32, VoterId, canonical
from votenet.core.limits import MAX_SAFE_INTEGER, MAX_WEIGHT, ROLL_FORMAT
from votenet.core.log.merkle import leaf_hash, merkle_root
from votenet.core.text import did_you_mean, text_fault
from votenet.errors import Command, ConfigError, NextStep, NotProven, Rejected
from votenet.secret.credentials import MAX_TOTAL_WEIGHT
from votenet.secret.group import Point

Weight = Annotated[int, msgspec.Meta(ge=1, le=MAX_WEIGHT)]
Credential = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")]
"""The public credential of a voter as Belenios writes it, or nothing."""
_Leaf = tuple[VoterId, Hex32, Weight, Credential]
"""As it is hashed."""


class Voter(NamedTuple):
    """A voter on the roll; `key` is the public key in lower-case hexadecimal.

    `credential` is the public credential as Belenios writes it; empty where ballots are public.
    """

    voter_id: str
    key: str
    weight: int = 1
    credential: str = ""


Row = tuple[str, str] | tuple[str, str, int] | tuple[str, str, int, str]
"""A voter: id, key, weight (1 where it is left out), credential (empty where it is left out)."""


class _RollFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: str
    root: Hex32
    voters: tuple[_Leaf, ...]


_VOTERS = msgspec.json.Decoder(tuple[_Leaf, ...])


class Roll:
    """Voter ids with their public keys, weights and credentials, in the order of their leaves."""

    def __init__(self, voters: Iterable[Row]) -> None:
        """Raises ConfigError.

        Its code is bad-roll: an id, a key, a weight or a credential is not valid, or is there twice, or only
        some voters have credentials.
        """
        rows = sorted(_checked(voters), key=lambda voter: voter[0].encode())
        self.keys = {row[0]: row[1] for row in rows}
        self.weights = {row[0]: row[2] for row in rows}
        self.credentials = {row[0]: row[3] for row in rows} if rows[0][3] else None
        """By voter id; None of a roll for public ballots."""
        if sum(self.weights.values()) > MAX_SAFE_INTEGER:
            raise _bad("the weights of the roll add up to more than 2^53")

    @property
    def weighted(self) -> bool:
        """Whether any voter has another weight than 1."""
        return any(weight != 1 for weight in self.weights.values())

    @cached_property
    def root_hex(self) -> str:
        """The Merkle root over all voters, as the genesis definition has it."""
        return merkle_root([leaf_hash(DOMAIN_ROLL + canonical(leaf)) for leaf in self._leaves()]).hex()

    def to_file(self) -> bytes:
        """The roll file, indented for people."""
        record = _RollFile(kind=ROLL_FORMAT, root=self.root_hex, voters=tuple(self._leaves()))
        return msgspec.json.format(canonical(record), indent=1) + b"\n"

    def _leaves(self) -> Iterator[_Leaf]:
        credentials = self.credentials or {}
        return (
            (voter_id, key, self.weights[voter_id], credentials.get(voter_id, ""))
            for voter_id, key in self.keys.items()
        )


RollSource = Roll | Callable[[Election], Roll | None] | None
"""The roll of an election, or what finds it once the election is known."""


def roll_from(source: RollSource, election: Election) -> Roll | None:
    return source(election) if callable(source) else source


def roll_from_file(data: bytes) -> Roll:
    """Read a roll file. Raises ConfigError, code bad-roll."""
    try:
        record = msgspec.json.decode(data, type=_RollFile)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _bad(f"the roll file is not valid: {error}") from error
    if record.kind != ROLL_FORMAT:
        raise _bad(f"this is {record.kind!r}, not {ROLL_FORMAT!r}")
    roll = Roll(record.voters)
    if roll.root_hex != record.root:
        raise _bad("the roll was changed: its voters do not give the root that it names")
    return roll


def with_roll(election: Election, roll: Roll | None) -> Election:
    """The election with its roll, if it has one.

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
    if len(roll.keys) != definition.roll_size:
        raise ConfigError(
            f"the roll has {len(roll.keys)} voters, the election says {definition.roll_size}",
            code="roll-mismatch",
            next_step="Take the genesis file that was made with this roll.",
        )
    if roll.weighted and not definition.weighted:
        raise ConfigError(
            "the roll has weights, the election has none",
            code="roll-mismatch",
            next_step="Take the genesis file that was made with this roll.",
        )
    _check_credentials(election, roll)
    weights = roll.weights if definition.weighted else None
    return Election(definition, roll.keys, weights, roll.credentials)


def _check_credentials(election: Election, roll: Roll) -> None:
    """Raises ConfigError, code roll-mismatch, unless the roll fits the secrecy of the ballots."""
    if (roll.credentials is not None) != (election.secret is not None):
        has, needs = ("credentials", "public") if roll.credentials else ("no credentials", "secret")
        raise ConfigError(
            f"the roll has {has}, and the ballots of the election are {needs}",
            code="roll-mismatch",
            next_step="Take the genesis file that was made with this roll.",
        )
    if election.secret is not None and sum(roll.weights.values()) > MAX_TOTAL_WEIGHT:
        raise ConfigError(
            f"the weights of the roll add up to more than {MAX_TOTAL_WEIGHT}: no secret count can",
            code="roll-mismatch",
            next_step="Divide the weights by a common number.",
        )


def check_voter(registered: Mapping[str, str], voter_id: str, key: str | None) -> None:
    """Before a vote is sent: whether the roll has the voter with this public key.

    Args:
        registered: the key of each voter on the roll.
        key: in hexadecimal; None: only the id is looked up.

    Raises:
        Rejected: not-on-roll, with the id that was probably meant; wrong-key.
    """
    if voter_id not in registered:
        raise not_on_roll(registered, voter_id)
    if key not in (None, registered[voter_id]):
        raise Rejected(
            "wrong-key", f"the roll has another key for {voter_id!r}: {registered[voter_id]}, not {key}"
        ).advising(
            NextStep(
                "Get the file of the registered key and take it in with: {}",
                Command("keys", "import", "KEYFILE"),
            )
        )


def not_on_roll(registered: Iterable[str], voter_id: str) -> Rejected:
    refusal = Rejected("not-on-roll", f"{voter_id!r} is not on the roll")
    meant = did_you_mean(voter_id, registered)
    return refusal if meant is None else refusal.advising(f"Did you mean {meant}?")


def _checked(voters: Iterable[Row]) -> tuple[_Leaf, ...]:
    try:
        rows = _VOTERS.decode(canonical([Voter(*voter) for voter in voters]))
    except (msgspec.ValidationError, UnicodeError) as error:
        raise _bad(f"the roll is not valid: {error}") from error
    ids, keys = set[str](), set[str]()
    for voter_id, key, _, _ in rows:
        if wrong := text_fault(voter_id):
            raise _bad(f"the voter id {voter_id!r} has {wrong}")
        if voter_id in ids:
            raise _bad(f"the voter id {voter_id!r} is on the roll twice")
        if key in keys:
            raise _bad(f"the key of {voter_id!r} is on the roll twice: it could vote twice")
        ids.add(voter_id)
        keys.add(key)
    if not rows:
        raise _bad("the roll is empty")
    if any(row[3] for row in rows):
        _check_each_credential(rows)
    return rows


def _check_each_credential(rows: Sequence[_Leaf]) -> None:
    """Each voter has one that is a member of the group, and nobody else has it. Raises ConfigError."""
    found = set[str]()
    for voter_id, _, _, credential in rows:
        if not credential:
            raise _bad(f"{voter_id!r} has no credential, and others have one")
        if credential in found:
            raise _bad(f"the credential of {voter_id!r} is on the roll twice")
        found.add(credential)
        try:
            Point.parse(credential)
        except NotProven as error:
            raise _bad(f"the credential of {voter_id!r} is not valid: {error.message}") from error


def _bad(what: str) -> ConfigError:
    return ConfigError(
        what,
        code="bad-roll",
        next_step=NextStep("Make one with: {}", Command("voters", "import", "VOTERS.csv", "-o", "roll.json")),
    )
