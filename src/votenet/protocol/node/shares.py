"""The trustees' shares of a secret election at one node: taken, checked, saved, handed on, opened.

The chain has ended when trustees decrypt, and no consensus is needed: a share proves itself against the
definition's keys and the sum of the counted votes, and any threshold of shares gives the same counts. Nothing
is taken before the result is final. Then the votes are summed in a thread, and peers asked for their shares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from votenet.core.election.contest import ContestReport
from votenet.core.election.definition import Election
from votenet.core.ledger.chain import POSITION_BITS
from votenet.core.ledger.secret_count import (
    CheckedShare,
    EncryptedCount,
    SecretSum,
    checked_share,
    open_count,
)
from votenet.core.ledger.vote import HashedVote, Vote, hash_votes
from votenet.errors import NotProven, Rejected
from votenet.protocol.node.checkpoints import Checkpoints
from votenet.protocol.node.closing import Closing
from votenet.protocol.node.events import BlockSource, SaveShare
from votenet.protocol.node.state import NO_LINK, NodeState
from votenet.protocol.wire.client_messages import GetShares, ShareList, ShareTaken, SubmitShare
from votenet.protocol.wire.limits import BAD_SIGNATURE_UNITS
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import SharesMessage
from votenet.secret.tally import PartialDecryption

_read_vote: Final = msgspec.json.Decoder(Vote)


class _Placed(msgspec.Struct, frozen=True):
    place: int


_placed: Final = msgspec.json.Decoder(_Placed)
Answer = Callable[[Rejected | None], None]
"""Hears whether a share was taken; None: it was, or another of this trustee is here."""


class SharePool:
    """Of one node, in an election with secret ballots and named nodes. `kept`: what was saved before."""

    def __init__(
        self, state: NodeState, checkpoints: Checkpoints, closing: Closing, kept: Sequence[str] = ()
    ) -> None:
        self._state, self._checkpoints, self._closing = state, checkpoints, closing
        self._kept = tuple(kept)
        self._shares: dict[int, CheckedShare] = {}
        """By the place of the trustee."""
        self._summing = False
        self._counted: EncryptedCount | None = None
        """Once the result is final and its votes are summed."""
        self.contests: tuple[ContestReport, ...] = ()
        """The counts, once enough trustees have decrypted."""

    @property
    def places(self) -> tuple[int, ...]:
        """Of the trustees whose shares are here."""
        return tuple(sorted(self._shares))

    # -- once the result is final ------------------------------------------------------------------

    def refresh(self) -> None:
        """At the end of a batch: sum the votes when nothing more can be counted and a quorum has signed."""
        if self._summing or not self._is_final:
            return
        self._summing = True
        state = self._state
        blocks = [(entry.hash, state.unsaved.get(entry.hash)) for entry in state.chain.best[1:]]
        state.start_job(NO_LINK, partial(_sum, state.election, state.source, blocks), self._summed)

    @property
    def _is_final(self) -> bool:
        certified, state = self._checkpoints.provable, self._state
        ended = self._closing.end.counted and not state.election.cancelled
        return ended and certified is not None and certified.height == state.chain.tip.height

    def _summed(self, result: object, now: float) -> None:
        assert isinstance(result, EncryptedCount)
        self._counted = result
        for text in self._kept:
            self._check(NO_LINK, text, lambda wrong: None)
        for link in self._state.sync.peers:
            self.peer_up(link)

    # -- from trustees, and to clients -------------------------------------------------------------

    def on_submit_share(self, link: int, message: SubmitShare, now: float) -> None:
        if self._counted is None:
            raise Rejected("not-final", "the result is not final: there is nothing to decrypt yet")
        place = _place_of(message.share)

        def answer(wrong: Rejected | None) -> None:
            if wrong is None:
                self._state.send(link, ShareTaken(place=place, id=message.id))
            else:
                self._state.refuse(link, wrong)

        self._take(link, message.share, answer)

    def on_get_shares(self, link: int, message: GetShares, now: float) -> None:
        trustees = self._state.election.definition.trustees
        assert trustees is not None
        answer = ShareList(
            shares=self._texts, threshold=trustees.threshold, final=self._counted is not None, id=message.id
        )
        self._state.answer(link, encode_message(answer))

    # -- from peers, and to them -------------------------------------------------------------------

    def on_shares(self, link: int, message: SharesMessage, now: float) -> None:
        if self._counted is None:
            return  # asked for again when the result is final here
        for text in message.shares:
            self._take(link, text, lambda wrong: None if wrong is None else self._state.refuse(link, wrong))
        if message.asks and self._shares:
            self._state.answer(link, encode_message(SharesMessage(shares=self._texts)))

    def peer_up(self, link: int) -> None:
        """Tell a peer our shares, and ask for those that it has."""
        if self._counted is not None:
            self._state.send(link, SharesMessage(shares=self._texts, asks=True))

    @property
    def _texts(self) -> tuple[str, ...]:
        return tuple(self._shares[place].text for place in self.places)

    # -- through the check -------------------------------------------------------------------------

    def _take(self, link: int, text: str, answer: Answer) -> None:
        """What is here already is not checked again. Raises Rejected: bad-document."""
        held = self._shares.get(_place_of(text))
        if held is not None and held.text == text:
            answer(None)
        else:
            self._check(link, text, answer)

    def _check(self, link: int, text: str, answer: Answer) -> None:
        assert self._counted is not None

        def done(result: object, now: float) -> None:
            if isinstance(result, CheckedShare):
                self._hold(link, result)
                answer(None)
            else:
                assert isinstance(result, Rejected)
                if link != NO_LINK:
                    self._state.ready.charge.append((link, BAD_SIGNATURE_UNITS))
                answer(result)

        self._state.start_job(link, partial(_checked, self._state.election, self._counted, text), done)

    def _hold(self, source: int, share: CheckedShare) -> None:
        if share.place in self._shares:
            return
        self._shares[share.place] = share
        state = self._state
        if share.text not in self._kept:
            state.ready.save.append(SaveShare(share.place, share.text))
            state.ready.log.append(f"trustee {share.place} has decrypted the count")
        for link in state.sync.peers.keys() - {source}:
            state.send(link, SharesMessage(shares=(share.text,)))
        trustees = state.election.definition.trustees
        assert trustees is not None
        if len(self._shares) == trustees.threshold:
            self._open()  # once: a count of large weights takes minutes, and more shares do not change it

    def _open(self) -> None:
        assert self._counted is not None
        decryptions = {place: share.decryption for place, share in self._shares.items()}
        run = partial(_opened, self._state.election, self._counted, decryptions)

        def done(result: object, now: float) -> None:
            assert isinstance(result, tuple)
            self.contests = self.contests or result

        self._state.start_job(NO_LINK, run, done)


def _place_of(text: str) -> int:
    """The place that a share names. Raises Rejected: bad-document."""
    try:
        return _placed.decode(text).place
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Rejected("bad-document", f"the share: {error}") from None


# -- in a thread: the arguments are copies, or do not change -----------------------------------------


def _sum(
    election: Election, source: BlockSource, blocks: Sequence[tuple[bytes, Sequence[HashedVote] | None]]
) -> EncryptedCount:
    """Of all votes in blocks: those that are not on the disk yet are given."""
    sums = SecretSum(election)
    for block_hash, votes in blocks:
        if votes is None:
            records = source.records_of(block_hash, 0, 1 << POSITION_BITS)
            votes = hash_votes(list(map(_read_vote.decode, records)))
        sums.add(votes, election)
    return EncryptedCount.of(sums)


def _checked(election: Election, counted: EncryptedCount, text: str) -> CheckedShare | Rejected:
    try:
        return checked_share(election, counted, text)
    except NotProven as error:
        return Rejected(error.code, error.message)


def _opened(
    election: Election, counted: EncryptedCount, decryptions: dict[int, PartialDecryption]
) -> tuple[ContestReport, ...]:
    """The counts; none while there are too few shares, or where they come to no count of so many votes."""
    try:
        tally = open_count(election, counted, decryptions)
    except NotProven:
        return ()
    return () if tally is None else election.reports(tally)
