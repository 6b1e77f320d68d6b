"""Finding nodes, casting votes, asking: against a real node."""

from __future__ import annotations

import asyncio
import re
import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.cli.conftest import RunningNode

from lying_node import Answer, lying_node, results_info
from support import key_of, make_election
from votenet.cli import actions
from votenet.config import instance_dirs
from votenet.core.vote import Vote, seal
from votenet.errors import (
    ConfigError,
    NotProven,
    NotRunning,
    Rejected,
    Unreachable,
    VotenetError,
    WaitTimedOut,
)
from votenet.network.client import NodeClient
from votenet.protocol.address import Address


class TestKey:
    """The test key of a voter; remembers what became of it."""

    __test__ = False

    def __init__(self, voter: str) -> None:
        self.key, self.ends = key_of(voter), list[str]()

    def keep(self) -> None:
        self.ends.append("kept")

    def drop(self) -> None:
        self.ends.append("dropped")


def _nobody() -> Address:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return Address("127.0.0.1", free.getsockname()[1])


def _cast(node: RunningNode, voter: str, *choices: str, before: tuple[Address, ...] = ()) -> actions.Receipt:
    return asyncio.run(
        actions.cast_vote([*before, node.address], voter, choices, lambda _: TestKey(voter), wait=20.0)
    )


def test_a_vote_is_cast_and_followed_into_its_block(node: RunningNode) -> None:
    receipt = _cast(node, "actions-1", "Alice")
    assert (receipt.state, receipt.choices) == ("in_block", ("Alice",))
    assert receipt.network_id == node.election.network_hex
    assert receipt.height is not None
    assert receipt.confirmations >= 1


def test_a_dead_node_is_passed_over(node: RunningNode) -> None:
    assert _cast(node, "actions-2", "Bob", before=(_nobody(),)).state == "in_block"


def test_s10_a_second_vote_is_refused_with_time_and_block(node: RunningNode) -> None:
    first = _cast(node, "actions-3", "Alice")
    with pytest.raises(Rejected) as refused:
        _cast(node, "actions-3", "Bob")
    assert refused.value.code == "already-voted"
    assert refused.value.details["block"] == first.block
    assert refused.value.details["time"] == first.time


def test_no_key_is_made_for_a_choice_that_does_not_fit(node: RunningNode) -> None:
    def make_key(_: object) -> TestKey:
        raise AssertionError("no key is needed")

    for choices, code in ((("Zorro",), "unknown-candidate"), (("Alice", "Bob", "Charlie"), "bad-choices")):
        with pytest.raises(Rejected) as refused:
            asyncio.run(actions.cast_vote([node.address], "x", choices, make_key, wait=1.0))
        assert refused.value.code == code


def _ends(addresses: list[Address], voter: str, *, code: str | None, wait: float = 20.0) -> list[str]:
    """What became of the key of a voter whose vote ended with this code (None: it is in a block)."""
    key = TestKey(voter)
    choice = "Bob" if code == "already-voted" else "Alice"
    work = actions.cast_vote(addresses, voter, (choice,), lambda _: key, wait=wait)
    if code is None:
        asyncio.run(work)
    else:
        with pytest.raises(VotenetError) as refused:
            asyncio.run(work)
        assert refused.value.code == code
    return key.ends


def test_a_key_is_kept_exactly_when_the_vote_may_have_been_taken(node: RunningNode) -> None:
    assert set(_ends([node.address], "keys-1", code=None)) == {"kept"}
    assert _ends([node.address], "keys-1", code="already-voted") == ["dropped"]
    for bad in ("v" * 200, " edge ", "a\nb"):
        assert _ends([node.address], bad, code="bad-vote") == ["dropped"]

    def hangs_up(_: object) -> dict[str, object]:
        raise ConnectionError

    with lying_node(node.election, {"submit_votes": hangs_up}) as deaf:
        assert _ends([deaf], "keys-2", code="unreachable") == ["kept"], "it may have been taken"
        assert _ends([deaf, node.address], "keys-1", code="already-voted") == ["kept"], "by the first node"


def test_a_node_that_answers_about_another_vote_is_not_believed(node: RunningNode) -> None:
    other = "ab" * 32
    lies: dict[str, Answer] = {
        "submit_votes": lambda _: {"type": "votes_taken", "outcomes": [{"vote_id": other}]}
    }
    with lying_node(node.election, lies) as liar:
        assert _ends([liar], "asked-1", code="wrong-answer") == ["kept"]
    none: dict[str, Answer] = {"submit_votes": lambda _: {"type": "votes_taken", "outcomes": []}}
    with lying_node(node.election, none) as liar:
        assert _ends([liar], "asked-1", code="wrong-answer") == ["kept"]


