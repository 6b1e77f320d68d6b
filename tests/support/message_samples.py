"""A sample of every message, for the tests that go over all of them, and how a line is refused."""

from __future__ import annotations

import msgspec
import pytest

from support.amendments import amendable, amendment
from support.elections import make_election, make_vote
from votenet.core.election.contest import ContestReport
from votenet.core.ledger.extras import ClosingList, Miner
from votenet.core.ledger.statement import make_commit
from votenet.core.methods.method import ContestResult, Round
from votenet.errors import RemoteProtocolError
from votenet.protocol.wire import client_messages, named_messages, peer_messages
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.messages import decode_message
from votenet.protocol.wire.peer_messages import BlockchainUpdate, Hello, HelloProof, Ping, RequestBlockchain

VOTE = make_vote(make_election(), "Ünïcode \U0001f5f3").vote
HASH, PROOF, SEED, HEADER = "ab" * 32, "cd" * 64, "ef" * 8, "01" * 80
HELLO = Hello(challenge=HASH, height=0, network_id=HASH, node_key=HASH, seed=SEED, version=1, work="0")

SEEN = named_messages.ProposalSeen(height=3, round=1, valid_round=-1, node=2, signature=PROOF, block=HASH)
MINER = Miner(node=2, signature=PROOF)
LIST = ClosingList(closes=7, count=1, height=3, network_id=HASH, node=2, root=HASH, signature=PROOF)
PRECOMMIT = named_messages.ConsensusVote(kind="precommit", height=3, round=0, node=0, signature=PROOF)
PREVOTE = named_messages.ConsensusVote(kind="prevote", height=3, round=1, node=2, signature=PROOF, block=HASH)
REFUSED = client_messages.VoteOutcome(vote_id=HASH, error={"code": "x"})
AMENDED = amendment(amendable(), "cancel", reason="Ünïcode")
SWITCH = client_messages.Switch(time=1.5, fork=1, removed=1, added=2, old=HASH, new=HASH, votes=3)
LIE = named_messages.Lie(kind="two-prevotes", node=2, proof=msgspec.Raw(b"{}"))

