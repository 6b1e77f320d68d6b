"""Secret elections at a client: the encrypted ballot of a voter, and the shares of trustees."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from votenet.client.answers import wrong_answer
from votenet.client.connection import NodeConnection
from votenet.core.election.definition import Election
from votenet.core.ledger.secret_count import EncryptedCount, SecretSum, checked_share
from votenet.core.ledger.vote import HashedVote
from votenet.errors import Command, NextStep, NotProven, VotenetError
from votenet.protocol.wire.client_messages import GetShares, ShareList, ShareTaken, SubmitShare
from votenet.secret.ballot import make_ballot
from votenet.secret.credentials import secret_exponent


def encrypted_ballot(election: Election, ballots: Sequence[Sequence[str]], credential: str | None) -> str:
    """The ballot of a vote with these choices for each contest; empty where ballots are public.

    It takes about a millisecond for each candidate.

    Args:
        ballots: checked, as `ballots_of` gives them.
        credential: the voter's secret one; it follows from the code on the card (`credential_of_code`).

    Raises:
        VotenetError: no-credential; ballots are secret, and there is none.
        NotProven: bad-credential; it is not written as one.
    """
    if election.secret is None:
        return ""
    if credential is None:
        raise VotenetError(
            "the ballots of this election are secret: a key alone cannot vote",
            code="no-credential",
            # Without the choices: a shell remembers what is pasted.
            next_step=NextStep("Vote with the code on your card: {}", Command("vote", "--code")),
        )
    numbers = [
        [int(not chosen)] * contest.definition.blank + [int(name in chosen) for name in contest.names]
        for contest, chosen in zip(election.contests, ballots, strict=True)
    ]
    secret = secret_exponent(credential, election.definition.uuid)
    return make_ballot(election.secret, secret, numbers, os.urandom).decode()


async def fetch_shares(node: NodeConnection) -> ShareList:
    """The trustees' shares that a node has. Each must be checked against the votes that are counted.

    Raises:
        Rejected: not-found; the ballots of the election are public.
    """
    return await node.ask(GetShares(), ShareList)


async def submit_share(node: NodeConnection, share: str, place: int) -> None:
    """Hand in the share of the trustee at this place. A node that has one of this trustee keeps that.

    Raises:
        Rejected: not-final, bad-decryption, bad-document, not-found.
    """
    taken = await node.ask(SubmitShare(share=share), ShareTaken)
    if taken.place != place:
        raise wrong_answer(node.address, "the share of another trustee")


class ArchivedShares:
    """The trustees' shares that go into an archive: those of a node that belong to the votes in it.

    In a public election there are none. Each choice of a vote takes two additions, about 20 microseconds.
    """

    def __init__(self, election: Election) -> None:
        self._election = election
        self._sum: SecretSum | None = None
        self.texts: list[str] = []

    async def fetch(self, node: NodeConnection) -> None:
        """Take those of this node, and none that another gave before. Raises what `fetch_shares` does."""
        if self._election.secret is not None:
            self.texts[:] = (await fetch_shares(node)).shares
            can_count = self.texts and not self._election.definition.weighted
            self._sum = SecretSum(self._election) if can_count else None

    def count(self, votes: Sequence[HashedVote]) -> None:
        """Add the counted votes of a block."""
        if self._sum is None:
            return
        try:
            self._sum.add(votes, self._election)
        except NotProven:  # the archive does not hold, with shares or without
            self._sum = None

    def drop_others(self) -> None:
        """Keep only shares of the votes that were counted, one of each trustee, in the order of places."""
        if self._sum is None:
            return
        counted, held = EncryptedCount.of(self._sum), dict[int, str]()
        for text in self.texts:
            with contextlib.suppress(NotProven):
                held.setdefault(checked_share(self._election, counted, text).place, text)
        self.texts[:] = [held[place] for place in sorted(held)]
