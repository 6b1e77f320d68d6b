"""The final result: one file that says what was counted, and what was accepted and not counted.

A quorum of named nodes has cosigned the log that it is counted from. Every reader of that log, or of an
archive, makes the same file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Final

import msgspec

from votenet.core.election.amendment import Amendments, with_amendments
from votenet.core.election.contest import CheckedContest, ContestReport
from votenet.core.election.definition import Election, ElectionDefinition
from votenet.core.encoding import Hex32, Unsigned, canonical
from votenet.core.faults import fault
from votenet.core.ledger.chain import BlockIndexEntry
from votenet.core.ledger.closing import ListedIds, decode_listed
from votenet.core.ledger.extras import BlockExtras, ClosingList, NotCounted, amendments_in
from votenet.core.ledger.vote import HashedVote, hash_vote
from votenet.core.log.certificate import Certificate, read_certificate
from votenet.core.log.merkle import leaf_hash, merkle_root
from votenet.core.methods.method import Condition
from votenet.core.methods.tally import ElectionTally
from votenet.core.records.archive import ArchiveCheck, checked_election
from votenet.core.records.canonical_record import check_format, decode_record

RESULT_FORMAT: Final = "votenet-result"
RESULT_VERSION: Final = 1
DOMAIN_COUNTED: Final = b"votenet/counted/1\n"

ArchiveBlocks = Iterable[tuple[BlockIndexEntry, Sequence[HashedVote]]]


class ContestCounts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The count of a contest, as `ContestReport` has it, and what it decides, as `ContestResult` has it."""

    blank: Unsigned
    conditions: tuple[Condition, ...]
    counts: tuple[tuple[str, Unsigned], ...]
    id: str
    quota: Annotated[str, msgspec.Meta(pattern=r"^([1-9][0-9]{0,15})?\Z")]
    state: str
    tied: tuple[str, ...]
    votes: Unsigned
    weight: Unsigned
    winners: tuple[str, ...]


