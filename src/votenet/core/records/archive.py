"""The archive: a whole election in one file, which anybody can check and count again.

Lines of canonical JSON: the head (format, network id, version), the definition, one line for each block
from genesis' successor to the tip, the totals. The check reads it as a stream. It keeps what the rules
need: about half a kilobyte for each header, and the id of each voter. docs/audit.md tells how to check an
archive without this program.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import msgspec

from votenet.core.election.amendment import Amendment
from votenet.core.election.contest import ContestReport
from votenet.core.election.definition import Election, ElectionDefinition
from votenet.core.election.quorum import NEVER_FINAL
from votenet.core.election.roll import RollSource, roll_from, with_roll
from votenet.core.encoding import Hex32, Unsigned, canonical
from votenet.core.faults import fault
from votenet.core.ledger.block import Block, Header, check_body, header_from_hex, log_leaves, log_start
from votenet.core.ledger.chain import BlockIndexEntry, Chain
from votenet.core.ledger.closing import PollEnd, check_passed_over, passed_over
from votenet.core.ledger.extras import BlockRecord, ClosingIds, Miner, decode_extras, make_extras
from votenet.core.ledger.secret_count import EncryptedCount, SecretSum, checked_share, open_count
from votenet.core.ledger.vote import HashedVote, Vote, check_vote, hash_votes
from votenet.core.limits import (
    ARCHIVE_FORMAT,
    FORMAT_VERSION,
    MAX_ARCHIVE_LINE,
    MAX_OTHER_RECORDS,
    MAX_RECORD_BYTES,
)
from votenet.core.log.certificate import Certificate, read_certificate
from votenet.core.methods.tally import ElectionTally
from votenet.core.records.archive_signatures import MAX_BATCHES, SignatureBatches, StartCheck, check_here
from votenet.core.records.canonical_record import check_format, decode_record
from votenet.core.records.miner import check_miner
from votenet.errors import ConfigError, NotProven, Rejected
from votenet.pow import header_hash


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line."""

    format: str
    network_id: Hex32
    version: Unsigned


class Definition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The second line."""

    definition: ElectionDefinition


class BlockLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A block: its header in hexadecimal, its votes in block order, its extras (`ledger/extras.py`)."""

    closing: ClosingIds | None
    header: str
    miner: Miner | None
    records: Annotated[tuple[BlockRecord, ...], msgspec.Meta(max_length=MAX_OTHER_RECORDS)]
    votes: tuple[Vote, ...]


