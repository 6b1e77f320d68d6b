"""Prices: expensive questions cost more, and no election reaches the limits."""

from __future__ import annotations

import msgspec
import pytest

from support.elections import make_election, make_votes
from support.secret_definitions import SecretSetup
from votenet.client.voting import VOTE_POLL_SECONDS
from votenet.core.ledger.extras import Miner, NotCounted
from votenet.protocol.wire.client_messages import GetProof, GetVoteStatus, SubmitVotes
from votenet.protocol.wire.limits import (
    BYTES_SENT_IN_UNIT,
    CLIENT_RATES,
    CONNECTIONS_AT_ONCE,
    HEADERS_IN_UNIT,
    LINE_UNITS,
    MAX_DEBT_SECONDS,
    PEER_RATES,
    SHORT_IDS_IN_UNIT,
    VOTE_UNITS,
    sent_units,
    units,
)
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.named_messages import Proposal, ProposalSeen
from votenet.protocol.wire.peer_messages import (
    CompactBlock,
    GetBlocks,
    GetVotes,
    HaveVotes,
    Headers,
    Ping,
    RequestBlockchain,
    Votes,
)
from votenet.protocol.wire.token_bucket import TokenBucket

VOTES = tuple(hashed.vote for hashed in make_votes(make_election(), 20))


def test_expensive_requests_cost_more_than_a_line() -> None:
    assert units(Ping()) == units(GetVoteStatus(voter_id="v")) == LINE_UNITS
    assert units(SubmitVotes(votes=VOTES)) == LINE_UNITS + 20
    assert units(GetBlocks(hashes=("00" * 32,) * 2)) > units(GetBlocks(hashes=("00" * 32,)))
    assert units(Ping()) < units(GetProof(voter_id="v"))
    assert units(RequestBlockchain()) * 101 > CLIENT_RATES.units_at_once, (
        "a hundred whole chains are too many"
    )
    assert units(Votes(votes=VOTES)) == LINE_UNITS + 20
    assert units(HaveVotes(ids=bytes(16 * 5000))) == LINE_UNITS + 10_000 / SHORT_IDS_IN_UNIT
    assert units(CompactBlock(header=bytes(80), ids=bytes(8 * 1000))) == LINE_UNITS + 1000 / SHORT_IDS_IN_UNIT
    assert units(Headers(headers=("00" * 80,) * 100)) == LINE_UNITS + 100 / HEADERS_IN_UNIT
    assert units(Headers(headers=("00" * 80,) * 2000)) * 100 < PEER_RATES.units_at_once, "a chain of a day"
    assert units(GetVotes(ids=bytes(8 * 1000))) == LINE_UNITS + 1000 / SHORT_IDS_IN_UNIT
    assert sent_units(BYTES_SENT_IN_UNIT) == 0
    assert sent_units(3 * BYTES_SENT_IN_UNIT) == 2


def test_votes_in_the_records_of_a_block_cost_what_their_ballots_cost() -> None:
    """A proposal or a compact block could bring thousands of ballots to be checked for a line's price."""
    setup = SecretSetup()
    votes = [setup.vote(voter).vote for voter in setup.voters[:2]]
    records = tuple(NotCounted(vote=vote) for vote in votes)
    alone = sum(units(SubmitVotes(votes=(vote,))) - LINE_UNITS for vote in votes)
    assert alone > 2 * (VOTE_UNITS + 20)
    block = CompactBlock(header=bytes(80), ids=b"", records=records)
    assert units(block) == pytest.approx(LINE_UNITS + alone)
    made = ProposalSeen(height=1, round=0, valid_round=-1, node=0, signature="00" * 64, block="00" * 32)
    miner = Miner(node=0, signature="00" * 64)
    bare = Proposal(proposal=made, header=bytes(80), ids=b"", miner=miner)
    assert units(msgspec.structs.replace(bare, records=records)) == pytest.approx(units(bare) + alone)
    public = (NotCounted(vote=VOTES[0]),)
    assert units(CompactBlock(header=bytes(80), ids=b"", records=public)) == LINE_UNITS + VOTE_UNITS


def test_a_replay_of_80_000_ballots_from_one_address_waits_for_nothing() -> None:
    """At 8,000 votes a second, which is more than one node checks on the machines it was measured on."""
    address = TokenBucket(CLIENT_RATES.units_per_second, CLIENT_RATES.units_at_once)
    link = TokenBucket(CLIENT_RATES.bytes_per_second, CLIENT_RATES.bytes_at_once)
    batch = SubmitVotes(votes=VOTES * 10)
    size = len(encode_message(batch))
    for number in range(400):
        now = number * 200 / 8000
        assert address.reserve(now, units(batch)) == 0.0  # a link may cost as much as its address
        assert link.reserve(now, size) == 0.0


def test_a_hall_of_500_voters_behind_one_address_is_never_refused() -> None:
    """All at once: connect, vote, ask 25 times a second for half a minute whether it is counted."""
    assert CONNECTIONS_AT_ONCE >= 2 * 500
    address = TokenBucket(CLIENT_RATES.units_per_second, CLIENT_RATES.units_at_once)
    waits = [address.reserve(0.0, units(SubmitVotes(votes=VOTES[:1]))) for _ in range(500)]
    free_at = [0.0] * 500
    for step in range(1, int(30 / VOTE_POLL_SECONDS)):
        now = step * VOTE_POLL_SECONDS
        for voter in range(500):
            if free_at[voter] <= now:  # a client waits for its answer before it asks again
                wait = address.reserve(now, units(Ping()))
                free_at[voter] = now + wait
                waits.append(wait)
    assert max(waits) < MAX_DEBT_SECONDS / 5
