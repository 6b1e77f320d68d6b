"""A secret election that four named nodes have finished in virtual time: blocks, certificate, count."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final, NamedTuple

from support.elections import CREATED, as_stored
from support.named_network import NamedNetwork, named
from support.secret_definitions import SecretSetup
from votenet.core.ledger.block import Block
from votenet.core.ledger.secret_count import EncryptedCount
from votenet.core.ledger.vote import HashedVote
from votenet.core.records.archive import archive_lines

CLOSES: Final = CREATED + 160
AFTER: Final = CREATED + 1000
"""When everything is over."""


class SecretHistory(NamedTuple):
    setup: SecretSetup
    votes: list[HashedVote]
    counted: EncryptedCount
    blocks: list[tuple[bytes, bytes, bytes]]
    certificate: str

    def archive(self, shares: Sequence[str] = ()) -> list[bytes]:
        """The lines of the archive with these shares."""
        return list(archive_lines(self.setup.election, iter(self.blocks), self.certificate, shares))


@functools.cache
def secret_history() -> SecretHistory:
    """Alice has two votes, Bob one."""
    setup = SecretSetup(closes=CLOSES, nodes=4)
    chosen = ([[1, 0, 0]], [[0, 1, 0]], [[1, 0, 0]])
    votes = [
        setup.vote(voter, numbers, time=CREATED + 101)
        for voter, numbers in zip(setup.voters, chosen, strict=False)
    ]
    net = NamedNetwork(4, election=setup.election)
    net.cast(votes, named(1))
    assert net.run_until(lambda: net.all_count(len(votes)), 30.0)
    core = net.core(named(0))
    assert core.closing is not None
    closing = core.closing
    assert net.run_until(lambda: closing.end.over, 120.0)
    assert net.run_until(net.all_certified, 30.0)
    assert core.checkpoints is not None
    certified = core.checkpoints.certified
    assert certified is not None
    state = core.state
    blocks = [
        as_stored(Block(entry.header, tuple(state.votes_of(entry.hash)), entry.extras))
        for entry in state.chain.best[1:]
    ]
    return SecretHistory(setup, votes, setup.counted(votes), blocks, str(certified.certificate.note))
