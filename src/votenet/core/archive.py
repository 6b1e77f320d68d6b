"""The archive: a whole election in one file, which anybody can check and count again.

What lives here: its lines, writing them, the check of all of it as a stream. What must not: files,
compression, threads, clocks (`cli/archive_files.py` brings those).

Lines of canonical JSON: the head (format, network id, version), the definition, one line a block from
genesis' successor to the tip, the totals. Memory is bounded but for what the rules need:
about half a kilobyte a header, and the id of each voter. docs/audit.md tells how to check one without
this program.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from votenet.core.block import Block, Header, check_body, header_from_hex
from votenet.core.chain import Chain, Entry
from votenet.core.election import Election, ElectionDefinition
from votenet.core.encoding import Hex32, Unsigned, canonical
from votenet.core.evidence import decode_record, fault
from votenet.core.limits import ARCHIVE_FORMAT, FORMAT_VERSION, MAX_ARCHIVE_LINE
from votenet.core.outcome import Outcome, decide
from votenet.core.roll import Roll, with_roll
from votenet.core.vote import SealedVote, Vote, seal_all, signatures_hold
from votenet.errors import ConfigError, NotProven, Rejected
from votenet.pow import header_hash

BATCH_VOTES: Final = 500
"""Votes whose signatures are checked in one go: about 40 ms of one core."""
MAX_BATCHES: Final = 16
"""Batches under way: enough for many cores, and the bound on votes in memory."""

StartCheck = Callable[[Sequence[SealedVote]], Callable[[], int | None]]
"""Starts checking the signatures of some votes. The function it returns waits for the end and gives the
index of the first vote whose signature does not hold, or None."""


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line."""

    format: str
    network_id: Hex32
    version: Unsigned


class Definition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The second line."""

    definition: ElectionDefinition


class BlockLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A block: its header in hexadecimal, its votes in block order."""

    header: str
    votes: tuple[Vote, ...]


