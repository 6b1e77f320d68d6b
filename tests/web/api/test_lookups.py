"""A voter by key, a vote read back from another node, its receipt."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest
from tests.cli.conftest import CommandResult, RunningNode

from support.amendments import AUTHORITY, amendment
from support.elections import key_of, make_election, make_vote, named_nodes
from support.lying_node import Answer, lying_node, results_info
from support.page import Page, play
from votenet.core.election.roll import Roll, with_roll
from votenet.core.ledger.vote import Vote, hash_vote
from votenet.core.records.receipt import check_receipt, decode_receipt
from votenet.errors import VotenetError
from votenet.web.api.lookups import voter_with_key, where_is

ROLL = Roll([("ann", key_of("ann").public_hex), ("bo", key_of("bo").public_hex)])


async def get(page: Page, path: str, **parameters: str) -> tuple[int, Any]:
    answer = await page.client.get(f"/api/v1/{path}", params=parameters)
    return answer.status_code, answer.json()


# -- voters ----------------------------------------------------------------------------------------


def test_a_voter_is_found_by_the_key_in_force() -> None:
    definition = make_election(roll=ROLL, nodes=named_nodes(4), authority_key=AUTHORITY.public_hex)
    election = with_roll(definition, ROLL)
    changed = election.amended(
        [
            amendment(election, "replace-key", "bo", key="bo's new one"),
            amendment(election, "add-voter", "cy", number=2, key="cy"),
        ]
    )
    assert voter_with_key(election, key_of("bo").public_hex) == "bo"
    for key, voter in (("ann", "ann"), ("bo's new one", "bo"), ("cy", "cy")):
        assert voter_with_key(changed, key_of(key).public_hex) == voter
    for unknown in ("bo", "nobody"):
        with pytest.raises(VotenetError) as refused:
            voter_with_key(changed, key_of(unknown).public_hex)
        assert refused.value.code == "not-on-roll"
    with pytest.raises(VotenetError) as refused:
        voter_with_key(changed.without_roll(), key_of("ann").public_hex)
    assert refused.value.code == "no-roll"


def test_the_page_says_whether_a_voter_has_voted() -> None:
    election = make_election(roll=ROLL)
    voted = {"ann"}

    def status(request: dict[str, Any]) -> dict[str, Any]:
        voter = request["voter_id"]
        state = "accepted" if voter in voted else "unknown"
        return {"type": "vote_status", "voter_id": voter, "state": state}

    answers: dict[str, Answer] = {"get_results": lambda _: results_info(election), "get_vote_status": status}

    async def scenario(page: Page) -> None:
        code, ann = await get(page, "voter", key=key_of("ann").public_hex)
        assert (code, ann) == (200, {"voter_id": "ann", "weight": 1, "voted": True})
        code, bo = await get(page, "voter", key=key_of("bo").public_hex)
        assert (code, bo["voted"]) == (200, False)
        code, refused = await get(page, "voter", key=key_of("cy").public_hex)
        assert (code, refused["error"]["code"]) == (404, "not-on-roll")
        for bad in ("", "ab", "AB" * 32, "xy" * 32):
            assert (await get(page, "voter", key=bad))[0] == 400

    async def without(page: Page) -> None:
        code, refused = await get(page, "voter", key=key_of("ann").public_hex)
        assert (code, refused["error"]["code"]) == (404, "no-roll")

    with lying_node(election, answers) as node:
        play(scenario, node, roll=ROLL)
        play(without, node)


# -- votes -----------------------------------------------------------------------------------------


class Story:
    """What a node tells of one vote."""

    def __init__(self, choice: str, **change: object) -> None:
        self.election = make_election()
        self.vote = make_vote(self.election, "ann", choice)
        self.change = change

    def status(self, request: dict[str, Any]) -> dict[str, Any]:
        told = {
            "type": "vote_status",
            "voter_id": request["voter_id"],
            "state": "in_block",
            "block": "ab" * 32,
        }
        where = {"vote_id": self.vote.id.hex(), "block": "ab" * 32, "height": 1, "position": 0}
        return told | where | self.change

    def proof(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"type": "proof", "vote": json.loads(self.vote.record), "height": 1}

    @property
    def answers(self) -> dict[str, Answer]:
        return {
            "get_results": lambda _: results_info(self.election),
            "get_vote_status": self.status,
            "get_proof": self.proof,
        }


def test_a_vote_is_read_back_from_another_node() -> None:
    first, second = Story("Alice"), Story("Alice")

    async def scenario(page: Page) -> None:
        for asked, other in ((one, two), (two, one)):
            code, found = await get(page, "vote", voter="ann", other_than=str(asked))
            assert (code, found["node"], found["state"]) == (200, str(other), "in-block")
            vote = msgspec.convert(found["vote"], Vote)
            assert hash_vote(vote).id.hex() == found["vote_id"] == first.vote.id.hex()
            assert found["signed_by"] == []
        code, _ = await get(page, "vote", voter="ann", other_than="nowhere")
        assert code == 400

    with lying_node(first.election, first.answers) as one, lying_node(second.election, second.answers) as two:
        play(scenario, one, two)


def test_the_only_node_that_answers_is_asked_even_if_it_took_the_vote() -> None:
    story = Story("Alice")

    async def scenario(page: Page) -> None:
        code, found = await get(page, "vote", voter="ann", other_than=str(node))
        assert (code, found["node"]) == (200, str(node))

    with lying_node(story.election, story.answers) as node:
        play(scenario, node)


@pytest.mark.parametrize("lie", [{"vote_id": "ab" * 32}, {"voter_id": "bo"}, {"height": None}])
def test_a_node_that_contradicts_itself_is_passed_over(lie: dict[str, object]) -> None:
    liar, honest = Story("Alice", **lie), Story("Alice")

    async def scenario(page: Page) -> None:
        found = await where_is(page.view, "ann", [good], with_record=True)
        assert (found.node, found.vote_id) == (str(good), honest.vote.id.hex())

    with lying_node(liar.election, liar.answers) as bad, lying_node(honest.election, honest.answers) as good:
        play(scenario, good, bad)


def test_a_vote_that_nobody_cast_is_unknown(named_node: RunningNode) -> None:
    async def scenario(page: Page) -> None:
        code, found = await get(page, "vote", voter="who")
        assert (code, found["state"], found["vote"], found["vote_id"]) == (200, "unknown", None, None)
        assert (await get(page, "vote"))[0] == 400
        code, refused = await get(page, "vote", voter="a\nb")
        assert (code, refused["error"]["code"]) == (400, "bad-vote")
        code, refused = await get(page, "receipt", voter="who")
        assert (code, refused["error"]["code"]) == (404, "not-found")

    play(scenario, named_node.address)


# -- receipts --------------------------------------------------------------------------------------


def test_the_receipt_is_the_file_of_the_command(named_node: RunningNode, cli: Any, tmp_path: Any) -> None:
    cast: CommandResult = cli("vote", "--node", str(named_node.address), "receipt-1", "Alice")
    assert cast.code == 0, cast.err
    file = tmp_path / "receipt.json"

    async def scenario(page: Page) -> None:
        for more in ({}, {"received": "1"}):
            answer = await page.client.get("/api/v1/receipt", params={"voter": "receipt-1"} | more)
            assert answer.status_code == 200
            assert answer.headers["content-disposition"] == 'attachment; filename="receipt-receipt-1.json"'
            assert answer.content == file.read_bytes()
            assert check_receipt(decode_receipt(answer.content), int(time.time())).final
        found = await where_is(page.view, "receipt-1")
        assert (found.state, found.signed_by) == ("final", ("Node 0",))

    cli("receipt", "--node", str(named_node.address), "receipt-1", "-o", str(file))
    play(scenario, named_node.address)


def test_a_vote_that_waits_has_no_final_receipt() -> None:
    election = make_election(nodes=named_nodes(4))
    vote = make_vote(election, "ann")
    answers: dict[str, Answer] = {
        "get_results": lambda _: results_info(election),
        "get_checkpoint": lambda _: {"type": "checkpoint"},
        "get_proof": lambda _: {"type": "proof", "vote": json.loads(vote.record)},
    }

    async def scenario(page: Page) -> None:
        code, refused = await get(page, "receipt", voter="ann")
        assert (code, refused["error"]["code"]) == (409, "not-final")

    with lying_node(election, answers) as node:
        play(scenario, node)
