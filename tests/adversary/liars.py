"""Liars: each is a named node's own program, changed so that it lies in one way.

Started as

    python liars.py LIE node --data-dir …

It speaks the protocol as any node, with the keys of its named node.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from votenet.core.ledger.closing import sign_list
from votenet.core.ledger.extras import Miner
from votenet.core.log.certificate import checkpoint_text, cosign_checkpoint
from votenet.core.records.acceptance import accept_group
from votenet.pow import bits_to_target, search
from votenet.protocol.consensus.outputs import NO_BLOCK, PRECOMMIT, PREVOTE, PROPOSAL
from votenet.protocol.node.acceptances import Acceptances
from votenet.protocol.node.checkpoints import Checkpoints
from votenet.protocol.node.closing import Closing
from votenet.protocol.node.finality import Finality
from votenet.protocol.node.round_statements import write_proposal, write_vote
from votenet.protocol.node.split_views import Cosigned, cosignature_message
from votenet.protocol.node.votes import VoteRelay
from votenet.protocol.wire.named_messages import (
    ClosingListMessage,
    ConsensusVotes,
    Proposal,
)

MANY = 200
"""Proposals that a flood has: more than fit, if each were kept."""


def two_faced(self: Finality, statement: Any) -> None:
    """Every second node is told of another block, or of none, in each step."""
    if statement.kind == PROPOSAL:
        _honest_send(self, statement)
    other = statement._replace(value=os.urandom(32) if statement.value == NO_BLOCK else NO_BLOCK)
    if statement.kind == PROPOSAL:
        other = statement._replace(value=os.urandom(32))
    for number, link in enumerate(self.state.named_links().values()):
        made = self._sign(other if number % 2 else statement)
        if statement.kind != PROPOSAL:
            self.state.send(link, ConsensusVotes(votes=(write_vote(made),)))
        elif number % 2:
            self.state.send(link, _with_header(self, made))
            self.state.send(link, _both_faces(self, statement))


def _both_faces(self: Finality, proposal: Any) -> ConsensusVotes:
    """Two votes in each step, at once with the proposal: they come before any node can decide.

    Elsewhere a node may decide before it hears the other vote, and has no evidence then.
    """
    said = [
        proposal._replace(kind=kind, value=value, valid_round=-1, signature="")
        for kind in (PREVOTE, PRECOMMIT)
        for value in (proposal.value, NO_BLOCK)
    ]
    return ConsensusVotes(votes=tuple(write_vote(self._sign(made)) for made in said))


def _with_header(self: Finality, signed: Any) -> Proposal:
    """A second proposal for the same round, on another header with work."""
    proposed = next(iter(self.proposed.by_hash.values()))
    header = _again(proposed.entry.header, os.urandom(32))
    made = self._sign(signed._replace(value=header.hash, signature=""))
    miner = proposed.extras.miner
    assert miner is not None
    return Proposal(proposal=write_proposal(made), header=header.pack(), ids=b"", miner=miner)


def _again(header: Any, root: bytes) -> Any:
    header = header._replace(merkle_root=root, nonce=0)
    nonce = search(header.pack(), bits_to_target(header.bits), 0)
    assert nonce is not None
    return header._replace(nonce=nonce)


def silent(self: Finality, statement: Any) -> None:
    """It proposes nothing, and votes for nothing."""


def tells_one_node_alone(self: Finality, statement: Any) -> None:
    """Everything goes to one node; the others hear of it from there, or not at all."""
    links = sorted(self.state.named_links().values())
    for link in links[:1]:
        signed = self._sign(statement)
        if statement.kind == PROPOSAL:
            self.state.send(link, self._proposal_for(link, signed, self.proposed.by_hash[signed.value]))
        else:
            self.state.send(link, ConsensusVotes(votes=(write_vote(signed),)))


def no_precommits(self: Finality, statement: Any) -> None:
    """Withholds what decides."""
    if statement.kind != "precommit":
        _honest_send(self, statement)


def late_precommits(self: Finality, statement: Any) -> None:
    """Its precommits come one height late and at each later height again, beside others for the same place
    and for heights that no node has come to."""
    if statement.kind != PRECOMMIT:
        _honest_send(self, statement)
        return
    kept = self.__dict__.setdefault("kept_back", [])
    late = [made for made in kept if made.height < statement.height]
    kept.append(statement)
    others = [
        made._replace(value=NO_BLOCK if number % 2 else os.urandom(32)) for number, made in enumerate(late)
    ]
    ahead = [
        statement._replace(height=statement.height + by, round=number, value=os.urandom(32))
        for by in (1, 2, 1000, 2**40)
        for number in (0, 1, 7, 2**40)
    ]
    said = [write_vote(self._sign(made)) for made in [*late, *others, *ahead]]
    self.state.tell_named(ConsensusVotes(votes=tuple(said[-4000:])))


def false_miner(self: Finality, statement: Any) -> None:
    """One node gets the proposed block with a signature that does not hold, so that it refuses the block that
    the others lock on; no precommit of the liar ever comes."""
    if statement.kind != PROPOSAL:
        no_precommits(self, statement)
        return
    signed = self._sign(statement)
    for number, link in enumerate(sorted(self.state.named_links().values())):
        made = self._proposal_for(link, signed, self.proposed.by_hash[signed.value])
        assert isinstance(made, Proposal)
        if number == 0:
            false = Miner(node=made.miner.node, signature="00" * 64)
            made = Proposal(proposal=made.proposal, header=made.header, ids=made.ids, miner=false,
                            records=made.records, closing=made.closing)  # fmt: skip
        self.state.send(link, made)


def proposal_flood(self: Finality, statement: Any) -> None:
    """Blocks with work, one for each of many rounds in which it is the proposer, all at once."""
    if statement.kind == PROPOSAL:
        proposed = self.proposed.by_hash[statement.value]
        for number in range(MANY):
            header = _again(proposed.entry.header, os.urandom(32))
            later = statement.round + self.state.election.named * number
            made = self._sign(statement._replace(value=header.hash, round=later))
            miner = proposed.extras.miner
            assert miner is not None
            ids = os.urandom(8 * 2000)
            message = Proposal(proposal=write_proposal(made), header=header.pack(), ids=ids, miner=miner)
            for link in self.state.named_links().values():
                self.state.send(link, message)
    for number in range(MANY):
        rounds = range(20 * number, 20 * number + 20)
        prevote = statement._replace(kind="prevote", valid_round=-1)
        said = [self._sign(prevote._replace(value=os.urandom(32), round=at)) for at in rounds]
        self.state.tell_named(ConsensusVotes(votes=tuple(map(write_vote, said))))
    _honest_send(self, statement)


def two_lists(self: Closing) -> None:
    """Every second node gets the list, the others one without votes and one of invented ids."""
    state, hours, keys = self.state, self.hours, self.state.info.keys
    assert hours is not None
    assert keys is not None
    assert state.index is not None
    for number, link in enumerate(state.named_links().values()):
        ids = tuple(sorted(os.urandom(32) for _ in range(3000))) if number % 2 else ()
        record = _list_of(self, hours.closes, ids)
        state.send(link, ClosingListMessage(list=record, ids=b"".join(ids)))
    _honest_list(self)  # before those that end the link
    for link in state.named_links().values():
        for closes in (hours.closes - 100, hours.closes + 100):
            state.send(link, ClosingListMessage(list=_list_of(self, closes, ()), ids=b""))


def _list_of(self: Closing, closes: int, ids: tuple[bytes, ...]) -> Any:
    keys, index = self.state.info.keys, self.state.index
    assert keys is not None
    assert index is not None
    network = self.state.election.network_hex
    return sign_list(keys.statement, network_hex=network, node=index, closes=closes, height=0, vote_ids=ids)


def empty_list(self: Closing) -> None:
    """Its list omits every vote that it has accepted."""
    self.state.pool.remove_voters([hashed.voter_id for hashed in self.state.pool])
    _honest_list(self)


def low_list(self: Closing) -> None:
    """Its list claims that it knows no block, so that all of the chain lies above it."""
    hours, ids = self.hours, tuple(sorted(hashed.id for hashed in self.state.pool))
    assert hours is not None
    record = _list_of(self, hours.closes, ids)
    hours.sign_list()
    self._keep(record, ids)
    self.state.tell_named(ClosingListMessage(list=record, ids=b"".join(ids)))


def bloated_list(self: Closing) -> None:
    """As many invented ids as a message may have: with them the lists have no room in a closing block."""
    hours = self.hours
    assert hours is not None
    ids = tuple(sorted(os.urandom(32) for _ in range(262_144)))
    record = _list_of(self, hours.closes, ids)
    self.state.tell_named(ClosingListMessage(list=record, ids=b"".join(ids)))
    hours.sign_list()


def back_dated(self: Acceptances, now: float) -> None:
    """Accepts every vote an hour before it came, and for votes that it has not."""
    keys, index = self.state.info.keys, self.state.index
    assert keys is not None
    assert index is not None
    self._last = max(int(now) - 3600, 0)
    network = self.state.election.network_hex
    accept_group(keys.statement, network_hex=network, node=index, time=1, vote_ids=[os.urandom(32)])
    _honest_accept(self, now - 3600)


def two_roots(self: Checkpoints, now: float) -> None:
    """Cosigns another log of the same size, too, and tells every second node of that one."""
    height, keys, index = self._height, self.state.info.keys, self.state.index
    _honest_refresh(self, now)
    assert keys is not None
    assert index is not None
    if self._height and self._height != height:
        root = os.urandom(32)
        text = checkpoint_text(self.state.election.network_id, self.frontier.size, root)
        line = cosign_checkpoint(keys.cosign, index, text, int(now))
        cosigned = Cosigned(self.frontier.size, root, index, line.signature)
        for number, link in enumerate(self.state.named_links().values()):
            if number % 2:
                self.state.send(link, cosignature_message(cosigned))


def forgets(self: VoteRelay, *arguments: Any, **options: Any) -> Any:
    """Passes on no vote that it took."""


_honest_send = Finality._send
_honest_list = Closing._sign_list
_honest_accept = Acceptances._sign
_honest_refresh = Checkpoints.refresh

LIES: dict[str, list[tuple[type, str, Callable[..., Any]]]] = {
    # What of the program each changes.
    "two-faced": [(Finality, "_send", two_faced)],
    "silent": [(Finality, "_send", silent)],
    "tells-one": [(Finality, "_send", tells_one_node_alone)],
    "no-precommits": [(Finality, "_send", no_precommits)],
    "late-precommits": [(Finality, "_send", late_precommits)],
    "false-miner": [(Finality, "_send", false_miner)],
    "proposal-flood": [(Finality, "_send", proposal_flood)],
    "two-lists": [(Closing, "_sign_list", two_lists)],
    "empty-list": [(Closing, "_sign_list", empty_list)],
    "low-list": [(Closing, "_sign_list", low_list)],
    "bloated-list": [(Closing, "_sign_list", bloated_list)],
    "back-dated": [(Acceptances, "_sign", back_dated)],
    "two-roots": [(Checkpoints, "refresh", two_roots)],
}
LIES["everything"] = LIES["two-faced"] + LIES["two-lists"] + LIES["back-dated"]


def main(lie: str, *arguments: str) -> None:
    for kind, name, changed in LIES[lie]:
        setattr(kind, name, changed)
    sys.argv = ["votenet", *arguments]
    from votenet.__main__ import main as run

    run()


if __name__ == "__main__":
    main(*sys.argv[1:])