class Totals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last line. `tip` is the hash of the last block, genesis if there is none."""

    height: Unsigned
    tip: Hex32
    votes: Unsigned


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """What an archive that holds says. Times in Unix seconds.

    `counts` has the most votes first (in an instant runoff: first choices). `registered` is how many are on
    the roll, where it was given. `closed`: by the clock of whoever checks, no more votes can come.
    """

    title: str
    network_id: str
    method: str
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
    registered: int | None
    counts: tuple[tuple[str, int], ...]
    outcome: Outcome


def archive_lines(election: Election, blocks: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """An archive, line by line, from (80 bytes of header, comma-separated canonical votes) by height."""
    yield (
        canonical(Head(format=ARCHIVE_FORMAT, network_id=election.network_hex, version=FORMAT_VERSION))
        + b"\n"
    )
    yield canonical(Definition(definition=election.definition)) + b"\n"
    height, votes, tip = 0, 0, Chain(election).genesis.hash
    for raw, records in blocks:
        body = b"[" + records + b"]"
        votes += len(msgspec.json.decode(body, type=list[msgspec.Raw]))
        height += 1
        tip = header_hash(raw)
        yield b'{"header":"%s","votes":%s}\n' % (raw.hex().encode(), body)
    yield canonical(Totals(height=height, tip=tip.hex(), votes=votes)) + b"\n"


def check_here(votes: Sequence[SealedVote]) -> Callable[[], int | None]:
    """The StartCheck that does it when asked for the answer."""
    return lambda: first_bad_signature(votes)


def first_bad_signature(votes: Sequence[SealedVote]) -> int | None:
    """The index of the first vote whose signature does not hold. About 60 microseconds a vote."""
    return next((index for index, holds in enumerate(signatures_hold(votes)) if not holds), None)


class ArchiveCheck:
    """Checks an archive as it is read. `run` does all of it; `election` is known after the head."""

    def __init__(
        self,
        lines: Iterable[bytes],
        now: int,
        *,
        start_check: StartCheck = check_here,
        network_hex: str | None = None,
        roll: Roll | None = None,
    ) -> None:
        """`lines` with their newlines; `now` in Unix seconds; `network_hex`: the network it must be of.

        Raises:
            NotProven: the first two lines do not hold.
            ConfigError: this is not the roll of that election.
        """
        self._lines = enumerate(lines, start=1)
        self._now = now
        self._expected = network_hex
        self._roll = roll
        self._signatures = _Signatures(start_check)
        self.election = self._read_head()
        self.chain = Chain(self.election)

    def blocks(self) -> Iterator[tuple[Entry, Sequence[SealedVote]]]:
        """Every block once it is checked, but for signatures: those of the last ones may still fail.

        Raises:
            NotProven: with the code of the first fault and the line it is in.
        """
        try:
            while True:
                number, line = self._next_line()
                if b'"tip"' in line[:200] and b'"header"' not in line[:200]:
                    break
                with _at(f"line {number}, block {self.chain.tip.height + 1}"):
                    entry, votes = self._take_block(line)
                self._signatures.add(number, votes)
                yield entry, votes
            with _at(f"line {number}"):
                self._check_totals(decode_record(line, Totals))
            rest = next(self._lines, None)
            if rest is not None:
                raise fault("trailing-data", f"line {rest[0]}: something follows the totals")
        except NotProven:
            self._signatures.finish()  # a fault further up comes first
            raise
        self._signatures.finish()

    def run(self) -> ArchiveReport:
        """All of it. Raises NotProven as `blocks` does."""
        for _ in self.blocks():
            pass
        return self.report()

    def report(self) -> ArchiveReport:
        """What the archive says; to be asked once `blocks` has come to its end."""
        definition, tip = self.election.definition, self.chain.tip
        return ArchiveReport(
            title=definition.title,
            network_id=self.election.network_hex,
            method=definition.method,
            registration=registration_of(self.election),
            height=tip.height,
            tip=tip.hash.hex(),
            votes=self.chain.tally.votes,
            work=tip.work,
            created=definition.created,
            last_block=tip.header.time,
            opens=definition.opens,
            closes=definition.closes,
            closed=definition.closes is not None and self._now >= definition.closes,
            registered=None if self.election.registered is None else len(self.election.registered),
            counts=tuple((line.candidate, line.votes) for line in self.chain.tally.count(self.election)),
            outcome=decide(self.chain.tally, self.election),
        )

    # -- parts -------------------------------------------------------------------------------------

    def _next_line(self) -> tuple[int, bytes]:
        """The next line without its newline. Raises NotProven truncated or line-too-long."""
        number, line = next(self._lines, (0, b""))
        if len(line) > MAX_ARCHIVE_LINE:
            raise fault("line-too-long", f"line {number}: longer than {MAX_ARCHIVE_LINE} bytes")
        if not line.endswith(b"\n"):
            raise fault("truncated", "the archive ends before its totals")
        return number, line[:-1]

    def _read_head(self) -> Election:
        with _at("line 1"):
            head = decode_record(self._next_line()[1], Head)
            if head.format != ARCHIVE_FORMAT:
                raise fault("wrong-format", f"this is {head.format!r}, not {ARCHIVE_FORMAT!r}")
            if head.version != FORMAT_VERSION:
                raise fault("wrong-version", f"version {head.version} is not known here")
        with _at("line 2"):
            definition = decode_record(self._next_line()[1], Definition).definition
            election = checked_election(definition)
            if election.network_hex != head.network_id:
                raise fault("network-mismatch", "the definition's hash is not the network id of line 1")
        if self._expected not in (None, election.network_hex):
            raise fault("network-mismatch", f"this archive is of network {election.network_hex}")
        return election if self._roll is None else with_roll(election, self._roll)

    def _take_block(self, line: bytes) -> tuple[Entry, Sequence[SealedVote]]:
        record = decode_record(line, BlockLine)
        header = strict_header(record.header)
        parent = self.chain.tip
        if header.previous != parent.hash:
            raise Rejected("broken-chain", "it does not name the hash of the block before it")
        entry = self.chain.add_header(header, self._now)
        votes = tuple(seal_all(record.votes))
        check_body(Block(header, votes), self.election)
        self.chain.add_body(entry, lambda _: votes)
        return entry, votes

    def _check_totals(self, totals: Totals) -> None:
        tip = self.chain.tip
        found = Totals(height=tip.height, tip=tip.hash.hex(), votes=self.chain.tally.votes)
        if totals != found:
            raise fault(
                "wrong-totals",
                f"the blocks come to height {found.height}, {found.votes} votes, tip {found.tip}",
            )


def registration_of(election: Election) -> str:
    """Who could vote, and whether that was looked up, for a report."""
    if election.definition.registration == "open":
        return "open"
    return "roll, not checked" if election.registered is None else "roll, checked"


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


class _at:
    """Around a step: refusals and faults get their place in the file."""

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Rejected | NotProven):
            raise fault(error.code, f"{self._place}: {error.message}") from None


class _Signatures:
    """Signature checks under way, in the order of the votes."""

    def __init__(self, start: StartCheck) -> None:
        self._start = start
        self._next: list[tuple[int, SealedVote]] = []
        self._running: deque[tuple[list[tuple[int, SealedVote]], Callable[[], int | None]]] = deque()

    def add(self, line: int, votes: Sequence[SealedVote]) -> None:
        """Raises NotProven bad-signature for a vote of these or of earlier ones."""
        self._next += [(line, sealed) for sealed in votes]
        if len(self._next) >= BATCH_VOTES:
            self._launch()
        while len(self._running) > MAX_BATCHES:
            self._collect()

    def finish(self) -> None:
        if self._next:
            self._launch()
        while self._running:
            self._collect()

    def _launch(self) -> None:
        batch, self._next = self._next, []
        self._running.append((batch, self._start([sealed for _, sealed in batch])))

    def _collect(self) -> None:
        batch, wait = self._running.popleft()
        bad = wait()
        if bad is not None:
            self._running.clear()
            self._next.clear()
            line, sealed = batch[bad]
            raise fault(
                "bad-signature", f"line {line}: the vote of {sealed.voter_id!r} is not signed by its key"
            )
