"""Casting a vote: by a real node, by nodes that fail or lie, and the voter's key afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.cli.conftest import RunningNode

from support.elections import CREATED, key_of, keys_of_node, make_election, make_vote, named_nodes
from support.lying_node import Answer, lying_node
from support.ports import free_port
from support.shown_log import SignedLog, leaves
from votenet.client.election_client import AsyncElectionClient
from votenet.client.voting import CastResult, VoterKey, ballots_of, stored_key
from votenet.config import known_dir
from votenet.core.election.definition import Election
from votenet.core.election.roll import Roll
from votenet.core.ledger.vote import HashedVote, Vote, hash_vote
from votenet.core.records.acceptance import accept_group
from votenet.core.records.receipt import Receipt, check_receipt
from votenet.errors import NotProven, Rejected, VotenetError, WaitTimedOut
from votenet.protocol.wire.address import Address
from votenet.storage.known_elections import KnownElections


class RecordingKey:
    """The test key of a voter; remembers what became of it."""

    def __init__(self, voter: str) -> None:
        self.key, self.ends = key_of(voter), list[str]()

    def keep(self) -> None:
        self.ends.append("kept")

    def drop(self) -> None:
        self.ends.append("dropped")


def dead() -> Address:
    return Address("127.0.0.1", free_port())


def cast(
    addresses: Sequence[Address],
    voter: str,
    *choices: str,
    key: VoterKey | None = None,
    wait: float = 60.0,
    confirmations: int = 1,
    on_received: Callable[[CastResult], object] = lambda cast: None,
) -> CastResult:
    async def main() -> CastResult:
        async with AsyncElectionClient(addresses) as election:
            return await election.cast(
                voter,
                choices,
                key=key or RecordingKey(voter),
                wait=wait,
                confirmations=confirmations,
                on_received=on_received,
            )

    return asyncio.run(main())


def test_a_vote_is_cast_and_followed_into_its_block(node: RunningNode) -> None:
    found = cast([node.address], "cast-1", "Alice")
    assert (found.state, found.choices) == ("in_block", (("Alice",),))
    assert found.network_id == node.election.network_hex
    assert found.height is not None
    assert found.confirmations >= 1
    assert found.node == str(node.address)


def test_a_dead_node_is_passed_over(node: RunningNode) -> None:
    assert cast([dead(), node.address], "cast-2", "Bob").state == "in_block"


def test_a_second_vote_is_refused_with_time_and_block(node: RunningNode) -> None:
    first = cast([node.address], "cast-3", "Alice")
    with pytest.raises(Rejected) as refused:
        cast([node.address], "cast-3", "Bob")
    assert refused.value.code == "already-voted"
    assert refused.value.details["block"] == first.block
    assert refused.value.details["time"] == first.time


def test_choices_that_do_not_fit_are_refused_before_there_is_a_key(node: RunningNode) -> None:
    for choices, code in ((("Zorro",), "unknown-candidate"), (("Alice", "Bob", "Charlie"), "bad-choices")):
        key = RecordingKey("x")
        with pytest.raises(Rejected) as refused:
            cast([node.address], "x", *choices, key=key)
        assert refused.value.code == code
        assert key.ends == []


def test_a_refusal_names_the_candidates_but_not_a_thousand() -> None:
    many = make_election(candidates=[f"c{n}" for n in range(1000)])
    with pytest.raises(Rejected) as refused:
        ballots_of(many, ["Zorro"])
    assert "c49, …" in refused.value.message
    assert "c50" not in refused.value.message


def test_a_contest_that_was_left_out_is_named_with_its_candidates() -> None:
    one = make_election().definition
    two = msgspec.structs.replace(one.contests[0], id="board")
    both = (msgspec.structs.replace(one.contests[0], title="Chair"), two)
    several = Election(msgspec.structs.replace(one, contests=both))
    with pytest.raises(Rejected, match="in contest 'board'") as refused:
        ballots_of(several, {"1": ["Alice"]})
    assert refused.value.next_step == (
        "Choose in contest 'board', too: --in board=CANDIDATE, of: Alice, Bob, Charlie"
    )
    with pytest.raises(Rejected) as refused:
        ballots_of(several, {"1": ["Alice"], "board": ["Alice", "Bob"]})
    assert "too" not in refused.value.next_step


def test_an_unknown_contest_is_answered_with_those_there_are() -> None:
    with pytest.raises(Rejected, match="no contest 'x'") as refused:
        ballots_of(make_election(), {"x": ["Alice"], "1": ["Alice"]})
    assert refused.value.next_step.endswith("--in CONTEST=CANDIDATE. The contests: 1")


def ends(addresses: list[Address], voter: str, *, code: str | None, wait: float = 60.0) -> list[str]:
    """What became of the key of a voter whose vote ended with this code (None: it is in a block)."""
    key = RecordingKey(voter)
    choice = "Bob" if code == "already-voted" else "Alice"
    if code is None:
        cast(addresses, voter, choice, key=key, wait=wait)
    else:
        with pytest.raises(VotenetError) as refused:
            cast(addresses, voter, choice, key=key, wait=wait)
        assert refused.value.code == code
    return key.ends


def test_a_key_is_kept_exactly_when_the_vote_may_have_been_taken(node: RunningNode) -> None:
    assert ends([node.address], "keys-1", code=None) == ["kept"]
    assert ends([node.address], "keys-1", code="already-voted") == ["dropped"]
    for bad in ("v" * 200, " edge ", "a\nb"):
        assert ends([node.address], bad, code="bad-vote") == [], "none was made"

    def hangs_up(_: object) -> dict[str, object]:
        raise ConnectionError

    with lying_node(node.election, {"submit_votes": hangs_up}) as deaf:
        assert ends([deaf], "keys-2", code="unreachable") == ["kept"], "it may have been taken"
        assert ends([deaf, node.address], "keys-1", code="already-voted") == ["kept"], "by the first node"


def test_a_node_that_answers_about_another_vote_is_not_believed(node: RunningNode) -> None:
    for outcomes in ([{"vote_id": "ab" * 32}], []):
        lie: dict[str, Any] = {"type": "votes_taken", "outcomes": outcomes}
        with lying_node(node.election, {"submit_votes": lambda _, lie=lie: lie}) as liar:  # type: ignore[misc]
            assert ends([liar], "asked-1", code="wrong-answer") == ["kept"]


def takes(request: dict[str, Any]) -> dict[str, Any]:
    (vote,) = request["votes"]
    return {"type": "votes_taken", "outcomes": [{"vote_id": hash_vote(msgspec.convert(vote, Vote)).id.hex()}]}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"voter_id": "somebody else"}, "wrong-answer"),
        ({"height": None}, "wrong-answer"),
        ({"vote_id": "ab" * 32}, "already-voted"),
    ],
)
def test_another_vote_than_the_one_cast_is_not_taken_for_it(
    node: RunningNode, wrong: dict[str, object], code: str
) -> None:
    taken: list[str] = []

    def takes_it(request: dict[str, Any]) -> dict[str, Any]:
        answer = takes(request)
        taken[:] = [answer["outcomes"][0]["vote_id"]]
        return answer

    def says(request: dict[str, Any]) -> dict[str, Any]:
        true = {"voter_id": request["voter_id"], "vote_id": taken[0], "block": "ab" * 32, "height": 1}
        return {"type": "vote_status", "state": "in_block", "position": 0, "confirmations": 1} | true | wrong

    answers: dict[str, Answer] = {"submit_votes": takes_it, "get_vote_status": says}
    with lying_node(node.election, answers) as liar:
        assert ends([liar], "asked-2", code=code) == ["kept"]


def test_the_node_that_took_the_vote_may_fail_before_its_block(node: RunningNode) -> None:
    """Another node that has got the vote meanwhile says where it is."""
    vote: list[Any] = []

    def takes_and_hands_on(request: dict[str, Any]) -> dict[str, Any]:
        vote[:] = request["votes"]
        return takes(request)

    def falls_silent(_: object) -> dict[str, object]:
        asyncio.run(_hand_on(node, vote[0]))
        raise ConnectionError

    answers: dict[str, Answer] = {"submit_votes": takes_and_hands_on, "get_vote_status": falls_silent}
    with lying_node(node.election, answers) as dying:
        found = cast([dying, node.address], "moved-1", "Alice")
    assert (found.state, found.node) == ("in_block", str(node.address))


async def _hand_on(running: RunningNode, fields: dict[str, Any]) -> None:
    from votenet.client.answers import submit_vote
    from votenet.client.connection import NodeConnection

    async with NodeConnection(running.address) as node:
        vote = hash_vote(msgspec.convert(fields, Vote))
        assert (await submit_vote(node, running.election, vote)).refusal is None


def test_a_vote_in_a_block_is_not_called_waiting_for_one(node: RunningNode) -> None:
    """On a quiet network the second confirmation does not come by itself."""

    def in_its_block(received: CastResult) -> None:
        """Returns once it is: the wait for confirmations begins then."""
        with ThreadPoolExecutor(1) as other:
            other.submit(asyncio.run, followed_into_a_block(node, received.voter_id)).result(60)

    with pytest.raises(WaitTimedOut) as late:
        cast([node.address], "quiet one", "Alice", wait=0.2, confirmations=1000, on_received=in_its_block)
    assert late.value.code == "not-confirmed-yet"
    assert re.search(r"is in block \d+, with 1 of 1000 confirmations", late.value.message)
    assert "Blocks are mined only while votes wait" in late.value.next_step
    assert "votenet status --voter 'quiet one'" in late.value.next_step


async def followed_into_a_block(running: RunningNode, voter: str) -> None:
    async with AsyncElectionClient(running.address, remember=False) as election:
        while (await election.vote_status(voter)).state != "in_block":  # noqa: ASYNC110  no node tells of it
            await asyncio.sleep(0.02)


def test_without_waiting_the_vote_is_accepted(node: RunningNode) -> None:
    assert cast([node.address], "hasty", "Bob", wait=0).state in ("accepted", "in_block")


def test_a_key_is_made_on_first_use_but_not_where_there_is_a_roll(tmp_path: Path) -> None:
    key = stored_key(make_election(), "ann", tmp_path)
    key.keep()
    assert stored_key(make_election(), "ann", tmp_path).key.public_hex == key.key.public_hex
    roll = Roll([("bo", key_of("bo").public_hex)])
    held = make_election(roll=roll)
    assert stored_key(held, "ann", tmp_path).key.public_hex == key.key.public_hex
    with pytest.raises(VotenetError) as refused:
        stored_key(held, "bo", tmp_path)
    assert refused.value.code == "no-key"


# -- named nodes ---------------------------------------------------------------------------------------


def test_with_named_nodes_a_vote_is_received_and_then_final(named_node: RunningNode) -> None:
    received: list[CastResult] = []
    found = cast([named_node.address], "final-1", "Alice", on_received=received.append)
    (early,) = received
    assert (early.state, early.named, early.received_by) == ("accepted", 1, ("Node 0",))
    assert early.receipt is not None
    assert check_receipt(early.receipt, early.time).received_by == ("Node 0",)
    assert (found.state, found.signed_by, found.received_by) == ("final", ("Node 0",), ("Node 0",))
    assert found.receipt is not None
    report = check_receipt(found.receipt, found.time, named_node.election.network_hex)
    assert (report.final, report.vote_id, report.voter_id) == (True, found.vote_id, "final-1")


FOUR = make_election(nodes=named_nodes(4))


class ScriptedNode:
    """Answers as a node of FOUR that takes votes, and signs as the nodes `accepts`."""

    def __init__(
        self, *accepts: int, state: str = "accepted", log: Callable[[HashedVote], Any] | None = None
    ):
        self.accepts, self.state, self.log = accepts, state, log
        self.vote: HashedVote | None = None
        self.asked_for = 0

    @property
    def answers(self) -> dict[str, Answer]:
        return {
            "submit_votes": self.submit,
            "get_vote_status": self.status,
            "get_proof": self.proof,
            "get_checkpoint": lambda request: self.shown().checkpoint(request),
        }

    def submit(self, request: dict[str, Any]) -> dict[str, Any]:
        self.asked_for += request["acceptances"]
        self.vote = hash_vote(msgspec.convert(request["votes"][0], Vote))
        made = [
            accept_group(
                keys_of_node(node).statement, network_hex=FOUR.network_hex, node=node, time=CREATED,
                vote_ids=[self.vote.id],
            ).acceptance(0)
            for node in self.accepts
        ]  # fmt: skip
        outcome = {"vote_id": self.vote.id.hex(), "acceptances": msgspec.to_builtins(made)}
        return {"type": "votes_taken", "outcomes": [outcome]}

    def status(self, request: dict[str, Any]) -> dict[str, Any]:
        told = {"type": "vote_status", "voter_id": request["voter_id"], "state": self.state}
        if self.vote is not None:
            told["vote_id"] = self.vote.id.hex()
        if self.state != "accepted":
            told |= {"block": "ab" * 32, "height": 1, "position": 0, "confirmations": 1}
        return told

    def shown(self) -> Any:
        assert self.vote is not None
        assert self.log is not None
        return self.log(self.vote)

    def proof(self, request: dict[str, Any]) -> dict[str, Any]:
        told = {"type": "proof", "vote": None if self.vote is None else msgspec.to_builtins(self.vote.vote)}
        return told if self.log is None else {**told, "height": 1, "proof": self.shown().proof_of(1)}


def logged(vote: HashedVote) -> SignedLog:
    return SignedLog(FOUR, [*leaves(1), vote.id, *leaves(3)])


def test_a_vote_that_too_few_have_signed_for_goes_to_the_other_nodes() -> None:
    one, two = ScriptedNode(0), ScriptedNode(1, 2, 3)
    with lying_node(FOUR, one.answers) as first, lying_node(FOUR, two.answers) as second:
        found = cast([first, dead(), second], "ann", "Alice", wait=0)
    assert found.received_by == ("Node 0", "Node 1", "Node 2", "Node 3")
    assert found.receipt is not None
    assert len(found.receipt.acceptances) == 4
    assert one.vote == two.vote
    assert (one.asked_for, two.asked_for) == (1, 1)
    whole, idle = ScriptedNode(0, 1, 2, 3), ScriptedNode(0)
    with lying_node(FOUR, whole.answers) as first, lying_node(FOUR, idle.answers) as second:
        cast([first, second], "ann", "Alice", wait=0)
    assert idle.vote is None, "enough have signed: no other node is bothered"


def test_acceptances_that_do_not_hold_are_none() -> None:
    node = ScriptedNode(0)
    submit = node.submit

    def forged(request: dict[str, Any]) -> dict[str, Any]:
        answer = submit(request)
        (good,) = answer["outcomes"][0]["acceptances"]
        answer["outcomes"][0]["acceptances"] = [good | {"node": 1}, good | {"time": 5}, good | {"node": 9}]
        return answer

    with lying_node(FOUR, node.answers | {"submit_votes": forged}) as address:
        found = cast([address], "ann", "Alice", wait=0)
    assert (found.received_by, found.receipt) == ((), None)


def test_a_vote_that_waits_has_a_receipt_of_who_received_it() -> None:
    vote = make_vote(FOUR, "ann")

    def received(*nodes: ScriptedNode, received: bool = True) -> Receipt:
        async def main(addresses: list[Address]) -> Receipt:
            async with AsyncElectionClient(addresses) as election:
                return await election.receipt("ann", received=received)

        with contextlib.ExitStack() as stack:
            addresses = [stack.enter_context(lying_node(FOUR, node.answers)) for node in nodes]
            return asyncio.run(main(addresses))

    one, two, silent = ScriptedNode(0), ScriptedNode(1, 2), ScriptedNode()
    one.vote = silent.vote = vote
    report = check_receipt(received(one, two), CREATED + 60, FOUR.network_hex)
    assert (report.vote_id, report.final) == (vote.id.hex(), False)
    assert report.received_by == ("Node 0", "Node 1", "Node 2")
    assert two.vote == vote, "the other node has it now, too"
    for node, given, words in (
        (one, False, "waits for its block"),
        (silent, True, "no named node signs for it"),
    ):
        with pytest.raises(NotProven, match=words) as refused:
            received(node, received=given)
        assert refused.value.code == "not-final"
    with pytest.raises(Rejected, match="no vote of 'ann' is known"):
        received(ScriptedNode(0))
    for forged in (
        msgspec.structs.replace(vote.vote, signature="00" * 64),
        msgspec.structs.replace(vote.vote, choices=(("Nobody",),)),
    ):
        one.vote = hash_vote(forged)
        with pytest.raises(NotProven) as refused:
            received(one)
        assert refused.value.code == "wrong-answer"


def test_final_is_believed_only_with_a_proof() -> None:
    good = ScriptedNode(state="final", log=logged)
    with lying_node(FOUR, good.answers) as address:
        assert cast([address], "ann", "Alice").signed_by == ("Node 0", "Node 1", "Node 2")
    for log, code in (
        (lambda vote: SignedLog(FOUR, [*leaves(1), vote.id], [0, 1]), "bad-certificate"),
        (lambda vote: SignedLog(FOUR, leaves(4)), "bad-proof"),
    ):
        answers = ScriptedNode(state="final", log=log).answers
        with lying_node(FOUR, answers) as address, pytest.raises(NotProven) as refused:
            cast([address], "ann", "Alice")
        assert refused.value.code == code


@pytest.mark.parametrize(("state", "word"), [("accepted", "is received, but"), ("in_block", "is in block 1")])
def test_what_is_not_final_in_time_is_called_so(state: str, word: str) -> None:
    answers = ScriptedNode(0, 1, state=state).answers
    with lying_node(FOUR, answers) as address, pytest.raises(WaitTimedOut) as late:
        cast([address], "ann", "Alice", wait=1.0)
    assert late.value.code == "not-final-yet"
    assert word in late.value.message
    assert "votenet status --voter ann" in late.value.next_step


def test_a_node_that_proves_rubbish_is_passed_over_for_an_honest_one() -> None:
    liar = ScriptedNode(0, 1, 2, 3, state="final", log=lambda vote: SignedLog(FOUR, leaves(4)))
    honest = ScriptedNode(0, 1, 2, 3, state="final", log=logged)
    submit = liar.submit

    def also_hands_on(request: dict[str, Any]) -> dict[str, Any]:
        honest.submit(request)
        return submit(request)

    with (
        lying_node(FOUR, liar.answers | {"submit_votes": also_hands_on}) as first,
        lying_node(FOUR, honest.answers) as second,
    ):
        found = cast([first, second], "ann", "Alice")
    assert (found.state, found.node) == ("final", str(second))


def test_a_split_view_is_not_passed_over() -> None:
    KnownElections(known_dir()).remember_checkpoint(FOUR.network_hex, SignedLog(FOUR, leaves(9)).note)

    def other(vote: HashedVote) -> SignedLog:
        return SignedLog(FOUR, [*leaves(1), vote.id, *leaves(12)])

    one, two = (ScriptedNode(0, 1, 2, 3, state="final", log=other) for _ in range(2))
    with (
        lying_node(FOUR, one.answers) as first,
        lying_node(FOUR, two.answers) as second,
        pytest.raises(NotProven) as refused,
    ):
        cast([first, second], "ann", "Alice")
    assert refused.value.code == "split-view"