class LeftOut(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A vote that `lists` closing lists name and that is not counted: these are too few, or another vote of
    its voter is counted."""

    id: Hex32
    lists: Unsigned


class FinalResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file. `root` is over the counted votes (`counted_root`), `tip` is the hash of the last block.

    `certificate` is a checkpoint of the log up to the tip, cosigned by a quorum of named nodes.
    """

    amendments: Amendments
    certificate: str
    contests: tuple[ContestCounts, ...]
    definition: ElectionDefinition
    format: str
    height: Unsigned
    not_counted: tuple[LeftOut, ...]
    root: Hex32
    tip: Hex32
    version: Unsigned
    votes: Unsigned


def encode_result(result: FinalResult) -> bytes:
    """The bytes of the file: canonical JSON and a newline."""
    return canonical(result) + b"\n"


def decode_result(data: bytes) -> FinalResult:
    """Raises NotProven as `decode_record` does; truncated when the closing newline is missing."""
    if not data.endswith(b"\n"):
        raise fault("truncated", "a final result ends with a newline")
    return decode_record(data[:-1], FinalResult)


class ResultBuilder:
    """Makes the final result out of the blocks of a chain whose rules have been checked."""

    def __init__(self, election: Election) -> None:
        self._election = election
        """As it is in force behind the last block that was added."""
        self._counted: dict[str, bytes] = {}
        """Voter id to the id of the vote."""
        self._passed_over: set[bytes] = set()
        self._listed: ListedIds | None = None

    def add(self, votes: Sequence[HashedVote], extras: BlockExtras) -> None:
        """The next block of the chain."""
        self._election = self._election.amended(amendments_in(extras.records))
        self._counted.update((hashed.voter_id, hashed.id) for hashed in votes)
        values = [record.value for record in extras.records]
        self._passed_over.update(hash_vote(one.vote).id for one in values if isinstance(one, NotCounted))
        if extras.closing is not None:
            nodes = [one.node for one in values if isinstance(one, ClosingList)]
            self._listed = decode_listed(extras.closing, nodes)

    def result(self, *, height: int, tip_hex: str, tally: ElectionTally, certificate: str) -> FinalResult:
        """The final result at the last block; `certificate` is that of this block.

        Raises:
            NotProven: not-final; there is no closing block, or it counts votes that are in no block yet;
                cancelled.
        """
        if self._election.cancelled:
            raise fault("cancelled", "the election was cancelled: it has no result")
        if self._listed is None:
            raise fault("not-final", "the chain has no closing block yet")
        on_chain = set(self._counted.values())
        if not on_chain.union(self._passed_over).issuperset(self._listed.counted(self._election.named)):
            raise fault("not-final", "the closing block counts votes that are in no block yet")
        if tally.sealed:
            raise fault("not-final", "the votes are encrypted, and too few trustees have decrypted the count")
        return FinalResult(
            amendments=self._election.amendments,
            certificate=certificate,
            contests=tuple(map(_contest_counts, self._election.reports(tally))),
            definition=self._election.definition,
            format=RESULT_FORMAT,
            height=height,
            not_counted=tuple(
                LeftOut(id=vote_id.hex(), lists=bits.bit_count())
                for vote_id, bits in zip(self._listed.ids, self._listed.bits, strict=True)
                if vote_id not in on_chain
            ),
            root=counted_root(self._counted).hex(),
            tip=tip_hex,
            version=RESULT_VERSION,
            votes=tally.votes,
        )


def result_of_archive(check: ArchiveCheck, blocks: ArchiveBlocks) -> FinalResult:
    """The final result that the blocks of an archive give; `blocks` are those of `check`.

    Raises:
        NotProven: with the first fault of the archive; not-final, cancelled.
    """
    builder = ResultBuilder(check.election)  # before the first block is read
    for entry, votes in blocks:
        builder.add(votes, entry.extras)
    if check.certificate is None:
        raise fault("not-final", "no quorum of named nodes has signed this chain")
    tip = check.chain.tip
    return builder.result(
        height=tip.height,
        tip_hex=tip.hash.hex(),
        tally=check.tally,
        certificate=str(check.certificate.note),
    )


def _contest_counts(report: ContestReport) -> ContestCounts:
    return ContestCounts(
        blank=report.blank,
        conditions=report.outcome.conditions,
        counts=report.counts,
        id=report.id,
        quota=report.outcome.quota,
        state=report.outcome.state,
        tied=report.outcome.tied,
        votes=report.votes,
        weight=report.weight,
        winners=report.outcome.winners,
    )


def counted_root(counted: dict[str, bytes]) -> bytes:
    """The RFC 6962 root over the counted votes, voter id to vote id, in ascending order of the voter ids.

    A leaf is DOMAIN_COUNTED and the canonical JSON of [voter id, vote id].
    """
    pairs = sorted((voter.encode(), voter, vote_id.hex()) for voter, vote_id in counted.items())
    return merkle_root([leaf_hash(DOMAIN_COUNTED + canonical([voter, vote])) for _, voter, vote in pairs])


def check_result(
    result: FinalResult, trusted: str | None = None, rebuilt: FinalResult | None = None
) -> Certificate:
    """Check who signed a final result, and that it says what the chain says; returns its certificate.

    Args:
        trusted: the network id (hexadecimal) of the election.
        rebuilt: the result made from a chain whose rules have been checked. Without it the counts are the
            file's own word: no cosignature covers them.

    Raises:
        NotProven: with the code of the first fault; wrong-totals if the chain says something else.
    """
    check_format(result.format, result.version, RESULT_FORMAT, RESULT_VERSION)
    election = checked_election(result.definition)
    if trusted not in (None, election.network_hex):
        raise fault("network-mismatch", f"this result is of network {election.network_hex}")
    if not election.named:
        raise fault("not-final", "an election without named nodes is never final")
    election = with_amendments(election, result.amendments)
    certificate = read_certificate(result.certificate, election.named_keys)
    if certificate.size <= result.votes + result.height + len(result.amendments):
        raise fault("wrong-totals", "the certificate is of a log without these blocks and records")
    _check_contests(result, election)
    if rebuilt is not None:
        same = ("definition", "amendments", "height", "tip", "votes", "contests", "root", "not_counted")
        for name in same:
            if getattr(result, name) != getattr(rebuilt, name):
                raise fault("wrong-totals", f"the chain gives another value for {name!r}")
        own = read_certificate(rebuilt.certificate, election.named_keys)
        if (certificate.size, certificate.root) != (own.size, own.root):
            raise fault("wrong-totals", "the certificate is of another log than that of the chain")
    return certificate


def _check_contests(result: FinalResult, election: Election) -> None:
    """Check that the counts of a file are of the contests and candidates of its definition.

    Raises:
        NotProven: wrong-totals.
    """
    same = [one.id for one in result.contests] == [one.definition.id for one in election.contests]
    if not same or any(map(_of_others, result.contests, election.contests)):
        raise fault("wrong-totals", "its contests are not those of its definition")


def _of_others(counted: ContestCounts, contest: CheckedContest) -> bool:
    return (
        sorted(name for name, _ in counted.counts) != sorted(contest.names)
        or not contest.candidates.issuperset((*counted.winners, *counted.tied))
        or counted.state not in ("carried", "rejected", "tied", "undecided", "won")
    )