class Totals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last line. `tip` is the hash of the last block, genesis if there is none.

    `certificate`: the cosigned checkpoint of the log behind the tip; empty without named nodes.
    `shares`: of trustees, in the order of their places, at least one; absent where there is none.
    """

    certificate: str
    height: Unsigned
    shares: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    tip: Hex32
    votes: Unsigned


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """The content of an archive that was checked. Times in Unix seconds.

    `closes` is the closing time in force, behind all `amendments`, `first_closes` that of the definition.
    `counts` has the most votes first (in an instant runoff: first choices). `registered` is how many are on
    the roll, where it was given. `closed`: no more votes can come, by the checker's clock or by named nodes.
    `contests` is empty where `counts_shown` is false: the election shows its counts after closing only, or
    (`encrypted`) ballots are secret and the archive has fewer shares of trustees than are needed.
    `secret`: its ballots are encrypted, and what they prove was checked.
    `final`: a quorum of named nodes has signed that. `finality` says it in words, `signed_by` names them.
    """

    title: str
    network_id: str
    registration: str
    height: int
    tip: str
    votes: int
    work: int
    created: int
    last_block: int
    opens: int | None
    closes: int | None
    closed: bool
    final: bool
    finality: str
    signed_by: tuple[str, ...]
    registered: int | None
    contests: tuple[ContestReport, ...]
    amendments: tuple[Amendment, ...] = ()
    cancelled: bool = False
    counts_shown: bool = True
    first_closes: int | None = None
    encrypted: bool = False
    secret: bool = False


def archive_lines(
    election: Election,
    blocks: Iterable[tuple[bytes, bytes, bytes]],
    certificate: str = "",
    shares: Sequence[str] = (),
) -> Iterator[bytes]:
    """An archive, line by line, from blocks by height, the certificate of the last one, trustees' shares.

    Each block: 80 bytes of header, comma-separated canonical votes, extras in JSON.
    """
    head = Head(format=ARCHIVE_FORMAT, network_id=election.network_hex, version=FORMAT_VERSION)
    yield canonical(head) + b"\n"
    yield canonical(Definition(definition=election.definition)) + b"\n"
    height, votes, tip = 0, 0, Chain(election).genesis.hash
    for raw, records, written in blocks:
        extras = decode_extras(written)
        body = b"[" + records + b"]"
        votes += len(msgspec.json.decode(body, type=list[msgspec.Raw]))
        height += 1
        tip = header_hash(raw)
        yield b'{"closing":%s,"header":"%s","miner":%s,"records":[%s],"votes":%s}\n' % (
            canonical(extras.closing),
            raw.hex().encode(),
            canonical(extras.miner),
            b",".join(hashed.record for hashed in extras.records),
            body,
        )
    totals = Totals(
        certificate=certificate,
        height=height,
        shares=tuple(shares) or msgspec.UNSET,
        tip=tip.hex(),
        votes=votes,
    )
    yield canonical(totals) + b"\n"


class ArchiveCheck:
    """Checks an archive as it is read. `run` does all of it; `election` is known after the head."""

    def __init__(
        self,
        lines: Iterable[bytes],
        now: int,
        *,
        start_check: StartCheck = check_here,
        under_way: int = MAX_BATCHES,
        network_hex: str | None = None,
        roll: RollSource = None,
    ) -> None:
        """`lines` with their newlines; `now` in Unix seconds; `network_hex`: the network it must be of.

        `start_check` checks signatures in batches, of which `under_way` are at most.

        Raises:
            NotProven: the first two lines do not hold.
            ConfigError: this is not the roll of that election; roll-missing, where votes have weights.
        """
        self._lines = enumerate(lines, start=1)
        self._now = now
        self._expected = network_hex
        self._roll = roll
        self.chain = Chain(self._read_head())
        self._signatures = SignatureBatches(start_check, self.chain.election, self._proven, under_way)
        self.end = PollEnd(self.chain.election)
        self.certificate: Certificate | None = None
        """That of the last block, once the totals are read; None where the archive has none."""
        self._vote_ids: set[bytes] = set()
        """On the chain; only where closing lists may name them again."""
        self._log = log_start(self.election)
        self._sum = None if self.election.secret is None else SecretSum(self.election)
        self._opened: ElectionTally | None = None
        self._passed_over: set[bytes] = set()
        """Ids of late votes that do not count."""
        self.decrypted_by: tuple[int, ...] = ()
        """The places of the trustees whose shares are in the archive, once the totals are read."""
        self.shares: tuple[str, ...] = ()
        """These shares as they travel."""

    @property
    def election(self) -> Election:
        """As it is in force behind the last block that was read."""
        return self.chain.election

    @property
    def tally(self) -> ElectionTally:
        """What is counted: of secret ballots a sealed tally, unless the archive has enough shares."""
        return self._opened or self.chain.tally

    def blocks(self) -> Iterator[tuple[BlockIndexEntry, Sequence[HashedVote]]]:
        """Every block once it is checked, except that signatures of the last ones may still fail.

        Raises:
            NotProven: with the code of the first fault and the line it is in.
        """
        try:
            # 1. Blocks, each on top of the one before, until the line of the totals. Signatures are checked
            #    in batches beside this, so a yielded block may still have a bad one.
            while True:
                number, line = self._next_line()
                if line.startswith(b'{"certificate"'):
                    break
                with _at(f"line {number}, block {self.chain.tip.height + 1}"):
                    entry, votes, passed = self._take_block(line)
                self._signatures.add(number, (*votes, *passed))
                yield entry, votes
            # 2. The totals, and nothing after them.
            with _at(f"line {number}"):
                self._check_totals(decode_record(line, Totals))
            rest = next(self._lines, None)
            if rest is not None:
                raise fault("trailing-data", f"line {rest[0]}: something follows the totals")
        except NotProven:
            self._signatures.finish()  # a bad signature further up is reported first
            raise
        # 3. The signatures of the last blocks.
        self._signatures.finish()

    def run(self) -> ArchiveReport:
        """Check all of it. Raises NotProven as `blocks` does."""
        for _ in self.blocks():
            pass
        return self.report()

    def report(self) -> ArchiveReport:
        """The report, once `blocks` has come to its end."""
        definition, tip = self.election.definition, self.chain.tip
        shown = self._opened is not None or self.election.counts_shown(self._now, self.end.over)
        return ArchiveReport(
            title=definition.title,
            network_id=self.election.network_hex,
            registration=registration_of(self.election),
            height=tip.height,
            tip=tip.hash.hex(),
            votes=self.chain.tally.votes,
            work=tip.work,
            created=definition.created,
            last_block=tip.header.time,
            opens=definition.opens,
            closes=self.election.closes,
            cancelled=self.election.cancelled,
            closed=self.end.over or (not self.election.named and self._hour_has_passed()),
            final=self.certificate is not None and self.end.over,
            finality=self._finality(),
            signed_by=self.election.node_names(self.certificate.signers if self.certificate else ()),
            registered=None if self.election.registered is None else self.election.roll_size,
            amendments=self.election.amendments,
            first_closes=definition.closes,
            counts_shown=self.election.cancelled or shown,
            encrypted=self.tally.sealed,
            secret=self.election.definition.secrecy == "secret",
            contests=self.election.reports(self.tally) if shown else (),
        )

    def _hour_has_passed(self) -> bool:
        closes = self.election.closes
        return closes is not None and self._now >= closes

    def _next_line(self) -> tuple[int, bytes]:
        """The next line without its newline. Raises NotProven truncated or line-too-long."""
        number, line = next(self._lines, (0, b""))
        if len(line) > MAX_ARCHIVE_LINE:
            raise fault("line-too-long", f"line {number}: longer than {MAX_ARCHIVE_LINE} bytes")
        if not line.endswith(b"\n"):
            raise fault("truncated", "the archive ends before its totals")
        return number, line[:-1]

    def _read_head(self) -> Election:
        _, first = self._next_line()
        with _at("line 1"):
            head = decode_record(first, Head)
            check_format(head.format, head.version, ARCHIVE_FORMAT)
        _, second = self._next_line()
        with _at("line 2"):
            definition = decode_record(second, Definition).definition
            election = checked_election(definition)
            if election.network_hex != head.network_id:
                raise fault("network-mismatch", "the definition's hash is not the network id of line 1")
        if self._expected not in (None, election.network_hex):
            raise fault("network-mismatch", f"this archive is of network {election.network_hex}")
        roll = roll_from(self._roll, election)
        if roll is None and not definition.weighted:
            return election
        return with_roll(election, roll)

    def _take_block(self, line: bytes) -> tuple[BlockIndexEntry, Sequence[HashedVote], Sequence[HashedVote]]:
        """The block's entry, its votes, and the late votes that it passes over."""
        record = decode_record(line, BlockLine)
        extras = make_extras(record.miner, record.records, record.closing)
        if any(len(other.record) > MAX_RECORD_BYTES for other in extras.records):
            raise fault("bad-record", f"a record has more than {MAX_RECORD_BYTES} bytes")
        # 1. The header, and who found it.
        header = strict_header(record.header)
        if header.previous != self.chain.tip.hash:
            raise Rejected("broken-chain", "it does not name the hash of the block before it")
        entry = self.chain.add_header(header, self._now)
        votes = tuple(hash_votes(record.votes))
        entry.extras, block = extras, Block(header, votes, extras)
        check_miner(block, entry.height, self.election)
        # 2. The votes and records as a whole, and their place in the election.
        check_body(block, self.election, unchecked=())
        self.end = self.end.after(
            votes,
            extras,
            height=entry.height,
            time=header.time,
            on_chain=self._vote_ids.__contains__,
            has_voted=self.chain.voters.__contains__,
        )
        # 3. Single votes, by the roll in force before the block.
        passed = [inner for _, inner in passed_over(extras.records)]
        for hashed in votes:
            check_vote(hashed, self.election)
        for hashed in passed:
            check_passed_over(hashed, self.election)
        self.chain.add_body(entry, lambda _: votes)
        self._passed_over.update(hashed.id for hashed in passed)
        self.chain.election = self.end.election
        if self.election.named:
            self._vote_ids.update(hashed.id for hashed in votes)
            self._log, _ = self._log.append(log_leaves(header, votes, extras.records))
        return entry, votes, passed

    def _check_totals(self, totals: Totals) -> None:
        tip = self.chain.tip
        right = Totals(
            certificate=totals.certificate,
            height=tip.height,
            shares=totals.shares,
            tip=tip.hash.hex(),
            votes=self.chain.tally.votes,
        )
        if totals != right:
            raise fault(
                "wrong-totals",
                f"the blocks come to height {right.height}, {right.votes} votes, tip {right.tip}",
            )
        if totals.certificate:
            self.certificate = self._read_certificate(totals.certificate)
        if totals.shares is not msgspec.UNSET:
            self._open(totals.shares)

    def _proven(self, votes: Sequence[HashedVote]) -> None:
        """Votes whose signatures and ballots hold: only such ballots can be summed."""
        if self._sum is not None:
            counted = [hashed for hashed in votes if hashed.id not in self._passed_over]
            self._sum.add(counted, self.election)

    def _open(self, shares: Sequence[str]) -> None:
        """Check the shares and count with them. Raises NotProven."""
        if self._sum is None:
            raise fault("bad-record", "the ballots are public, and there are shares of trustees")
        if not self.end.counted or self.certificate is None:
            raise fault("not-final", "trustees decrypt nothing before the result is final")
        self._signatures.finish()  # what is summed must be proven
        counted = EncryptedCount.of(self._sum)
        # One more than there are trustees cannot be in order: none is checked behind it.
        most = len(self.election.trustee_keys) + 1
        found = [checked_share(self.election, counted, text) for text in shares[:most]]
        self.decrypted_by = tuple(share.place for share in found)
        self.shares = tuple(shares)
        if not found or any(here >= after for here, after in pairwise(self.decrypted_by)):
            raise fault("bad-order", "the shares are not in the order of their trustees, each once")
        self._opened = open_count(self.election, counted, {one.place: one.decryption for one in found})

    def _read_certificate(self, note: str) -> Certificate:
        if not self.election.named:
            raise fault("bad-note", "an election without named nodes has no certificate")
        certificate = read_certificate(note, self.election.named_keys)
        if (certificate.size, certificate.root) != (self._log.size, self._log.root):
            raise fault("bad-checkpoint", "the certificate is of another log than these blocks")
        return certificate

    def _finality(self) -> str:
        """How final the votes are, for people."""
        if not self.election.named:
            return NEVER_FINAL
        if self.certificate is None:
            return "not final: there is no certificate of named nodes"
        signers = signed_by(tuple(self.certificate.signers), self.election)
        if self.election.cancelled:
            return f"cancelled: {signers}"
        if self.end.over:
            return f"final result: {signers}"
        late = self.end.late
        coming = "more may come" if late is None else f"{late.waiting} votes of the closing are to come"
        return f"these votes are final, {coming}: {signers}"


def registration_of(election: Election) -> str:
    """Who could vote, and whether that was looked up, for a report."""
    if election.definition.registration == "open":
        return "open"
    return "roll, not checked" if election.registered is None else "roll, checked"


def signed_by(nodes: Sequence[int], election: Election) -> str:
    """Which of the named nodes signed, for people."""
    return f"signed by {len(nodes)} of {election.named}: {', '.join(election.node_names(nodes))}"


def checked_election(definition: ElectionDefinition) -> Election:
    """Raises NotProven bad-genesis."""
    try:
        return Election(definition)
    except ConfigError as error:
        raise fault("bad-genesis", error.message) from error


def strict_header(text: str) -> Header:
    """A header out of exactly its 160 lower-case digits. Raises Rejected bad-header."""
    header = header_from_hex(text)
    if header.pack().hex() != text:
        raise Rejected("bad-header", "a header is written in lower-case hexadecimal")
    return header


@contextlib.contextmanager
def _at(place: str) -> Iterator[None]:
    """Add the place in the file to the refusals and faults of a step."""
    try:
        yield
    except (Rejected, NotProven) as error:
        raise fault(error.code, f"{place}: {error.message}") from None
