"""Closing lists, the closing block, and exactly which votes it counts."""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.amendments import amendable, amendment
from support.elections import CREATED, key_of, keys_of_node, make_election, make_vote, named_nodes
from votenet.core.election.definition import Election
from votenet.core.election.quorum import enough_holders, faults_of, quorum_of
from votenet.core.ledger import closing as closing_module
from votenet.core.ledger.closing import (
    LateBlock,
    LateVotes,
    ListedIds,
    PollEnd,
    check_closing,
    check_list,
    check_passed_over,
    choose_lists,
    encode_listed,
    late_block,
    list_holds_ids,
    merge_lists,
    sign_list,
    statement_of,
)
from votenet.core.ledger.extras import (
    NO_EXTRAS,
    BlockExtras,
    ClosingIds,
    ClosingList,
    NotCounted,
    hash_record,
    make_extras,
    order_records,
)
from votenet.core.ledger.vote import HashedVote
from votenet.errors import Rejected

NETWORK, CLOSES, HEIGHT = "ab" * 32, 1_700_001_000, 9
ELECTION = make_election()


def vote_id(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


def signed_list(signer: int, vote_ids: Collection[bytes], **changes: Any) -> ClosingList:
    given: dict[str, Any] = {"network_hex": NETWORK, "node": signer, "closes": CLOSES, "height": HEIGHT - 2}
    return sign_list(key_of(f"statement {signer}"), **{**given, **changes}, vote_ids=vote_ids)


def check(
    lists: list[ClosingList], closing: ClosingIds, nodes: int = 5, closes: int | None = CLOSES
) -> ListedIds:
    keys = [key_of(f"statement {node}").public for node in range(nodes)]
    return check_closing(lists, closing, network_hex=NETWORK, closes=closes, height=HEIGHT, keys=keys)


HELD = {0: [1, 2, 3], 1: [1, 2], 3: [2, 3, 4], 4: [2]}
"""Node to the numbers of the votes in its list; node 2 is down."""
IDS = {node: [vote_id(number) for number in numbers] for node, numbers in HELD.items()}
LISTS = [signed_list(node, ids) for node, ids in IDS.items()]
LISTED = merge_lists(IDS)
CLOSING = encode_listed(LISTED)


def refusal(lists: list[ClosingList], closing: ClosingIds, **changes: Any) -> str:
    with pytest.raises(Rejected) as caught:
        check(lists, closing, **changes)
    assert caught.value.code == "bad-closing"
    return caught.value.message


# -- closing lists and the closing block ---------------------------------------------------------


def test_a_list_is_the_statement_of_its_node() -> None:
    made = signed_list(2, [vote_id(2), vote_id(1)])
    assert statement_of(made).holds(key_of("statement 2").public, made.signature)
    ascending = sorted([vote_id(1), vote_id(2)])
    assert list_holds_ids(made, ascending)
    assert not list_holds_ids(made, ascending[::-1])
    assert not list_holds_ids(made, ascending[:1])
    assert list_holds_ids(signed_list(2, []), [])


def test_a_closing_block_says_which_vote_is_in_which_list() -> None:
    for lists in (LISTS, LISTS[::-1]):
        assert check(lists, CLOSING) == LISTED
    assert LISTED.nodes == (0, 1, 3, 4)
    bits = dict(zip(LISTED.ids, LISTED.bits, strict=True))
    assert [bits[vote_id(number)] for number in (1, 2, 3, 4)] == [0b0011, 0b1111, 0b0101, 0b0100]
    assert base64.b64decode(CLOSING.ids) == b"".join(sorted(map(vote_id, (1, 2, 3, 4))))
    assert len(base64.b64decode(CLOSING.bits)) == 4
    assert LISTED.in_list(1) == sorted(IDS[1])


@given(st.dictionaries(st.integers(0, 12), st.sets(st.integers(0, 20)), min_size=9, max_size=13))
def test_every_closing_block_can_be_read_again(held: dict[int, set[int]]) -> None:
    ids_of = {node: [vote_id(number) for number in numbers] for node, numbers in held.items()}
    listed = merge_lists(ids_of)
    lists = [signed_list(node, ids) for node, ids in ids_of.items()]
    assert check(lists, encode_listed(listed), nodes=13) == listed
    for place, node in enumerate(listed.nodes):
        assert listed.in_list(place) == sorted(ids_of[node])


def test_an_election_nobody_voted_in_can_be_closed() -> None:
    empty = merge_lists(dict.fromkeys(range(4), ()))
    assert encode_listed(empty) == ClosingIds(bits="", ids="")
    assert check([signed_list(node, []) for node in range(4)], encode_listed(empty)) == empty


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"network_hex": "cd" * 32}, "another network"),
        ({"closes": CLOSES + 1}, "not that of the election"),
        ({"height": HEIGHT + 1}, "from after this block"),
        ({"node": 5}, "no named node 5"),
        ({"node": 3}, "not signed by named node 3"),
    ],
)
def test_a_list_that_is_wrong_is_named(changes: dict[str, Any], why: str) -> None:
    assert why in refusal([*LISTS[:3], signed_list(4, IDS[4], **changes)], CLOSING)