def _taken(request: dict[str, Any]) -> dict[str, Any]:
    (vote,) = request["votes"]
    return {"type": "votes_taken", "outcomes": [{"vote_id": seal(msgspec.convert(vote, Vote)).id.hex()}]}


@pytest.mark.parametrize("wrong", [{"voter_id": "somebody else"}, {"height": None}])
def test_a_node_that_answers_about_another_voter_is_not_believed(
    node: RunningNode, wrong: dict[str, object]
) -> None:
    taken: list[str] = []

    def takes(request: dict[str, Any]) -> dict[str, Any]:
        answer = _taken(request)
        taken[:] = [answer["outcomes"][0]["vote_id"]]
        return answer

    def says(request: dict[str, Any]) -> dict[str, Any]:
        true = {"voter_id": request["voter_id"], "vote_id": taken[0], "block": "ab" * 32, "height": 1}
        return {"type": "vote_status", "state": "in_block", "position": 0, "confirmations": 1} | true | wrong

    with lying_node(node.election, {"submit_votes": takes, "get_vote_status": says}) as liar:
        assert set(_ends([liar], "asked-2", code="wrong-answer")) == {"kept"}


def test_results_of_another_election_than_the_node_shows_are_not_believed(node: RunningNode) -> None:
    shown, other = make_election(title="One"), make_election(title="Other")
    for lie in (results_info(other), results_info(shown) | {"counts": [["Zorro", 1]]}):
        with lying_node(shown, {"get_results": lambda _, lie=lie: lie}) as liar:  # type: ignore[misc]
            with pytest.raises(NotProven) as refused:
                asyncio.run(actions.fetch_results([liar]))
            assert refused.value.code == "wrong-answer"


def test_a_node_of_another_network_than_the_one_here_is_refused(node: RunningNode) -> None:
    with pytest.raises(Rejected) as refused:
        asyncio.run(actions.fetch_results([node.address], "ab" * 32))
    assert refused.value.code == "network-mismatch"


def test_a_vote_in_a_block_is_not_called_waiting_for_one(node: RunningNode) -> None:
    """On a quiet network the second confirmation does not come by itself."""
    with pytest.raises(WaitTimedOut) as late:
        asyncio.run(
            actions.cast_vote(
                [node.address], "quiet", ("Alice",), lambda _: TestKey("quiet"), wait=1.0, confirmations=1000
            )
        )
    assert late.value.code == "not-confirmed-yet"
    assert re.search(r"is in block \d+, with 1 of 1000 confirmations", late.value.message)
    assert "Blocks are mined only while votes wait" in late.value.next_step
    assert "votenet status --voter quiet" in late.value.next_step


def test_without_any_node_the_reason_is_told() -> None:
    with pytest.raises(Unreachable):
        asyncio.run(actions.fetch_results([_nobody()]))
    with pytest.raises(NotRunning):
        asyncio.run(actions.fetch_results([]))


def test_asking_all_tells_who_did_not_answer(node: RunningNode) -> None:
    dead = _nobody()
    answers = dict(asyncio.run(actions.fetch_status([node.address, dead])))
    assert not isinstance(answers[node.address], Exception)
    assert isinstance(answers[dead], Unreachable)


def test_the_election_is_checked_against_its_id(node: RunningNode) -> None:
    async def fetch() -> str:
        async with NodeClient(node.address) as client:
            return (await actions.fetch_election(client)).network_hex

    assert asyncio.run(fetch()) == node.election.network_hex


def test_a_genesis_file_that_is_not_there_is_told(tmp_path: object) -> None:
    from pathlib import Path

    assert isinstance(tmp_path, Path)
    with pytest.raises(ConfigError) as refused:
        actions.read_genesis(tmp_path / "none.json")
    assert refused.value.code == "bad-genesis"


def test_a_refusal_keeps_its_details_on_the_way() -> None:
    error = actions.rejected_from({"code": "already-voted", "kind": "duplicate", "message": "m", "height": 7})
    assert (error.code, error.details) == ("already-voted", {"height": 7})
    assert actions.rejected_from({"code": "from-the-future", "message": "m"}).code == "bad-vote"


def test_the_network_here_is_what_its_nodes_must_be_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path))
    dirs = instance_dirs("board")
    assert actions.network_here("board") is None
    dirs.genesis.mkdir(parents=True)
    with pytest.raises(ConfigError) as refused:
        actions.network_here("board")
    assert refused.value.code == "bad-genesis"
    dirs.genesis.rmdir()
    dirs.genesis.write_bytes(make_election().to_file())
    assert actions.network_here("board") == make_election().network_hex
    assert actions.network_here("board", "127.0.0.1:1") is None, "a node that was named may be of any"