SAMPLES: list[Message] = [
    RequestBlockchain(),
    RequestBlockchain(data=""),
    BlockchainUpdate(data="QQ=="),
    peer_messages.NewPeerJoined(data="bG9jYWxob3N0OjMwMDA="),
    peer_messages.ShutdownPeer(data="bG9jYWxob3N0OjMwMDA="),
    msgspec.structs.replace(HELLO, height=3, work="ff", listen="a:1"),
    msgspec.structs.replace(HELLO, proof=PROOF),
    HelloProof(proof=PROOF),
    peer_messages.Votes(votes=(VOTE, VOTE)),
    peer_messages.Votes(votes=(), id=1),
    peer_messages.HaveVotes(ids=bytes(range(16))),
    peer_messages.GetVotes(ids=b""),
    peer_messages.GetVotes(ids=b"8 bytes.", id=3),
    peer_messages.CompactBlock(header=bytes(80), ids=bytes(16)),
    peer_messages.Neighbours(keys=bytes(16)),
    peer_messages.GetBlockVotes(hash=HASH, positions=(0, 7)),
    peer_messages.BlockVotes(hash=HASH, votes=(VOTE,)),
    peer_messages.GetHeaders(locator=(HASH,)),
    peer_messages.Headers(headers=(HEADER,)),
    peer_messages.GetBlocks(hashes=(HASH,)),
    peer_messages.BlockMessage(header=HEADER, votes=(VOTE,)),
    peer_messages.NoBlock(hash=HASH),
    named_messages.ConsensusVotes(
        votes=(PREVOTE, PRECOMMIT)
    ),
    named_messages.Proposal(proposal=SEEN, header=bytes(80), ids=bytes(16), miner=MINER),
    named_messages.QuorumMessage(votes=(PRECOMMIT,)),
    named_messages.GetConsensus(height=3),
    named_messages.ConsensusState(height=3, proposals=(SEEN,), quorums=((PRECOMMIT,),), id=1),
    named_messages.AcceptedMessage(node=2, time=7, root=HASH, signature=PROOF, ids=bytes(8)),
    named_messages.HourPassed(closes=7, node=2, signature=PROOF),
    named_messages.HandedOnVotes(votes=(named_messages.HandedOn(vote=VOTE, acceptances=()),)),
    named_messages.ClosingListMessage(list=LIST, ids=bytes(32)),
    named_messages.CosignatureMessage(cosignature="ab" * 72, node=2, root=HASH, size=3),
    named_messages.CertificateMessage(height=3, note="votenet/ab\n4\nAAAA\n\n"),
    peer_messages.Peers(addresses=("[::1]:3000",), bootstraps=("b:4000",), id=1),
    peer_messages.NotReached(address="[::1]:3000", seen="10.0.0.5"),
    Ping(),
    Ping(id=2**53 - 1),
    peer_messages.Pong(id=0),
    peer_messages.GetPeers(id=5),
    client_messages.GetElection(),
    client_messages.ElectionInfo(definition=msgspec.Raw(b'{"title":"x"}'), network_id=HASH, id=1),
    client_messages.SubmitVotes(votes=(VOTE,), id=9),
    client_messages.SubmitVotes(votes=(VOTE,), acceptances=True),
    client_messages.VotesTaken(outcomes=(REFUSED,), id=9),
    client_messages.GetVoteStatus(voter_id="v"),
    client_messages.VoteStatus(voter_id="v", state="in_block", block=HASH, height=4, confirmations=1),
    client_messages.GetProof(voter_id="v", id=1),
    client_messages.Proof(id=1),
    client_messages.Proof(
        vote=VOTE, header=HEADER, height=2, position=1, size=2, path=(HASH,), headers=(HEADER, HEADER)
    ),
    client_messages.Proof(vote=VOTE, height=2, position=1, proof="c2sp.org/tlog-proof@v1\nindex 4\n\n"),
    client_messages.GetCheckpoint(size=7, id=1),
    client_messages.CheckpointMessage(note="votenet/ab\n4\nAAAA\n\n", height=3, proof=(HASH,), id=1),
    peer_messages.AmendmentMessage(amendment=AMENDED),
    client_messages.SubmitAmendment(amendment=AMENDED, id=1),
    peer_messages.SharesMessage(shares=('{"place":1}',), asks=True),
    client_messages.SubmitShare(share='{"place":2}', id=1),
    client_messages.ShareTaken(place=2, id=1),
    client_messages.GetShares(id=2),
    client_messages.ShareList(shares=('{"place":1}',), threshold=2, final=True),
    client_messages.AmendmentTaken(number=1, id=1),
    client_messages.GetAmendments(first=2, id=1),
    client_messages.GetBlockList(first=2, count=3, id=1),
    client_messages.GetBlockList(),
    client_messages.BlockList(
        first=2,
        height=3,
        blocks=(client_messages.ListedBlock(HEADER, make_commit(1, {0: PROOF}), own=True),),
        time=1.5,
        aside=(client_messages.ListedBlock(HEADER),),
        switches=(SWITCH,),
        id=1,
    ),
    client_messages.AmendmentList(amendments=(AMENDED,), count=1, height=2, next=3, waiting=(2,)),
    client_messages.GetResults(),
    client_messages.Results(
        title="t", contests=(), votes=2, waiting=0, height=1, tip=HASH, network_id=HASH,
    ),
    client_messages.Results(
        title="t", votes=2, waiting=0, height=1, tip=HASH,
        network_id=HASH, opens=1, closes=2, registered=3, contests=(
            ContestReport(
                id="1", title="t", method="instant-runoff", seats=1, counts=(("Alice", 2),), votes=2, blank=0,
                weight=2, outcome=ContestResult(
                    state="won", winners=("Alice",),
                    rounds=(Round(number=1, counts=(("Alice", 2),), eliminated=("Bob",), tied=("Bob",)),),
                ),
            ),
        ),
    ),
    named_messages.EvidenceMessage(lies=(LIE,)),
    client_messages.GetEvidence(),
    client_messages.EvidenceList(lies=(LIE, LIE), id=1),
    client_messages.GetStatus(),
    client_messages.NodeStatus(
        name="n", version="1", node_key=HASH, network_id=HASH, listen="a:1", height=1, tip=HASH, work="1",
        bits=1, votes=0, waiting=0, peers=0, known_peers=0, synced=True, mining=False, kernel="k", uptime=1,
    ),
]  # fmt: skip

FORGED = ("a\nb", "\x1b[2Jx", "\u202ex", "x\u200b", "\x9b31m", "a\u2028b", "\x7f")
"""A forged line, an escape sequence, a turned order of letters, what cannot be seen."""


def refusal(line: bytes) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_message(line)
    return caught.value.code