def test_lists_of_a_quorum_of_different_nodes_are_needed() -> None:
    three = merge_lists({node: IDS[node] for node in (0, 1, 3)})
    assert refusal(LISTS[:3], encode_listed(three)) == "3 of 5 named nodes have a list, 4 must"
    assert "two lists" in refusal([*LISTS[:3], LISTS[2]], encode_listed(three))
    assert "two lists" in refusal([*LISTS, signed_list(4, [])], CLOSING)
    assert "not that of the election" in refusal(LISTS, CLOSING, closes=None)
    with pytest.raises(Rejected, match="another network"):
        check_list(LISTS[0], network_hex="cd" * 32, closes=CLOSES, keys=[])


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


RAW_IDS, RAW_BITS = base64.b64decode(CLOSING.ids), base64.b64decode(CLOSING.bits)
SPARE_BIT = CLOSING.bits[:-3] + chr(ord(CLOSING.bits[-3]) + 1) + "=="
WRONG = {
    "no base64": ({"ids": "?" + CLOSING.ids[1:]}, "base64"),
    "white space": ({"ids": CLOSING.ids + "\n"}, "base64"),
    "no padding": ({"bits": CLOSING.bits.rstrip("=")}, "base64"),
    "a bit that is not read": ({"bits": SPARE_BIT}, "unused bits 0"),
    "half an id": ({"ids": b64(RAW_IDS[:-1])}, "lengths"),
    "a bit too few": ({"bits": b64(RAW_BITS[:-1])}, "lengths"),
    "bits too many": ({"bits": b64(RAW_BITS + b"\1")}, "lengths"),
    "descending": ({"ids": b64(RAW_IDS[32:64] + RAW_IDS[:32] + RAW_IDS[64:])}, "ascending"),
    "twice": ({"ids": b64(RAW_IDS[:32] + RAW_IDS[:96])}, "ascending"),
    "an id in no list": ({"bits": b64(b"\0" + RAW_BITS[1:])}, "in no list"),
    "a list that is not there": ({"bits": b64(bytes([RAW_BITS[0] | 16]) + RAW_BITS[1:])}, "in no list"),
    "a bit more": ({"bits": b64(bytes(15 for _ in RAW_BITS))}, "not those that named node 0"),
    "another id": ({"ids": b64(bytes(32) + RAW_IDS[32:])}, "not those that named node"),
    "an id left out": ({"ids": b64(RAW_IDS[32:]), "bits": b64(RAW_BITS[1:])}, "not those that named node"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_the_ids_beside_the_lists_have_one_spelling(name: str) -> None:
    changes, why = WRONG[name]
    assert why in refusal(LISTS, msgspec.structs.replace(CLOSING, **changes))


def test_a_closing_block_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing_module, "MAX_CLOSING_IDS", 3)
    assert "at most 3 ids" in refusal(LISTS, CLOSING)
    everybody = {**IDS, 2: [vote_id(5), vote_id(6), vote_id(1)]}
    chosen = choose_lists(everybody, 3)
    assert chosen is not None
    assert chosen.nodes == (0, 1, 4), "first goes the list with the most ids of its own"
    assert choose_lists(everybody, 4) is None
    monkeypatch.setattr(closing_module, "MAX_CLOSING_IDS", 6)
    assert choose_lists(everybody, 4) == merge_lists(everybody)


# -- which votes count ---------------------------------------------------------------------------


def test_a_vote_counts_with_more_lists_than_liars_and_only_once() -> None:
    assert LISTED.counted(5) == sorted([vote_id(1), vote_id(2), vote_id(3)])
    assert LISTED.counted(7) == [vote_id(2)]
    assert LISTED.counted(3) == LISTED.ids


def counted_with(holders: set[int], liars: set[int], listed: set[int], nodes: int) -> bool:
    """Whether a vote is counted that `holders` held, when the closing block has the lists of `listed`."""
    ids_of: Mapping[int, Collection[bytes]] = {
        node: [vote_id(1)] if node in holders - liars else [] for node in listed
    }
    return merge_lists(ids_of).counted(nodes) == [vote_id(1)]


def always_counted(holders: int, nodes: int) -> bool:
    """With every set of liars, who leave the vote out, and whatever lists missing beyond a quorum.

    Nodes are alike, so the first ones may be the holders.
    """
    everybody, held = set(range(nodes)), set(range(holders))
    return all(
        counted_with(held, set(liars), set(listed), nodes)
        for liars in itertools.combinations(everybody, faults_of(nodes))
        for count in range(quorum_of(nodes), nodes + 1)
        for listed in itertools.combinations(everybody, count)
    )


@pytest.mark.parametrize("nodes", range(1, 8))
def test_the_promise_to_voters_holds_and_no_smaller_one_would(nodes: int) -> None:
    enough = enough_holders(nodes)
    assert all(always_counted(holders, nodes) for holders in range(enough, nodes + 1))
    assert not always_counted(enough - 1, nodes)


@pytest.mark.parametrize("nodes", range(1, 8))
def test_liars_alone_bring_no_vote_in(nodes: int) -> None:
    liars = set(range(faults_of(nodes)))
    assert not counted_with(liars, set(), set(range(nodes)), nodes)


# -- late votes ----------------------------------------------------------------------------------


def votes_of(voters: list[int]) -> list[HashedVote]:
    """One vote for each number, in block order: a number that stands twice has two votes."""
    made = [make_vote(ELECTION, f"voter-{n}", time=1_700_000_000 + place) for place, n in enumerate(voters)]
    return sorted(made, key=lambda hashed: hashed.id)


def blocks_of(waiting: list[HashedVote], voted: set[str], max_votes: int) -> list[LateBlock]:
    """All blocks after a closing block."""
    voted = set(voted)
    blocks = []
    while waiting:
        block = late_block(waiting, voted.__contains__, max_votes)
        blocks.append(block)
        voted |= {hashed.voter_id for hashed in block.votes}
        waiting = waiting[len(block.votes) + len(block.records) :]
    return blocks


def refused(ids: list[bytes], blocks: list[LateBlock], voted: set[str], max_votes: int) -> str:
    """The message for the first of the blocks that is wrong; empty if all of them and no more are right."""
    late, voted = LateVotes(ids, max_votes), set(voted)
    for block in blocks:
        try:
            late = late.take(block.votes, block.records, voted.__contains__)
        except Rejected as error:
            return error.message if error.code == "bad-late-votes" else error.code
        voted |= {hashed.voter_id for hashed in block.votes}
    return "" if late.waiting == 0 else "some are missing"


@given(st.lists(st.integers(1, 6), max_size=12), st.sets(st.integers(1, 6)), st.integers(1, 5))
def test_the_late_votes_of_any_election_go_into_exactly_one_row_of_blocks(
    voters: list[int], voted_before: set[int], max_votes: int
) -> None:
    waiting, voted = votes_of(voters), {f"voter-{n}" for n in voted_before}
    blocks = blocks_of(waiting, voted, max_votes)
    assert refused([hashed.id for hashed in waiting], blocks, voted, max_votes) == ""
    counted = [hashed for block in blocks for hashed in block.votes]
    first = {hashed.voter_id: hashed for hashed in reversed(waiting)}
    assert {hashed.id for hashed in counted} == {
        hashed.id for voter, hashed in first.items() if voter not in voted
    }
    for block in blocks:
        assert list(block.votes) == sorted(block.votes, key=lambda hashed: hashed.id)
        assert block.records == order_records(block.records)
    assert all(len(block.votes) + len(block.records) == max_votes for block in blocks[:-1])


def test_every_other_choice_of_late_votes_is_refused() -> None:
    waiting = votes_of([1, 2, 3, 3, 4])
    ids = [hashed.id for hashed in waiting]
    good = blocks_of(waiting, {"voter-1"}, 3)
    assert refused(ids, good, {"voter-1"}, 3) == ""

    def wrong(
        *blocks: tuple[list[int], list[int]], max_votes: int = 3, among: list[int] | None = None
    ) -> str:
        """For blocks of these votes, and of records that do not count these; by their places."""
        return refused(
            ids if among is None else [ids[place] for place in among],
            [
                LateBlock(
                    tuple(waiting[place] for place in votes),
                    order_records([hash_record(NotCounted(vote=waiting[place].vote)) for place in records]),
                )
                for votes, records in blocks
            ],
            {"voter-1"},
            max_votes,
        )

    before = next(place for place, hashed in enumerate(waiting) if hashed.voter_id == "voter-1")
    first, second = (place for place, hashed in enumerate(waiting) if hashed.voter_id == "voter-3")
    left = sorted({0, 1, 2, 3, 4} - {before, second})
    everything: Any = (left, [before, second])
    assert wrong(everything, max_votes=5) == ""
    assert "more late votes than" in wrong(everything, max_votes=4)
    assert "come next" in wrong(([], []), max_votes=5)
    assert "come next" in wrong((left[1:], [before, second]), max_votes=5)
    assert "come next" in wrong(everything, ([0], []), max_votes=5)
    assert "come next" in wrong(everything, max_votes=5, among=[0, 1, 2, 3])
    assert "first counts" in wrong((sorted([*left, before]), [second]), max_votes=5)
    assert "first counts" in wrong((sorted([*left, second]), [before]), max_votes=5)
    others = [place for place in left if place != first]
    assert "first counts" in wrong((sorted([*others, second]), [before, first]), max_votes=5)
    assert "first counts" in wrong((others, [before, first, second]), max_votes=5)
    one_by_one: list[Any] = [([place], []) if place in left else ([], [place]) for place in range(5)]
    assert wrong(*one_by_one, max_votes=1) == ""
    assert "had room" in wrong(*one_by_one, max_votes=2)
    assert "missing" in wrong(*one_by_one[:4], max_votes=1)
    everything_and_a_list = [*blocks_of(waiting, set(), 5)[0].records, hash_record(LISTS[0])]
    with pytest.raises(Rejected, match="come next"):
        LateVotes(ids, 5).take(blocks_of(waiting, set(), 5)[0].votes, everything_and_a_list, lambda _: False)


def test_a_block_has_as_many_late_votes_as_its_bytes_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = votes_of([1, 2, 3])
    ids = [hashed.id for hashed in waiting]
    exactly = len(waiting[0].record) + len(waiting[1].record)
    for limit, expected in ((exactly, [2, 1]), (exactly - 1, [1, 1, 1])):
        monkeypatch.setattr(closing_module, "MAX_BLOCK_BYTES", limit)
        blocks = blocks_of(waiting, set(), 100)
        assert [len(block.votes) for block in blocks] == expected
        assert refused(ids, blocks, set(), 100) == ""
        one_by_one = [LateBlock((hashed,), ()) for hashed in waiting]
        assert refused(ids, one_by_one, set(), 100) == (
            "the block before this one had room for more late votes" if len(expected) == 2 else ""
        )
        whole = [LateBlock(tuple(waiting), ())]
        assert refused(ids, whole, set(), 100) == "these are more late votes than a block holds"


# -- a whole chain -------------------------------------------------------------------------------

NAMED = make_election(nodes=named_nodes(4), closes=CREATED + 100, max_block_votes=1)
A, B = sorted((make_vote(NAMED, "voter-1"), make_vote(NAMED, "voter-2")), key=lambda hashed: hashed.id)
TWICE = make_vote(NAMED, B.voter_id, "Bob")


def closing_extras(held: Mapping[int, Collection[bytes]], election: Election = NAMED) -> BlockExtras:
    lists = [
        sign_list(
            keys_of_node(node).statement,
            network_hex=election.network_hex, node=node, closes=CREATED + 100, height=1, vote_ids=vote_ids,
        )
        for node, vote_ids in held.items()
    ]  # fmt: skip
    return make_extras(None, lists, encode_listed(merge_lists(held)))


CLOSED = closing_extras({node: [A.id, B.id] for node in range(3)})
PASSED_OVER = make_extras(None, [NotCounted(vote=TWICE.vote)], None)


def code_after(*blocks: tuple[list[HashedVote], BlockExtras], election: Election = NAMED) -> str:
    """What the last of these blocks is refused with; all before it are good."""
    end, on_chain, voted = PollEnd(election), set[bytes](), set[str]()
    for height, (votes, extras) in enumerate(blocks, start=1):
        try:
            end = end.after(
                votes,
                extras,
                height=height,
                time=CREATED + height,
                on_chain=on_chain.__contains__,
                has_voted=voted.__contains__,
            )
        except Rejected as error:
            return error.code if height == len(blocks) else f"{error.code} at height {height}"
        on_chain |= {hashed.id for hashed in votes}
        voted |= {hashed.voter_id for hashed in votes}
    return "over" if end.over else ""


def test_a_chain_goes_through_its_closing_block_and_late_votes_to_its_end() -> None:
    none = NO_EXTRAS
    assert code_after(([A], none), ([B], none)) == ""
    assert code_after(([], none), ([], CLOSED)) == ""
    assert code_after(([], CLOSED), ([A], none)) == ""
    assert code_after(([], CLOSED), ([A], none), ([B], none)) == "over"
    assert code_after(([A], none), ([], CLOSED), ([B], none)) == "over"
    assert code_after(([A], none), ([B], none), ([], CLOSED)) == "over"
    assert code_after(([], CLOSED), ([A], none), ([B], none), ([], none)) == "closed"
    assert code_after(([A], none), ([B], none), ([], CLOSED), ([TWICE], none)) == "closed"


def test_the_second_vote_of_a_voter_is_passed_over_in_its_turn() -> None:
    held = {node: [TWICE.id] for node in range(3)}
    assert code_after(([B], NO_EXTRAS), ([], closing_extras(held)), ([], PASSED_OVER)) == "over"
    assert code_after(([B], NO_EXTRAS), ([], closing_extras(held)), ([TWICE], NO_EXTRAS)) == "bad-late-votes"


@pytest.mark.parametrize(
    ("why", "blocks"),
    [
        ("a vote in the closing block", [([A], CLOSED)]),
        ("no ids beside the lists", [([], CLOSED._replace(closing=None))]),
        ("ids without lists", [([], CLOSED._replace(records=()))]),
        ("another record", [([], CLOSED._replace(records=(*CLOSED.records, *PASSED_OVER.records)))]),
        ("too few lists", [([], closing_extras({0: [], 1: []}))]),
        ("closed twice", [([], CLOSED), ([], CLOSED)]),
        ("closed after the end", [([], CLOSED), ([A], NO_EXTRAS), ([B], NO_EXTRAS), ([], CLOSED)]),
    ],
)
def test_a_closing_block_is_what_it_must_be_and_where(why: str, blocks: list[Any]) -> None:
    assert code_after(*blocks) == "bad-closing", why


def test_late_votes_have_their_place() -> None:
    assert code_after(([A], PASSED_OVER)) == "bad-late-votes"
    assert code_after(([], CLOSED), ([B], NO_EXTRAS)) == "bad-late-votes"
    assert code_after(([], CLOSED), ([], NO_EXTRAS)) == "bad-late-votes"


def test_an_election_without_named_nodes_or_without_hours_has_no_closing_block() -> None:
    for other in (make_election(closes=CREATED + 100), make_election(nodes=named_nodes(4))):
        extras = closing_extras({node: [] for node in range(3)}, other)
        assert code_after(([], extras), election=other) == "bad-closing"
        assert code_after(([A], NO_EXTRAS), ([], NO_EXTRAS), election=other) == ""


def test_a_late_vote_by_a_replaced_key_is_passed_over() -> None:
    """Named nodes may have listed it before they knew of the amendment."""
    election = amendable("voter-1", "voter-2", closes=CREATED + 100)
    old, other = make_vote(election, "voter-1"), make_vote(election, "voter-2")
    replaced = make_extras(None, [amendment(election, "replace-key", "voter-1")], None)
    closed = closing_extras({node: [old.id, other.id] for node in range(3)}, election)
    passed = make_extras(None, [NotCounted(vote=old.vote)], None)
    assert code_after(([], replaced), ([], closed), ([other], passed), election=election) == "over"
    both = sorted([old, other], key=lambda hashed: hashed.id)
    assert code_after(([], replaced), ([], closed), (both, NO_EXTRAS), election=election) == "bad-late-votes"
    given = election.amended([amendment(election, "replace-key", "voter-1")])
    check_passed_over(old, given)
    with pytest.raises(Rejected, match="not on the roll"):
        check_passed_over(make_vote(election, "voter-9"), given)
    assert late_block(both, set[str]().__contains__, 9, given.given_keys) == LateBlock(
        (other,), passed.records
    )


def test_amendments_stand_before_the_closing_block_and_nothing_behind_a_cancel() -> None:
    election = amendable(closes=CREATED + 100)
    later = make_extras(None, [amendment(election, "extend", closes=CREATED + 160)], None)
    cancel = make_extras(None, [amendment(election, "cancel")], None)
    closed = closing_extras({node: [A.id] for node in range(3)}, election)
    mixed = closed._replace(records=(*later.records, *closed.records))
    assert code_after(([A], cancel), ([], NO_EXTRAS), election=election) == "cancelled"
    assert code_after(([A], cancel), election=election) == "over"
    assert code_after(([], later), ([], closed), election=election) == "bad-closing", "of the hour before"
    assert code_after(([], mixed), election=election) == "bad-amendment"
    assert code_after(([], closed), ([], later), election=election) == "bad-amendment"
    assert code_after(([A], NO_EXTRAS), ([], closed), ([], later), election=election) == "closed"
    assert code_after(([], later), ([], later), election=election) == "bad-amendment"
