"""The genesis definition: what is voted on, by what rules, on what chain.

The network id is the hash of the canonical definition and the Merkle root of the genesis block, so two
networks that differ in one candidate can never be mistaken for each other.
"""

from __future__ import annotations

import contextlib
import copy
from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

import msgspec

from votenet.core.election.contest import CheckedContest, ContestReport
from votenet.core.election.definition_rules import definition_faults
from votenet.core.election.quorum import faults_of, quorum_of
from votenet.core.election.roll_table import KeyColumn
from votenet.core.election.secret_rules import trustee_keys
from votenet.core.encoding import DOMAIN_GENESIS, Hex32, Unsigned, canonical, domain_hash
from votenet.core.limits import (
    MAX_BLOCK_SECONDS,
    MAX_BLOCK_VOTES,
    MAX_CHOICES,
    MAX_CONTESTS,
    MAX_GRACE_SECONDS,
    MAX_NAME,
    MAX_NAMED_NODES,
    MAX_SAFE_INTEGER,
    MAX_STATEMENT,
    MAX_TRUSTEE_KEYS,
    MAX_U32,
    MAX_WITNESSES,
)
from votenet.core.log.certificate import NamedKeys, named_keys
from votenet.core.log.signed_note import VerifierKey, parse_key
from votenet.core.methods.method import MAX_ROUND_COUNTS
from votenet.core.methods.registry import METHODS
from votenet.core.methods.tally import ElectionTally
from votenet.derive import BASE58
from votenet.errors import Command, ConfigError, NextStep, NotProven
from votenet.pow import bits_to_target
from votenet.secret.definition import SecretElection, read_election
from votenet.secret.group import Point

TAKE_THE_GENESIS: Final = NextStep(
    "Take the genesis file of the network. Where that of a network here is: {}", Command("ls")
)
UUID_LENGTH: Final = 14
ALL_ROUND_COUNTS: Final = 10_000
"""Counts in the listed rounds of all contests: with the longest names 8 MB, half a line between peers."""

if TYPE_CHECKING:
    from votenet.core.election.amendment import Amendment

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
Text = Annotated[str, msgspec.Meta(max_length=MAX_STATEMENT)]
Seats = Annotated[int, msgspec.Meta(ge=1, le=MAX_CHOICES)]
ContestId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,32}\Z")]
Language = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*\Z", min_length=2, max_length=35)
]
"""A BCP 47 tag."""
TimeZone = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_+/-]{1,64}\Z")]
Uuid = Annotated[str, msgspec.Meta(pattern=rf"^[{BASE58}]{{{UUID_LENGTH}}}\Z")]
WitnessKey = Annotated[str, msgspec.Meta(pattern=r"^[!-*,-~]{1,200}\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}\Z")]
Url = Annotated[str, msgspec.Meta(pattern=r"^https?://[!-~]{1,500}\Z")]
if TYPE_CHECKING:
    MethodName = str
else:
    MethodName = Literal[tuple(METHODS)]
    """So that no reader of a definition takes an unknown method."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name
    statement: Text = ""


class Quorum(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Part of the roll that must vote for a motion."""

    percent: Annotated[int, msgspec.Meta(ge=1, le=100)]


class Threshold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a motion needs, of the votes cast or of the roll."""

    basis: Literal["cast", "roll"]
    share: Literal["simple", "absolute", "two-thirds", "three-quarters"]


class Contest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One question. A ballot has `min` to `max` choices, none where `blank` is allowed."""

    blank: bool = False
    candidates: tuple[Candidate, ...]
    description: Text = ""
    id: ContestId = "1"
    max: Annotated[int, msgspec.Meta(ge=1, le=MAX_CHOICES)] = 1
    method: MethodName = "plurality"
    min: Annotated[int, msgspec.Meta(ge=0, le=MAX_CHOICES)] = 1
    quorum: Quorum | None = None
    seats: Seats = 1
    threshold: Threshold | None = None
    title: Name


class ChainParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Difficulty and size of the blocks of a chain. `bits` is a compact target, never undercut later.

    `block_seconds` is the interval between blocks that retargeting aims at while votes wait.
    `grace_seconds`: so long after closing named nodes take votes that were accepted before it.
    """

    bits: Annotated[int, msgspec.Meta(ge=1, le=MAX_U32)]
    block_seconds: Annotated[int, msgspec.Meta(ge=1, le=MAX_BLOCK_SECONDS)] = 1
    grace_seconds: Annotated[int, msgspec.Meta(ge=0, le=MAX_GRACE_SECONDS)] = 30
    max_block_votes: Annotated[int, msgspec.Meta(ge=1, le=MAX_BLOCK_VOTES)] = MAX_BLOCK_VOTES


class NamedNode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node that decides: its name and its four public keys (`keys.NodeKeys`)."""

    cosign_key: Hex32
    log_key: Hex32
    name: Name
    node_key: Hex32
    statement_key: Hex32

    @property
    def keys(self) -> tuple[str, str, str, str]:
        return self.cosign_key, self.log_key, self.node_key, self.statement_key


