"""Secret elections at nodes: forged ballots are charged and refused, shares are taken, kept and opened."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from support.elections import CREATED, make_election, make_vote, mine_named
from support.named_network import NamedNetwork, named
from support.nodes import CLIENT, HandNode
from support.secret_definitions import SecretSetup, contest
from votenet.core.ledger.block import genesis_header
from votenet.core.ledger.signature_cache import SignatureCache
from votenet.core.ledger.vote import HashedVote
from votenet.errors import Rejected
from votenet.protocol.node.blocks import checked_block
from votenet.protocol.node.events import Received
from votenet.protocol.peers.misbehavior import LIMIT, POINTS
from votenet.protocol.wire.client_messages import (
    GetResults,
    GetShares,
    Results,
    ShareList,
    ShareTaken,
    SubmitShare,
    SubmitVotes,
    VotesTaken,
)
from votenet.protocol.wire.limits import (
    BAD_SIGNATURE_UNITS,
    BALLOT_BYTES_IN_UNIT,
    LINE_UNITS,
    PROOF_UNITS,
    VOTE_UNITS,
    units,
)
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.messages import decode_message, encode_message
from votenet.protocol.wire.peer_messages import SharesMessage, Votes

CLOSES = CREATED + 160
SETUP = SecretSetup(closes=CLOSES, nodes=4)
CHOSEN = ([[1, 0, 0]], [[0, 1, 0]], [[1, 0, 0]], [[1, 0, 0]])
VOTES = [
    SETUP.vote(voter, chosen, time=CREATED + 101) for voter, chosen in zip(SETUP.voters, CHOSEN, strict=False)
]
COUNTED = SETUP.counted(VOTES)
COUNTS = (("Alice", 3), ("Bob", 1), ("Çelik", 0))


def network(**options: Any) -> NamedNetwork:
    return NamedNetwork(4, election=SETUP.election, **options)


def ask(net: NamedNetwork, at: str, message: Message) -> Any:
    """The answer of a node, or the code of its refusal."""
    client = net.client(at)
    client.send(encode_message(message))
    assert net.run_until(lambda: bool(client.lines), 5.0)
    refusal = msgspec.json.decode(client.lines[0]).get("error")
    return refusal["code"] if refusal else decode_message(client.lines[0])


def results(net: NamedNetwork, at: int = 0) -> Results:
    answer = ask(net, named(at), GetResults())
    assert isinstance(answer, Results)
    return answer


def places(net: NamedNetwork, name: str) -> tuple[int, ...]:
    shares = net.core(name).shares
    assert shares is not None
    return shares.places


def is_ready(net: NamedNetwork, name: str) -> bool:
    answer = ask(net, name, GetShares())
    return isinstance(answer, ShareList) and answer.final


def ended(**options: Any) -> NamedNetwork:
    """A network whose result is final everywhere, with all of VOTES counted."""
    net = network(**options)
    net.cast(VOTES, named(1))
    assert net.run_until(lambda: net.all_count(len(VOTES)), 30.0)
    assert net.run_until(lambda: all(is_ready(net, name) for name in net.names), 120.0)
    return net


def test_shares_open_the_counts_at_every_node() -> None:
    net = ended()
    before = results(net)
    assert (before.final, before.votes, before.contests, before.decrypted_by) == (True, 4, (), ())
    for place, at in ((3, 0), (1, 2)):
        taken = ask(net, named(at), SubmitShare(share=SETUP.share(place, COUNTED)))
        assert isinstance(taken, ShareTaken)
        assert taken.place == place
    assert net.run_until(lambda: all(places(net, name) == (1, 3) for name in net.names), 10.0)
    net.run(1.0)
    for at in range(4):
        found = results(net, at)
        assert found.decrypted_by == (1, 3)
        assert found.contests[0].counts == COUNTS
        assert found.contests[0].outcome.winners == ("Alice",)


def test_a_node_that_was_away_gets_the_shares_and_keeps_them_over_a_restart() -> None:
    net = ended()
    net.crash(named(3))
    for place in (1, 2):
        ask(net, named(0), SubmitShare(share=SETUP.share(place, COUNTED)))
    net.restart(named(3))
    assert net.run_until(lambda: places(net, named(3)) == (1, 2), 60.0)
    for name in net.names:
        net.crash(name)
    net.restart(named(3))
    assert net.run_until(lambda: places(net, named(3)) == (1, 2), 10.0)
    net.run(1.0)
    assert results(net, 3).contests[0].counts == COUNTS


def test_what_is_no_share_of_this_count_is_refused_and_names_the_trustee() -> None:
    net = ended()
    fewer = SETUP.share(1, SETUP.counted(VOTES[1:]))
    assert ask(net, named(0), SubmitShare(share=fewer)) == "bad-decryption"
    as_other = SETUP.share(1, COUNTED).replace('"place":1', '"place":2')
    assert ask(net, named(0), SubmitShare(share=as_other)) == "bad-decryption"
    assert ask(net, named(0), SubmitShare(share="{}")) == "bad-document"
    assert ask(net, named(0), SubmitShare(share=SETUP.share(1, COUNTED) + " ")) == "not-canonical"
    assert places(net, named(0)) == ()
    ask(net, named(0), SubmitShare(share=SETUP.share(1, COUNTED)))
    again = ask(net, named(0), SubmitShare(share=SETUP.share(1, COUNTED)))
    assert isinstance(again, ShareTaken)


def test_a_share_that_does_not_hold_is_not_called_taken_though_its_trustee_has_decrypted() -> None:
    net = ended()
    ask(net, named(0), SubmitShare(share=SETUP.share(1, COUNTED)))
    fewer = SETUP.share(1, SETUP.counted(VOTES[1:]))
    assert ask(net, named(0), SubmitShare(share=fewer)) == "bad-decryption"
    assert ask(net, named(0), SubmitShare(share='{"place":1}')) == "bad-document"
    assert places(net, named(0)) == (1,)


def test_before_the_result_is_final_no_share_is_taken() -> None:
    net = network()
    assert ask(net, named(0), SubmitShare(share=SETUP.share(1, COUNTED))) == "not-final"
    answer = ask(net, named(0), GetShares())
    assert isinstance(answer, ShareList)
    assert (answer.shares, answer.threshold, answer.final) == ((), 2, False)


def test_a_public_election_has_no_shares() -> None:
    net = NamedNetwork(1)
    assert ask(net, named(0), GetShares()) == "not-found"


CHANGED = SETUP.ballot("voter-5")[:-5] + "7" + SETUP.ballot("voter-5")[-4:]
FORGED = SETUP.vote("voter-5", ballot=CHANGED)
STOLEN = SETUP.vote("voter-5", ballot=SETUP.ballot("voter-4"))


def test_a_forged_ballot_is_refused_with_its_code() -> None:
    net = network()
    for vote, code in ((FORGED, "bad-ballot-signature"), (STOLEN, "unknown-credential")):
        answer = ask(net, named(0), SubmitVotes(votes=(vote.vote,)))
        assert isinstance(answer, VotesTaken)
        assert (answer.outcomes[0].error or {})["code"] == code


def test_a_forged_ballot_is_charged_like_a_bad_signature_and_a_stolen_one_is_not() -> None:
    node = HandNode(SETUP.election)
    asked = node.take(Received(CLIENT, SubmitVotes(votes=(VOTES[0].vote, FORGED.vote))))
    assert node.finish(*asked.check).charge == [(CLIENT, BAD_SIGNATURE_UNITS)]
    assert [hashed.voter_id for hashed in node.core.state.pool] == ["voter-1"]
    asked = node.take(Received(CLIENT, SubmitVotes(votes=(STOLEN.vote,))))
    assert node.finish(*asked.check).charge == []


@pytest.mark.parametrize(
    ("vote", "code", "points"),
    [(FORGED, "bad-ballot-signature", LIMIT), (STOLEN, "unknown-credential", None)],
    ids=str,
)
def test_a_peer_that_relays_a_forged_ballot_is_refused_and_banned_where_it_cannot_be_an_old_roll(
    vote: HashedVote, code: str, points: int | None
) -> None:
    assert POINTS.get(code) == points
    node = HandNode(SETUP.election)
    node.meet(1)
    ready = node.receive(1, Votes(votes=(VOTES[0].vote, vote.vote)))
    assert [(link, error.code) for link, error in ready.refuse] == [(1, code)]
    assert [hashed.voter_id for hashed in node.core.state.pool] == ["voter-1"]


@pytest.mark.parametrize(("vote", "code"), [(FORGED, "bad-ballot-signature"), (STOLEN, "unknown-credential")])
def test_a_block_with_a_forged_ballot_is_no_block(vote: HashedVote, code: str) -> None:
    election = SETUP.election
    good = mine_named(election, genesis_header(election), 1, VOTES[:2])
    assert checked_block(good, VOTES[:2], 1, election, SignatureCache()) is good
    bad = mine_named(election, genesis_header(election), 1, [VOTES[0], vote])
    refusal = checked_block(bad, [VOTES[0], vote], 1, election, SignatureCache())
    assert isinstance(refusal, Rejected)
    assert refusal.code == code


@pytest.mark.parametrize("count", [1, 3])
def test_a_secret_vote_is_priced_by_the_length_of_its_ballot(count: int) -> None:
    public = SubmitVotes(votes=(make_vote(make_election(), "v").vote,) * count)
    assert units(public) == LINE_UNITS + count * VOTE_UNITS
    secret = SubmitVotes(votes=(VOTES[0].vote,) * count)
    assert units(secret) > LINE_UNITS + count * (VOTE_UNITS + 20)
    share = SubmitShare(share=SETUP.share(1, COUNTED))
    assert units(share) > LINE_UNITS + 10


def test_short_numbers_in_the_proofs_of_a_ballot_do_not_make_it_cheaper_than_checking_it() -> None:
    short = re.sub(r'"(challenge|response)":"[0-9]+"', r'"\1":"9"', VOTES[0].vote.ballot)
    proofs = short.count('"challenge"')
    price = units(SubmitVotes(votes=(SETUP.vote("voter-1", ballot=short).vote,)))
    assert price >= LINE_UNITS + VOTE_UNITS + PROOF_UNITS * proofs
    assert price > 1.5 * len(short) / BALLOT_BYTES_IN_UNIT


def test_a_peer_that_asks_for_shares_again_and_again_pays_for_long_ones() -> None:
    setup = SecretSetup(contests=(contest("Ketua", [f"C{number}" for number in range(40)]),))
    counted = setup.counted([])
    node = HandNode(setup.election)
    node.meet(1)
    pool = node.core.shares
    assert pool is not None
    node.run()
    pool._summed(counted, node.now)
    ask = SharesMessage(shares=(), asks=True)
    assert node.take(Received(1, ask)).charge == [], "there is nothing to send yet"
    node.receive(CLIENT, SubmitShare(share=setup.share(1, counted)))
    asked = node.take(Received(1, ask))
    (answer,) = [message for link, message in asked.send if link == 1]
    assert isinstance(answer, SharesMessage)
    assert len(answer.shares) == 1
    assert [link for link, _ in asked.charge] == [1]


def test_shares_are_opened_once_when_they_are_enough() -> None:
    node = HandNode(SETUP.election)
    pool = node.core.shares
    assert pool is not None
    pool._summed(COUNTED, node.now)
    opening = []
    for place, jobs in ((3, 0), (1, 1), (2, 0)):
        asked = node.take(Received(CLIENT, SubmitShare(share=SETUP.share(place, COUNTED))))
        begun = node.finish(*asked.check).check
        assert len(begun) == jobs, "the third comes while the first two are being opened"
        opening += begun
    node.finish(*opening)
    assert pool.contests[0].counts == COUNTS
