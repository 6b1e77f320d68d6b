"""The final result: made from a chain, compared with a chain, signed by a quorum."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from support.elections import CREATED, keys_of_node, make_election, make_vote, named_nodes
from votenet.core.encoding import canonical
from votenet.core.ledger.closing import encode_listed, merge_lists, sign_list
from votenet.core.ledger.extras import NO_EXTRAS, BlockExtras, NotCounted, make_extras
from votenet.core.ledger.vote import HashedVote
from votenet.core.log.certificate import checkpoint_text, cosign_checkpoint, make_certificate
from votenet.core.log.merkle import EMPTY_ROOT, leaf_hash, merkle_root
from votenet.core.methods.tally import ElectionTally
from votenet.core.records.final_result import (
    FinalResult,
    ResultBuilder,
    check_result,
    counted_root,
    decode_result,
    encode_result,
)
from votenet.errors import NotProven

CLOSES = CREATED + 1000
ELECTION = make_election(nodes=named_nodes(4), closes=CLOSES)
ONE, TWO, LATE, FEW = (
    make_vote(ELECTION, f"voter-{n}", name) for n, name in enumerate(("Alice", "Bob", "Alice", "Bob"))
)
AGAIN = make_vote(ELECTION, "voter-0", "Bob", time=CREATED + 2)
"""A second vote of the voter of ONE."""
TIP, HEIGHT = "ab" * 32, 3


def certificate(size: int = 9, root: bytes = bytes(32), nodes: int = 3) -> str:
    text = checkpoint_text(ELECTION.network_id, size, root)
    lines = [cosign_checkpoint(keys_of_node(node).cosign, node, text, 1) for node in range(nodes)]
    return str(make_certificate(text, lines))


def closing_block(held: dict[int, list[HashedVote]]) -> BlockExtras:
    ids_of = {node: [hashed.id for hashed in votes] for node, votes in held.items()}
    lists = [
        sign_list(
            keys_of_node(node).statement,
            network_hex=ELECTION.network_hex, node=node, closes=CLOSES, height=1, vote_ids=ids,
        )
        for node, ids in ids_of.items()
    ]  # fmt: skip
    return make_extras(None, lists, encode_listed(merge_lists(ids_of)))


CLOSING = closing_block({0: [LATE, AGAIN, FEW], 1: [LATE, AGAIN], 2: [LATE]})
AFTER = make_extras(None, [NotCounted(vote=AGAIN.vote)], None)


def built(
    *blocks: tuple[list[HashedVote], BlockExtras], tally: ElectionTally | None = None, **members: Any
) -> FinalResult:
    builder, counted = ResultBuilder(ELECTION), ElectionTally(1)
    for votes, extras in blocks:
        builder.add(votes, extras)
        counted.add([hashed.vote.choices for hashed in votes])
    given = {"height": HEIGHT, "tip_hex": TIP, "certificate": certificate(), **members}
    return builder.result(tally=tally or counted, **given)


def good() -> FinalResult:
    return built(([ONE, TWO], NO_EXTRAS), ([], CLOSING), ([LATE], AFTER))


def code(result: FinalResult, *arguments: Any) -> str:
    with pytest.raises(NotProven) as caught:
        check_result(result, *arguments)
    return caught.value.code


def test_the_result_says_what_counts_and_what_does_not() -> None:
    made = good()
    assert made.contests[0].counts == (("Alice", 2), ("Bob", 1), ("Charlie", 0))
    assert made.votes == 3
    assert {(one.id, one.lists) for one in made.not_counted} == {(AGAIN.id.hex(), 2), (FEW.id.hex(), 1)}
    assert [one.id for one in made.not_counted] == sorted(one.id for one in made.not_counted)
    leaves = [
        leaf_hash(b"votenet/counted/1\n" + canonical([hashed.voter_id, hashed.id.hex()]))
        for hashed in (ONE, TWO, LATE)
    ]
    assert made.root == merkle_root(leaves).hex()
    assert counted_root({}) == EMPTY_ROOT
    assert check_result(made, ELECTION.network_hex, good()).size == 9


def test_a_result_survives_its_file() -> None:
    data = encode_result(good())
    assert decode_result(data) == good()
    assert json.loads(data)["amendments"] == []
    for wrong, expected in [
        (data[:-1], "truncated"),
        (data.replace(b'"amendments":[]', b'"amendments":["close"]'), "bad-record"),
        (data.replace(b'"amendments":[],', b""), "bad-record"),
        (data.replace(b'"height":3', b'"height": 3'), "not-canonical"),
    ]:
        with pytest.raises(NotProven) as caught:
            decode_result(wrong)
        assert caught.value.code == expected


def test_a_chain_that_is_not_final_gives_no_result() -> None:
    open_poll: list[tuple[list[HashedVote], BlockExtras]] = [([ONE, TWO], NO_EXTRAS)]
    for blocks in (open_poll, [*open_poll, ([], CLOSING)], [*open_poll, ([], CLOSING), ([LATE], NO_EXTRAS)]):
        with pytest.raises(NotProven) as caught:
            built(*blocks)
        assert caught.value.code == "not-final"
    empty = built(([], closing_block({0: [], 1: [], 2: []})))
    assert (empty.votes, empty.not_counted, empty.root) == (0, (), EMPTY_ROOT.hex())


def test_a_result_that_the_chain_does_not_give_is_refused() -> None:
    made = good()
    for changes in [
        {"height": 4},
        {"tip": "cd" * 32},
        {"votes": 2},
        {"root": "cd" * 32},
        {"not_counted": made.not_counted[:1]},
        {"contests": (msgspec.structs.replace(made.contests[0], counts=(("Bob", 3),)),)},
        {"certificate": certificate(10)},
        {"certificate": certificate(root=bytes(31) + b"\1")},
    ]:  # fmt: skip
        changed = msgspec.structs.replace(made, **changes)
        assert code(changed, None, made) == "wrong-totals"


def test_a_result_is_signed_by_a_quorum_of_its_election() -> None:
    made, other = good(), make_election(nodes=named_nodes(4), title="Another election")
    relay = make_election(closes=CLOSES)
    assert code(made, other.network_hex) == "network-mismatch"
    for changes, expected in [
        ({"certificate": certificate(nodes=2)}, "bad-certificate"),
        ({"certificate": certificate(6)}, "wrong-totals"),
        ({"certificate": ""}, "bad-note"),
        ({"definition": relay.definition}, "not-final"),
        ({"format": "votenet-receipt"}, "wrong-format"),
        ({"version": 2}, "wrong-version"),
    ]:
        assert code(msgspec.structs.replace(made, **changes)) == expected
    assert code(msgspec.structs.replace(made, definition=other.definition)) in ("bad-checkpoint", "bad-note")