class Witness(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An outsider who cosigns checkpoints. `key` is a C2SP vkey, `url` the prefix of its requests."""

    key: WitnessKey
    name: Name
    url: Url


class Trustee(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who takes part in decrypting the count. `key` is its verification key, written as in Belenios."""

    key: Hex32
    name: Name


class Trustees(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Those of a secret election in the order of their places; any `threshold` of them decrypt.

    `record` is SHA-256 of the file that proves their key generation: Belenios' `trustees`.
    """

    keys: Annotated[tuple[Trustee, ...], msgspec.Meta(min_length=1, max_length=MAX_TRUSTEE_KEYS)]
    record: Hex32
    threshold: Annotated[int, msgspec.Meta(ge=1, le=MAX_TRUSTEE_KEYS)]


class ElectionDefinition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is hashed into the network id. Times are Unix seconds; None where there is no limit."""

    authority_key: Hex32 | None = None
    belenios: str = ""
    chain: ChainParameters
    closes: Unsigned | None = None
    contests: Annotated[tuple[Contest, ...], msgspec.Meta(min_length=1, max_length=MAX_CONTESTS)]
    created: Annotated[int, msgspec.Meta(ge=0, le=MAX_U32)]
    language: Language = "en"
    nodes: Annotated[tuple[NamedNode, ...], msgspec.Meta(max_length=MAX_NAMED_NODES)] = ()
    opens: Unsigned | None = None
    organiser: Text = ""
    registration: Literal["open", "roll"] = "open"
    results: Literal["live", "after-close"] = "live"
    roll_root: Hex32 | None = None
    roll_size: Annotated[int, msgspec.Meta(ge=1, le=MAX_SAFE_INTEGER)] | None = None
    secrecy: Literal["public", "secret"] = "public"
    time_zone: TimeZone = "UTC"
    title: Name
    trustees: Trustees | None = None
    uuid: Uuid
    version: Literal[2] = 2
    weighted: bool = False
    witnesses: Annotated[tuple[Witness, ...], msgspec.Meta(max_length=MAX_WITNESSES)] = ()


class Election:
    """A checked definition with what follows from it: id, target, candidates, named nodes.

    Amendments change what is in force: the roll, its weights, the closing time (`amended`).
    """

    def __init__(
        self,
        definition: ElectionDefinition,
        registered: Mapping[str, str] | None = None,
        weights: Mapping[str, int] | None = None,
        credentials: Mapping[str, str] | None = None,
    ) -> None:
        """Raises ConfigError, code bad-genesis, when `check_definition` refuses the definition.

        Args:
            registered: key (hexadecimal) of every voter on the roll, by voter id. Without it nothing checks
                who votes: a client that only reads has no roll.
            weights: of every voter on the roll, by voter id, where the election has weights.
            credentials: public credential (as Belenios writes it) of every voter on the roll, by voter id,
                where ballots are secret.
        """
        check_definition(definition)
        self.definition = definition
        self.bits = definition.chain.bits
        self.target = bits_to_target(self.bits)
        self.registered = self._roll = registered
        self.weights = weights
        self.credentials = self._roll_credentials = credentials
        self.closes = definition.closes
        """The closing time in force, Unix seconds; None without one."""
        self.roll_size = definition.roll_size
        """Voters on the roll in force; None without a roll."""
        self.amendments: tuple[Amendment, ...] = ()
        """All that are in force, in the order of their numbers."""
        self.cancelled = False
        self.given_keys: dict[str, str] = {}
        """Voter id to key (hexadecimal), as amendments gave it."""
        self._amended_keys: frozenset[str] = frozenset()
        self.given_credentials: dict[str, str] = {}
        """Voter id to public credential, as amendments gave it."""
        self._amended_credentials: frozenset[str] = frozenset()
        self.named = len(definition.nodes)
        """How many nodes the definition names; with none, most work wins and nothing is ever final."""
        self.faults = faults_of(self.named)
        self.quorum = quorum_of(self.named) if self.named else 0
        self.statement_keys = tuple(bytes.fromhex(node.statement_key) for node in definition.nodes)
        self.cosign_keys = tuple(bytes.fromhex(node.cosign_key) for node in definition.nodes)
        self._node_index = {node.node_key: index for index, node in enumerate(definition.nodes)}

    @cached_property
    def network_id(self) -> bytes:
        """32 bytes; also the genesis block's Merkle root."""
        return domain_hash(DOMAIN_GENESIS, canonical(self.definition))

    @cached_property
    def network_hex(self) -> str:
        return self.network_id.hex()

    @cached_property
    def secret(self) -> SecretElection | None:
        """Belenios' election where ballots are secret; None where they are public."""
        definition = self.definition
        return read_election(definition.belenios.encode()) if definition.secrecy == "secret" else None

    @cached_property
    def trustee_keys(self) -> tuple[Point, ...]:
        """The verification keys of the trustees by their places, from 1 on."""
        trustees = self.definition.trustees
        return () if trustees is None else tuple(trustee_keys(trustees))

    @cached_property
    def contests(self) -> tuple[CheckedContest, ...]:
        """The contests in the order of the definition, which is that of the ballots in a vote."""
        contests = self.definition.contests
        share = min(MAX_ROUND_COUNTS, ALL_ROUND_COUNTS // len(contests))
        return tuple(
            CheckedContest(contest, self.network_hex, only=len(contests) == 1, round_counts=share)
            for contest in contests
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The candidates of the first contest, the only one that the reference programs see."""
        return self.contests[0].names

    @cached_property
    def named_keys(self) -> NamedKeys:
        """The keys that cosign and sign the checkpoints of its log."""
        log_keys = [bytes.fromhex(node.log_key) for node in self.definition.nodes]
        keys = named_keys(self.network_id, self.cosign_keys, log_keys, self.quorum)
        return keys._replace(witness_keys=tuple(key for key, _ in self.witnesses))

    @cached_property
    def witnesses(self) -> list[tuple[VerifierKey, str]]:
        """Key and URL of each witness whose key can be read: the election goes on without the others."""
        found = []
        for witness in self.definition.witnesses:
            with contextlib.suppress(NotProven):
                found.append((parse_key(witness.key), witness.url))
        return found

    def node_index(self, node_key_hex: str) -> int | None:
        """The place of a node among the named nodes, None for a relay."""
        return self._node_index.get(node_key_hex)

    def node_names(self, nodes: Iterable[int]) -> tuple[str, ...]:
        """The names of these named nodes."""
        return tuple(self.definition.nodes[node].name for node in nodes)

    # -- amendments ----------------------------------------------------------------------------

    def amended(self, amendments: Sequence[Amendment]) -> Election:
        """The election in force behind these amendments, which were checked, in the order of their numbers.

        The roll is not copied.
        """
        if not amendments:
            return self
        made = copy.copy(self)  # with all that is cached: the definition is the same
        made.amendments = (*self.amendments, *amendments)
        keys = {one.voter_id: one.key for one in amendments if one.voter_id is not None and one.key}
        made.given_keys = self.given_keys | keys
        made._amended_keys = self._amended_keys.union(keys.values())
        added = {
            one.voter_id: one.weight or 1
            for one in amendments
            if one.action == "add-voter" and one.voter_id is not None
        }
        if self.registered is not None:
            made.registered = _over(keys, self.registered)
        if self.weights is not None:
            made.weights = _over(added, self.weights)
        if self.secret is not None:
            made._amend_credentials(amendments)
        if added and self.roll_size is not None:
            made.roll_size = self.roll_size + len(added)
            made.roll_weight = None if self.roll_weight is None else self.roll_weight + sum(added.values())
        for one in amendments:
            made.closes = made.closes if one.closes is None else one.closes
            made.cancelled = made.cancelled or one.action == "cancel"
        return made

    def _amend_credentials(self, amendments: Sequence[Amendment]) -> None:
        given = {one.voter_id: one.credential for one in amendments if one.voter_id and one.credential}
        self.given_credentials = self.given_credentials | given
        self._amended_credentials = self._amended_credentials.union(given.values())
        if self.credentials is not None:
            self.credentials = _over(given, self.credentials)

    def without_roll(self) -> Election:
        """The same without its roll: who may vote is checked elsewhere."""
        made = copy.copy(self)
        made.registered, made.given_keys = None, {}
        made.credentials, made.given_credentials = None, {}
        return made

    @property
    def next_number(self) -> int:
        """Of the next amendment."""
        return len(self.amendments) + 1

    def is_on_roll(self, voter_id: str) -> bool:
        """Whether a voter is on the roll in force, as far as that is known here."""
        return voter_id in self.given_keys or (self.registered is not None and voter_id in self.registered)

    def was_on_roll(self, key: str) -> bool:
        """Whether a voter has, or had, this key (hexadecimal), as far as that is known here."""
        return key in self._amended_keys or key in self._voters_by_key

    def voter_of_key(self, key: str) -> str | None:
        """The voter on the roll in force who has this key (hexadecimal), as far as that is known here."""
        for voter_id, given in self.given_keys.items():
            if given == key:
                return voter_id
        voter = self._voters_by_key.get(key)
        return None if voter in self.given_keys else voter

    def had_credential(self, credential: str) -> bool:
        """Whether a voter has, or had, this public credential, as far as that is known here."""
        return credential in self._amended_credentials or credential in self._credentials_of_roll

    @cached_property
    def _credentials_of_roll(self) -> Mapping[str, str]:
        """The credentials of the roll before any amendment."""
        return _owners(self._roll_credentials)

    @cached_property
    def _voters_by_key(self) -> Mapping[str, str]:
        """The roll before any amendment."""
        return _owners(self._roll)

    # -- counting ------------------------------------------------------------------------------

    @cached_property
    def roll_weight(self) -> int | None:
        """The weight of all voters on the roll: their number without weights. None without a roll,
        and where there are weights that are not here."""
        if self.definition.weighted:
            return None if self.weights is None else sum(self.weights.values())
        return self.roll_size

    def weights_of(self, voters: Iterable[str]) -> list[int] | None:
        """The weights of these voters; None where all weigh 1.

        Raises:
            ConfigError: roll-missing; the election has weights, and its roll is not here.
        """
        asked = list(voters)
        if not self.definition.weighted or not asked:
            return None
        if self.weights is None:
            raise ConfigError(
                "the votes of this election have weights, and its roll is not here",
                code="roll-missing",
                next_step="Take the roll file from the election's authority and give it with --roll FILE.",
            )
        return [self.weights[voter] for voter in asked]

    def counts_shown(self, now: int, over: bool) -> bool:
        """Whether programs show counts, and not only the number of votes, at `now` (Unix seconds).

        Of secret ballots never: what is counted from blocks has none. The trustees' shares give them.

        Args:
            over: whether the closing block of the named nodes, and all that it counts, are in blocks.
        """
        if self.secret is not None:
            return False
        if self.definition.results == "live" or self.closes is None:
            return True
        return over if self.named else now >= self.closes

    def new_tally(self) -> ElectionTally:
        """One without votes, for the votes in blocks."""
        return ElectionTally(len(self.definition.contests), sealed=self.secret is not None)

    def reports(self, tally: ElectionTally) -> tuple[ContestReport, ...]:
        """Count and result of every contest; none of an election that was cancelled, or is sealed."""
        if self.cancelled:
            return tuple(contest.cancelled_report() for contest in self.contests)
        if tally.sealed:
            return tuple(map(CheckedContest.sealed_report, self.contests, tally.contests))
        return tuple(
            contest.report(counted, self.roll_weight)
            for contest, counted in zip(self.contests, tally.contests, strict=True)
        )

    def counting_steps(self, tally: ElectionTally) -> int:
        """About how many steps `reports` takes, a microsecond each."""
        contests = zip(self.contests, tally.contests, strict=True)
        return sum(contest.counting_steps(counted) for contest, counted in contests)

    # -- as a file -----------------------------------------------------------------------------

    def to_file(self) -> bytes:
        """The genesis file: the definition, indented for people."""
        return msgspec.json.format(canonical(self.definition), indent=2) + b"\n"


Value = TypeVar("Value")


def _owners(column: Mapping[str, str] | None) -> Mapping[str, str]:
    """The voter ids by what each of them has."""
    if isinstance(column, KeyColumn):
        return column.owners
    return {} if column is None else {value: voter_id for voter_id, value in column.items()}


def _over(changes: Mapping[str, Value], under: Mapping[str, Value]) -> Mapping[str, Value]:
    """A mapping with changes over another one, which is not copied; those over it already are."""
    if not isinstance(under, ChainMap):
        return ChainMap(dict(changes), under)  # type: ignore[arg-type]  # only read
    above, *maps = under.maps
    return ChainMap({**above, **changes}, *maps)


def election_from_file(data: bytes, source: str = "the genesis file") -> Election:
    """The election in a genesis file or in a node's answer; `source` names that in an error.

    Raises:
        ConfigError: code bad-genesis, with the field that is wrong.
    """
    try:
        definition = msgspec.json.decode(data, type=ElectionDefinition)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _bad(f"{source} is not valid: {error}") from error
    for wrong, _ in definition_faults(definition):
        raise _bad(f"{source} is not valid: {wrong}")
    return Election(definition)


def check_definition(definition: ElectionDefinition) -> None:
    """Check every rule about a definition, wherever it comes from.

    Raises:
        ConfigError: code bad-genesis, with the first rule that is broken and what to change.
    """
    for wrong, next_step in definition_faults(definition):
        raise _bad(f"the election is not valid: {wrong}", next_step)


def _bad(what: str, next_step: str = "") -> ConfigError:
    return ConfigError(what, code="bad-genesis", next_step=next_step or TAKE_THE_GENESIS)
