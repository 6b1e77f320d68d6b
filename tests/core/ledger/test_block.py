"""Headers (Bitcoin's are the vectors), genesis, and every rule about a block's votes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.elections import CREATED, make_election, make_vote, make_votes, mine_block, named_nodes
from votenet.core.election.definition import Election
from votenet.core.ledger.block import (
    Block,
    Header,
    check_body,
    genesis_header,
    header_from_hex,
    order_votes,
    unpack_header,
    votes_root,
)
from votenet.core.ledger.vote import HashedVote
from votenet.core.limits import HEADER_BYTES, MAX_BLOCK_BYTES, MAX_VOTE_BYTES
from votenet.core.log.merkle import EMPTY_ROOT, merkle_path, merkle_root, root_from_path
from votenet.errors import Rejected

BITCOIN = json.loads((Path(__file__).parents[2] / "vectors" / "bitcoin_headers.json").read_text())
ELECTION = make_election()


@pytest.mark.parametrize("vector", BITCOIN["headers"], ids=lambda vector: str(vector["height"]))
def test_the_layout_is_bitcoins(vector: dict[str, Any]) -> None:
    header = header_from_hex(vector["header"])
    assert header.hash[::-1].hex() == vector["hash"]
    assert header.bits == vector["bits"]
    assert header.nonce == vector["nonce"]
    assert header.pack().hex() == vector["header"]


def test_the_fields_of_bitcoins_first_headers() -> None:
    first, second = (header_from_hex(vector["header"]) for vector in BITCOIN["headers"][:2])
    assert first.version == 1
    assert first.previous == bytes(32)
    assert first.time == 1231006505  # 3 January 2009
    root = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"
    assert first.merkle_root[::-1].hex() == root
    assert second.previous == first.hash


u32, hashes = st.integers(0, 2**32 - 1), st.binary(min_size=32, max_size=32)


@given(st.builds(Header, u32, hashes, hashes, u32, u32, u32))
@settings(max_examples=50)
def test_a_header_is_its_80_bytes(header: Header) -> None:
    raw = header.pack()
    assert len(raw) == HEADER_BYTES
    assert unpack_header(raw) == header == header_from_hex(raw.hex())
    assert header.hash == hashlib.sha256(hashlib.sha256(raw).digest()).digest()


@pytest.mark.parametrize("text", ["", "00" * 79, "00" * 81, "0" * 159, "zz" * 80, "é" * 160, " " * 160])
def test_a_header_has_160_digits(text: str) -> None:
    with pytest.raises(Rejected) as caught:
        header_from_hex(text)
    assert caught.value.code == "bad-header"


# -- genesis --------------------------------------------------------------------------------------


def test_the_genesis_block_follows_from_the_election() -> None:
    header = genesis_header(ELECTION)
    assert header == genesis_header(make_election())
    assert header.previous == bytes(32)
    assert header.merkle_root == ELECTION.network_id
    assert header.time == CREATED
    assert header.bits == ELECTION.bits
    assert header.nonce == 0
    assert genesis_header(make_election(title="Another")).hash != header.hash


def test_the_genesis_hash_never_changes() -> None:
    assert (
        genesis_header(ELECTION).hash.hex()
        == "f7b4b8ee4d721c27a8f5ebc415e65572e59c149137bfd7395019c7742551c18a"
    )


# -- bodies ---------------------------------------------------------------------------------------


def code_of(block: Block, election: Election = ELECTION) -> str | None:
    try:
        check_body(block, election)
    except Rejected as refused:
        return refused.code
    return None


def with_root(votes: Sequence[HashedVote], *, time: int = CREATED + 1) -> Block:
    """These votes in this order under a header that names them; its work does not matter here."""
    return Block(Header(1, bytes(32), votes_root(votes), time, ELECTION.bits, 0), tuple(votes))


VOTES = order_votes(make_votes(ELECTION, 7))


def test_good_bodies_pass() -> None:
    for count in range(len(VOTES) + 1):
        assert code_of(with_root(VOTES[:count])) is None
    assert code_of(mine_block(ELECTION, votes=VOTES)) is None


def test_order_is_by_id_and_no_choice_of_the_miner() -> None:
    assert list(order_votes(VOTES[::-1])) == sorted(VOTES, key=lambda hashed: hashed.id.hex())


def test_the_merkle_root_starts_at_the_vote_ids() -> None:
    assert votes_root([]) == EMPTY_ROOT
    assert votes_root(VOTES) == merkle_root([hashed.id for hashed in VOTES])
    path = merkle_path([hashed.id for hashed in VOTES], 4)
    assert root_from_path(VOTES[4].id, 4, len(VOTES), path) == votes_root(VOTES)


TWICE = order_votes([make_vote(ELECTION, "voter-1", "Alice"), make_vote(ELECTION, "voter-1", "Bob")])
ALIEN = make_vote(make_election(title="Another"))
HUGE = msgspec.structs.replace(VOTES[0], record=bytes(MAX_BLOCK_BYTES + 1))
SMALL = make_election(max_block_votes=6)
HOURS = make_election(opens=CREATED + 10, closes=CREATED + 20)
NAMED = make_election(opens=CREATED + 10, closes=CREATED + 20, nodes=named_nodes(4))
REFUSED = [
    ("bad-order", with_root(VOTES[::-1]), ELECTION),
    ("bad-order", with_root([VOTES[0], VOTES[0]]), ELECTION),
    ("voter-twice", with_root(TWICE), ELECTION),
    ("block-too-large", with_root(order_votes(make_votes(SMALL, 7))), SMALL),
    ("block-too-large", with_root([HUGE]), ELECTION),
    ("unknown-candidate", with_root([make_vote(ELECTION, "voter-1", "Dave")]), ELECTION),
    ("network-mismatch", with_root([ALIEN]), ELECTION),
    ("bad-vote", with_root([make_vote(ELECTION, "a\tb")]), ELECTION),
    ("bad-choices", with_root([make_vote(ELECTION, "voter-1", "Alice", "Bob")]), ELECTION),
    ("not-open", with_root([make_vote(HOURS)], time=CREATED + 9), HOURS),
    ("closed", with_root([make_vote(HOURS)], time=CREATED + 20), HOURS),
    ("not-open", with_root([make_vote(NAMED)], time=CREATED + 9), NAMED),
]


@pytest.mark.parametrize(("code", "block", "election"), REFUSED)
def test_a_body_that_breaks_a_rule_is_refused(code: str, block: Block, election: Election) -> None:
    assert code_of(block, election) == code


def test_a_header_closes_no_election_with_named_nodes() -> None:
    """Their closing lists say which votes came in time."""
    assert code_of(with_root([make_vote(NAMED)], time=CREATED + 10), NAMED) is None
    assert code_of(with_root([make_vote(NAMED)], time=CREATED + 20), NAMED) is None


def test_limits_are_reached_before_they_are_passed() -> None:
    assert code_of(with_root(order_votes(make_votes(SMALL, 6))), SMALL) is None
    full = MAX_BLOCK_BYTES // MAX_VOTE_BYTES
    many = [
        msgspec.structs.replace(hashed, record=bytes(MAX_VOTE_BYTES))
        for hashed in make_votes(ELECTION, full + 1)
    ]
    assert code_of(with_root(order_votes(many[:full]))) is None
    assert code_of(with_root(order_votes(many))) == "block-too-large"
    assert code_of(with_root([make_vote(HOURS)], time=CREATED + 10), HOURS) is None
    assert code_of(with_root([make_vote(HOURS)], time=CREATED + 19), HOURS) is None


def test_an_empty_block_has_no_hours() -> None:
    assert code_of(with_root([], time=CREATED), HOURS) is None


@given(st.data())
@settings(max_examples=30)
def test_the_root_covers_every_vote(data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(VOTES) - 1))
    votes = list(VOTES)
    match data.draw(st.sampled_from(["drop", "add", "replace"])):
        case "drop":
            del votes[index]
        case "add":
            votes.append(make_vote(ELECTION, "voter-8"))
        case "replace":
            votes[index] = make_vote(ELECTION, votes[index].voter_id, time=CREATED + 99)
    header = with_root(VOTES).header
    assert code_of(Block(header, order_votes(votes))) == "bad-merkle-root"


@pytest.mark.parametrize(("code", "block", "election"), REFUSED)
def test_wrong_votes_are_never_blamed_on_the_header(code: str, block: Block, election: Election) -> None:
    # A peer sends an honest block's header with these votes. Were the answer `code`, the node would
    # mark the honest block invalid (protocol/node/blocks.py) and leave its network for good.
    honest = mine_block(election, votes=make_votes(election, 2), time=CREATED + 15)
    assert code_of(honest, election) is None
    assert code_of(block, election) == code
    assert code_of(Block(honest.header, block.votes), election) == "bad-merkle-root"


def test_a_sequence_of_headers_is_checked_at_once() -> None:
    from votenet.core.ledger.block import check_sequence

    election = make_election()
    first = mine_block(election).header
    second = mine_block(election, first).header
    assert check_sequence([first, second]) == ([first.hash, second.hash], None)
    for broken, code in (
        ([second, first], "broken-chain"),
        ([first, second._replace(bits=0)], "bad-bits"),
        ([first, second._replace(bits=0x03000001)], "bad-work"),
    ):
        hashes, fault = check_sequence(broken)
        assert hashes == [broken[0].hash]
        assert fault is not None
        assert fault.code == code
