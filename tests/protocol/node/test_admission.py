"""The list of checks between a vote's arrival and the pool: each has its code, and the cheaper one speaks."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from support.elections import make_election, make_vote, make_votes
from support.nodes import CLIENT, NOW, HandNode
from support.secret_definitions import SecretSetup
from votenet.core.ledger.mempool import Origin, PoolFull, ShortVote, short_id
from votenet.core.ledger.secret_vote import ForgedVote
from votenet.core.ledger.signature_cache import SignatureCache
from votenet.core.ledger.vote import HashedVote, Vote, hash_vote
from votenet.core.limits import MAX_CLOCK_AHEAD
from votenet.errors import Rejected
from votenet.protocol.node.admission import Admission, ballot_portions, check_votes
from votenet.protocol.node.events import Portions, Received
from votenet.protocol.wire.client_messages import SubmitVotes, VotesTaken
from votenet.protocol.wire.limits import BALLOT_BYTES_IN_UNIT

ORIGIN = Origin("here", 1)
CLOSES = int(NOW) + 100
ELECTION = make_election(closes=CLOSES)
SECRET = SecretSetup(weights=(1,) * 24)


def node_with_votes() -> HandNode:
    """`counted` has a vote on the chain, `waits` has one in the pool."""
    node = HandNode(ELECTION)
    node.submit(make_vote(ELECTION, "counted"))
    node.mine()
    node.submit(make_vote(ELECTION, "waits"))
    return node


def codes(verdicts: Sequence[Rejected | None]) -> list[str | None]:
    return [None if refusal is None else refusal.code for refusal in verdicts]


def short(node: HandNode, vote: HashedVote) -> ShortVote:
    return ShortVote(short_id(vote.id, node.state.pool.seed), vote)


@pytest.mark.parametrize(
    ("voter", "choice", "code"),
    [
        ("counted", "Alice", "duplicate-vote"),
        ("counted", "Bob", "already-voted"),
        ("waits", "Alice", "duplicate-vote"),
        ("waits", "Bob", "already-voted"),
        ("new", "Alice", None),
    ],
)
def test_a_voter_has_one_vote_on_the_chain_or_in_the_pool(voter: str, choice: str, code: str | None) -> None:
    node = node_with_votes()
    vote = make_vote(ELECTION, voter, choice)
    assert codes(Admission(node.state).refusals([vote], ORIGIN, NOW)) == [code]


def test_a_full_pool_says_when_to_come_again() -> None:
    node = HandNode(ELECTION, pool_bytes=100)
    (refusal,) = Admission(node.state).refusals([make_vote(ELECTION)], ORIGIN, NOW)
    assert isinstance(refusal, PoolFull)
    assert refusal.details == {"retry_seconds": ELECTION.definition.chain.block_seconds}


def test_the_hours_are_looked_at_before_the_votes_own_time() -> None:
    admission = Admission(HandNode(ELECTION).state)
    late = make_vote(ELECTION, time=CLOSES + MAX_CLOCK_AHEAD + 1)
    assert codes(admission.refusals([late], ORIGIN, NOW)) == ["vote-from-future"]
    assert codes(admission.refusals([late], ORIGIN, CLOSES)) == ["closed"]


def test_a_second_vote_is_called_that_even_when_the_election_is_closed() -> None:
    admission = Admission(node_with_votes().state)
    votes = [make_vote(ELECTION, "counted", "Bob"), make_vote(ELECTION, "waits", "Bob"), make_vote(ELECTION)]
    assert codes(admission.refusals(votes, ORIGIN, CLOSES)) == ["already-voted", "already-voted", "closed"]


def test_rules_come_before_the_signature() -> None:
    good, foreign, forged = (make_vote(ELECTION, name) for name in ("good", "foreign", "forged"))
    wrong = "0" * 128
    foreign = hash_vote(msgspec.structs.replace(foreign.vote, network_id="ab" * 32, signature=wrong))
    forged = hash_vote(msgspec.structs.replace(forged.vote, signature=wrong))
    verdicts = check_votes([good, foreign, forged], ELECTION, SignatureCache())
    assert codes(verdicts) == [None, "network-mismatch", "bad-signature"]
    assert isinstance(verdicts[2], ForgedVote)


def test_what_has_changed_since_the_cheap_checks_counts_when_a_vote_is_admitted() -> None:
    node = HandNode(ELECTION)
    admission = Admission(node.state)
    first, second, late = make_vote(ELECTION, "v"), make_vote(ELECTION, "v", "Bob"), make_vote(ELECTION, "w")
    node.submit(late)
    votes = [short(node, vote) for vote in (first, second, late)]
    admitted, verdicts = admission.admit(votes, [None] * 3, ORIGIN, NOW)
    assert admitted == votes[:1]
    assert codes(verdicts) == [None, "already-voted", "duplicate-vote"]
    assert set(node.state.pool) == {first, late}


def test_a_refused_vote_keeps_its_verdict_and_holds_up_no_other() -> None:
    node = HandNode(ELECTION)
    votes = [short(node, vote) for vote in make_votes(ELECTION, 3)]
    admitted, verdicts = Admission(node.state).admit(
        votes, [None, ForgedVote("bad-signature", "why"), None], ORIGIN, NOW
    )
    assert admitted == [votes[0], votes[2]]
    assert codes(verdicts) == [None, "bad-signature", None]
    assert len(node.store.load().waiting) == 0, "saved with the next Ready"
    assert [list(change.votes) for change in node.core.ready(NOW).save] == [[v.hashed for v in admitted]]


def priced(prices: Sequence[float]) -> list[Vote]:
    """Votes of a secret election whose ballots cost so much; that is all there is to them."""
    vote = SECRET.vote("voter-1").vote
    return [
        msgspec.structs.replace(vote, ballot="x" * round(price * BALLOT_BYTES_IN_UNIT)) for price in prices
    ]


@pytest.mark.parametrize(
    ("prices", "sizes"),
    [
        ([1] * 9, [9]),
        ([100, 150, 1], [2, 1]),
        ([100] * 5, [2, 2, 1]),
        ([251, 251, 10, 10], [1, 1, 2]),
        ([10, 700, 10], [1, 1, 1]),
    ],
)
def test_ballots_are_checked_in_portions_of_bounded_work(prices: list[float], sizes: list[int]) -> None:
    votes, portions = priced(prices), list[Sequence[Vote]]()

    def check(some: Sequence[Vote]) -> Sequence[object]:
        portions.append(some)
        return some

    run = ballot_portions(SECRET.election, votes, check, lambda vote: vote)
    assert run() == votes
    assert [len(some) for some in portions] == sizes
    portions.clear()
    ballot_portions(ELECTION, votes, check, lambda vote: vote)()
    assert portions == [votes], "in public elections lines are checked as they come"


def test_a_line_of_secret_votes_is_judged_as_one_whatever_its_portions() -> None:
    node = HandNode(SECRET.election)
    votes = [SECRET.vote(voter) for voter in SECRET.voters]
    votes[7] = SECRET.vote(SECRET.voters[7], ballot=SECRET.ballot(SECRET.voters[8]))
    message = SubmitVotes(votes=tuple(one.vote for one in votes))
    (job,) = node.take(Received(CLIENT, message)).check
    assert isinstance(job.run, Portions)
    portions = 1
    while job.run.do_next():
        portions += 1
    assert portions > 2
    ((_, answer),) = node.finish(job).send
    assert isinstance(answer, VotesTaken)
    assert [one.error and one.error["code"] for one in answer.outcomes] == [
        "unknown-credential" if number == 7 else None for number in range(len(votes))
    ]
