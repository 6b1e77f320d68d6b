"""The roll: who may vote, each voter id with its public key, and the root that stands for all of it.

A leaf is the RFC 6962 leaf hash of DOMAIN_ROLL and the canonical JSON of [voter id, key, weight,
credential]; leaves are in ascending order of the ids' UTF-8 bytes, each id, key and credential once. The
credentials of an election with public ballots are empty. The root is in the genesis definition, so a program
that gets a roll file can tell whether it is the right one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Annotated, Final, NamedTuple

import msgspec

from votenet.core.election.definition import Election
from votenet.core.election.roll_table import Column, KeyColumn, RollTable
from votenet.core.encoding import DOMAIN_ROLL, Hex32, VoterId, canonical
from votenet.core.limits import MAX_SAFE_INTEGER, MAX_WEIGHT, ROLL_FORMAT
from votenet.core.log.merkle import leaf_hashes
from votenet.core.log.tiles import LogFrontier
from votenet.core.text import did_you_mean, is_plain, text_fault
from votenet.errors import Command, ConfigError, NextStep, NotProven, Rejected
from votenet.secret.credentials import MAX_TOTAL_WEIGHT
from votenet.secret.group import Point

Weight = Annotated[int, msgspec.Meta(ge=1, le=MAX_WEIGHT)]
Credential = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")]
"""The public credential of a voter as Belenios writes it, or nothing."""
_Leaf = tuple[VoterId, Hex32, Weight, Credential]
"""As it is hashed."""
_CHUNK: Final = 8192
"""Voters, or some bytes of a file for each, that are held as Python objects at a time."""


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


_LEAVES = msgspec.json.Decoder(tuple[_Leaf, ...])
_HEAD = re.compile(
    rb'\s*\{\s*"kind"\s*:\s*"(?P<kind>[^"\\]*)"\s*,\s*"root"\s*:\s*"(?P<root>[0-9a-f]{64})"\s*,'
    rb'\s*"voters"\s*:\s*\['.replace(rb"\s", rb"[ \t\n\r]")  # JSON has no other space
)
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"(?P<is_name>[ \t\n\r]*:)?')
"""A string of JSON, and whether it is the name of a member."""
_BETWEEN: Final = b"],\n"
"""Between two voters of a file: no string of JSON has a line break."""


class Roll:
    """Voter ids with their public keys, weights and credentials, in the order of their leaves."""

    def __init__(self, voters: Iterable[Row]) -> None:
        """Raises ConfigError.

        Its code is bad-roll: an id, a key, a weight or a credential is not valid, or is there twice, or only
        some voters have credentials.
        """
        self._fill(_checked(voters))

    @classmethod
    def of_leaves(cls, chunks: Iterable[Sequence[_Leaf]]) -> Roll:
        """Of decoded leaves. Raises ConfigError as `Roll` does, and what `chunks` raises."""
        roll = cls.__new__(cls)
        roll._fill(chunks)
        return roll

    def _fill(self, chunks: Iterable[Sequence[_Leaf]]) -> None:
        table = self._table = RollTable(_well_formed(chunks))
        _check_table(table)
        self.keys = KeyColumn(table, table.key_of, table.by_key)
        self.weights = Column(table, table.weight_of)
        self.credentials = (
            KeyColumn(table, table.credential_of, table.by_credential) if table.has_credentials else None
        )
        """By voter id; None of a roll for public ballots."""
        self.weight = table.weight
        """Of all voters."""
        if self.weight > MAX_SAFE_INTEGER:
            raise _bad("the weights of the roll add up to more than 2^53")

    @property
    def weighted(self) -> bool:
        """Whether any voter has another weight than 1."""
        return self._table.weighted

    @cached_property
    def root_hex(self) -> str:
        """The Merkle root over all voters, as the genesis definition has it."""
        log, leaves = LogFrontier(), self._table.leaves()
        while chunk := [DOMAIN_ROLL + canonical(leaf) for leaf in islice(leaves, _CHUNK)]:
            log, _ = log.append(leaf_hashes(chunk))
        return log.root.hex()

    def to_file(self) -> bytes:
        """The roll file, indented for people."""
        head = {"kind": ROLL_FORMAT, "root": self.root_hex, "voters": []}
        begin, end = msgspec.json.format(canonical(head), indent=1).split(b"[]")
        leaves, written = self._table.leaves(), bytearray(begin)
        mark = b"["
        while chunk := list(islice(leaves, _CHUNK)):  # as one document it would be in memory three times
            _, voters = msgspec.json.format(canonical([chunk]), indent=1).split(b"[\n [\n", 1)
            written += mark + b"\n" + voters.removesuffix(b"\n ]\n]")
            mark = b","
        return bytes(written + b"\n ]" + end + b"\n")


RollSource = Roll | Callable[[Election], Roll | None] | None
"""The roll of an election, or what finds it once the election is known."""


def roll_from(source: RollSource, election: Election) -> Roll | None:
    return source(election) if callable(source) else source


def roll_from_file(data: bytes) -> Roll:
    """Read a roll file. Raises ConfigError, code bad-roll."""
    head = _HEAD.match(data)
    try:
        if head is None:  # written by others: the same content in another layout
            raise msgspec.DecodeError
        kind, root = head["kind"].decode(), head["root"].decode()
        roll = Roll.of_leaves(_leaves_behind(data, head.end()))
    except (msgspec.DecodeError, UnicodeError):  # for its message, which names the place
        kind, root, roll = _whole_file(data)
    if kind != ROLL_FORMAT:
        raise _bad(f"this is {kind!r}, not {ROLL_FORMAT!r}")
    if roll.root_hex != root:
        raise _bad("the roll was changed: its voters do not give the root that it names")
    return roll


def _leaves_behind(data: bytes, start: int) -> Iterator[Sequence[_Leaf]]:
    """The voters of a file whose list begins at `start`, some at a time: a million objects take 500 MB.

    Raises what msgspec raises.
    """
    while (end := data.find(_BETWEEN, start + 100 * _CHUNK)) >= 0:
        yield _LEAVES.decode(b"[%b]" % data[start : end + 1])
        start = end + len(_BETWEEN)
    tail = data[start:].rstrip(b" \t\n\r")
    if not tail.endswith(b"}"):
        raise msgspec.DecodeError
    yield _LEAVES.decode(b"[%b" % tail[:-1])  # no JSON if a member follows the list


def _whole_file(data: bytes) -> tuple[str, str, Roll]:
    """Kind, root and voters. Raises ConfigError."""
    try:
        record = msgspec.json.decode(data, type=_RollFile)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _bad(f"the roll file is not valid: {error}") from error
    names = sum(1 for each in _STRING.finditer(data) if each["is_name"])
    if names != len(_RollFile.__struct_fields__):  # msgspec takes the last one; its only object is the file
        raise _bad("the roll file is not valid: a member stands twice")
    return record.kind, record.root, Roll(record.voters)


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
    if election.secret is not None and roll.weight > MAX_TOTAL_WEIGHT:
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


def _checked(voters: Iterable[Row]) -> Iterator[Sequence[_Leaf]]:
    """The voters with everything that rows may leave out, some at a time. Raises ConfigError."""
    rows = iter(voters)
    try:
        while chunk := [Voter(*voter) for voter in islice(rows, _CHUNK)]:
            yield _LEAVES.decode(canonical(chunk))
    except (msgspec.ValidationError, UnicodeError) as error:
        raise _bad(f"the roll is not valid: {error}") from error


def _well_formed(chunks: Iterable[Sequence[_Leaf]]) -> Iterator[Sequence[_Leaf]]:
    """The rows, whose ids have only allowed characters, all with credentials or none. Raises ConfigError."""
    first: _Leaf | None = None
    for rows in chunks:
        for row in rows:
            first = first or row
            if not is_plain(row[0]):
                raise _bad(f"the voter id {row[0]!r} has {text_fault(row[0])}")
            if (not row[3]) != (not first[3]):
                lacking = row if first[3] else first
                raise _bad(f"{lacking[0]!r} has no credential, and others have one")
        yield rows


def _check_table(table: RollTable) -> None:
    """There are voters, each with an id, a key and a credential of their own. Raises ConfigError."""
    if not len(table):
        raise _bad("the roll is empty")
    if (row := table.by_id().twin) is not None:
        raise _bad(f"the voter id {table.id_of(row)!r} is on the roll twice")
    if (row := table.by_key().twin) is not None:
        raise _bad(f"the key of {table.id_of(row)!r} is on the roll twice: it could vote twice")
    if table.has_credentials:
        _check_each_credential(table)


def _check_each_credential(table: RollTable) -> None:
    """Each voter has one that is a member of the group, and nobody else has it. Raises ConfigError."""
    if (row := table.by_credential().twin) is not None:
        raise _bad(f"the credential of {table.id_of(row)!r} is on the roll twice")
    for row in range(len(table)):
        try:
            Point.parse(table.credential_of(row))
        except NotProven as error:
            raise _bad(f"the credential of {table.id_of(row)!r} is not valid: {error.message}") from error


def _bad(what: str) -> ConfigError:
    return ConfigError(
        what,
        code="bad-roll",
        next_step=NextStep(
            "The organiser of the election has this file, and makes it with: {}",
            Command("voters", "import", "VOTERS.csv", "-o", "roll.json"),
        ),
    )
