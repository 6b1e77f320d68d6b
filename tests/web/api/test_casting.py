"""POST votes: taken once whatever is sent twice, and nothing that is wrong reaches a node."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from tests.cli.conftest import RunningNode, node_of

from support.elections import key_of, make_election, make_vote, named_nodes
from support.lying_node import Answer, lying_node, results_info, takes
from support.page import Page, play
from support.ports import free_port
from support.secret_definitions import SecretSetup
from support.web_votes import are_final
from votenet.cli.election.roll import write_roll
from votenet.client.connection import NodeConnection
from votenet.client.submission import Taken
from votenet.core.election.definition import Election
from votenet.core.election.roll import Roll
from votenet.core.encoding import canonical
from votenet.core.ledger.vote import HashedVote, hash_vote
from votenet.core.records.acceptance import Acceptance
from votenet.core.records.receipt import check_receipt, make_received_receipt
from votenet.errors import Rejected
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.limits import ballot_units
from votenet.web.api import casting
from votenet.web.api.casting import read_vote
from votenet.web.serving import server

ELECTION = make_election()
VOTE = make_vote(ELECTION)
FIELDS: dict[str, Any] = json.loads(VOTE.record)


async def post(page: Page, body: bytes) -> tuple[int, dict[str, Any]]:
    answer = await page.client.post(
        "/api/v1/votes", content=body, headers={"Content-Type": "application/json"}
    )
    return answer.status_code, answer.json()


async def connection_of(node: NodeConnection) -> NodeConnection:
    return node


def new_vote(election: Election, voter: str, choice: str = "Alice") -> HashedVote:
    return make_vote(election, voter, choice, time=int(time.time()))


def test_a_vote_is_taken_once_however_often_it_is_sent(named_node: RunningNode) -> None:
    election = named_node.election
    vote = new_vote(election, "post-1")

    async def scenario(page: Page) -> None:
        spaced = msgspec.json.format(vote.record, indent=2)
        for body in (vote.record, vote.record, spaced):
            code, taken = await post(page, body)
            assert code == 200
            assert (taken["vote_id"], taken["voter_id"], taken["of"]) == (vote.id.hex(), "post-1", 1)
        code, refused = await post(page, new_vote(election, "post-1", "Bob").record)
        assert (code, refused["error"]["code"]) == (409, "already-voted")
        await are_final(page.view, "post-1")
        code, again = await post(page, vote.record)
        assert (code, again["state"], again["received_by"]) == (200, "final", [])
        link = page.view.pool.addresses[0]
        before = await page.view.pool.at(link, connection_of)
        for wrong in ("", "v" * 129, "%20"):
            assert (await page.client.get(f"/chain/vote/{wrong}")).status_code == 400, wrong
        assert await page.view.pool.at(link, connection_of) is before, "the link that all share is open"

    play(scenario, named_node.address)


def test_what_was_received_proves_itself(named_node: RunningNode) -> None:
    vote = new_vote(named_node.election, "post-2")

    async def scenario(page: Page) -> None:
        _, taken = await post(page, vote.record)
        assert (taken["state"], taken["received_by"], taken["received"]) == ("received", ["Node 0"], 1)
        acceptances = msgspec.convert(taken["acceptances"], list[Acceptance])
        report = check_receipt(
            make_received_receipt(named_node.election, vote.vote, acceptances), int(time.time())
        )
        assert report.received_by == ("Node 0",)

    play(scenario, named_node.address)


def with_field(**change: Any) -> bytes:
    return json.dumps(FIELDS | change).encode()


def without(name: str) -> bytes:
    return json.dumps({key: value for key, value in FIELDS.items() if key != name}).encode()


FORGED = canonical(msgspec.structs.replace(VOTE.vote, signature="0" * 128))
REPLAYED = canonical(msgspec.structs.replace(VOTE.vote, time=VOTE.vote.time + 1))
BAD_BODIES: list[tuple[str, bytes]] = [
    ("bad-json", b""),
    ("bad-json", b"null garbage"),
    ("bad-json", b"{" * 30_000),
    ("bad-json", b"[" * 60_000),
    ("bad-json", VOTE.record[:-1]),
    ("bad-json", VOTE.record + VOTE.record),
    ("bad-json", VOTE.record.replace(b'"time":', b'"time":0,"time":')),
    ("bad-json", VOTE.record.replace(b'"Alice"', b'"Al\xffce"')),
    ("bad-json", VOTE.record.replace(b"voter-1", b"\\ud800")),
    ("bad-json", VOTE.record.replace(b'"time":1', b'"time":' + b"1" * 50_000)),
    ("bad-json", VOTE.record.replace(b'"time":1', b'"time":NaN,"x":1')),
    ("bad-json", b"\xef\xbb\xbf" + VOTE.record),
    ("bad-vote", b"null"),
    ("bad-vote", b"[]"),
    ("bad-vote", b'"vote"'),
    ("bad-vote", with_field(extra=1)),
    ("bad-vote", with_field(time=-1)),
    ("bad-vote", with_field(time=2**53)),
    ("bad-vote", with_field(time=1.5)),
    ("bad-vote", with_field(time=True)),
    ("bad-vote", with_field(voter_id="")),
    ("bad-vote", with_field(voter_id="x" * 129)),
    ("bad-vote", with_field(voter_id=" edge ")),
    ("bad-vote", with_field(voter_id="a\nb")),
    ("bad-vote", with_field(choices="Alice")),
    ("bad-vote", with_field(choices=[[1]])),
    ("bad-vote", with_field(ballot="secret")),
    ("bad-vote", with_field(signature=FIELDS["signature"].upper())),
    *(("bad-vote", without(name)) for name in FIELDS),
    ("bad-choices", with_field(choices=[])),
    ("bad-choices", with_field(choices=[[]])),
    ("bad-choices", with_field(choices=[["Alice", "Alice"]])),
    ("bad-choices", with_field(choices=[["Alice"], ["Bob"]])),
    ("unknown-candidate", with_field(choices=[["Zorro"]])),
    ("network-mismatch", with_field(network_id="ab" * 32)),
    ("network-mismatch", make_vote(make_election(title="Other"), "voter-1").record),
    ("bad-signature", FORGED),
    ("bad-signature", REPLAYED),
    ("bad-signature", with_field(voter_id="voter-2")),
    ("bad-signature", with_field(voter_key="zz" * 32)),
]


@pytest.mark.parametrize(("code", "body"), BAD_BODIES)
def test_a_body_that_is_wrong_is_refused_before_any_node_sees_it(code: str, body: bytes) -> None:
    with pytest.raises(Rejected) as refused:
        read_vote(body, ELECTION)
    assert refused.value.code == code
    assert len(refused.value.message) < 400


def test_the_spelling_of_a_good_body_does_not_matter() -> None:
    for body in (VOTE.record, b" " + json.dumps(FIELDS, indent=1).encode(), with_field(ballot="")):
        assert read_vote(body, ELECTION) == VOTE


def secret_page(setup: SecretSetup) -> AbstractContextManager[Address]:
    """A node that shows an election with secret ballots."""
    results = results_info(setup.election) | {"contests": []}
    return lying_node(setup.election, {"get_results": lambda _: results})


def test_the_proofs_of_a_secret_ballot_are_not_checked_where_all_others_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setup, used = SecretSetup(), []
    wrong = Rejected("bad-choice-proof", "it is forged")
    monkeypatch.setattr(casting, "forgery", lambda *_: used.append(threading.get_ident()) or wrong)

    async def scenario(page: Page) -> None:
        code, refused = await post(page, setup.vote("voter-1").record)
        assert (code, refused["error"]["code"]) == (400, "bad-choice-proof")
        assert [one == threading.get_ident() for one in used] == [False]

    with secret_page(setup) as node:
        play(scenario, node)


def test_no_proof_is_checked_for_one_who_is_no_voter_or_has_not_signed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stranger's ballot with good proofs, sent again and again, would keep the page busy."""
    setup, used = SecretSetup(), []
    forged = msgspec.structs.replace(setup.vote("voter-1").vote, signature="0" * 128)
    monkeypatch.setattr(casting, "_wait_for_proofs", lambda *_: used.append("paid"))
    stolen = setup.vote("voter-2", ballot=setup.ballot("voter-1"))

    async def scenario(page: Page) -> None:
        for record, said in (
            (canonical(forged), (400, "bad-signature")),
            (stolen.record, (400, "unknown-credential")),
        ):
            code, refused = await post(page, record)
            assert (code, refused["error"]["code"]) == said
        assert used == []

    with secret_page(setup) as node:
        play(scenario, node, roll=setup.roll)


def test_a_client_that_sends_ballots_without_end_waits_and_no_proof_of_it_is_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thousand forged ballots of many candidates would take a minute of the page's processor."""
    setup = SecretSetup()
    price = ballot_units(setup.ballot("voter-1"))
    monkeypatch.setattr(server, "PROOFS_AT_ONCE", 1.5 * price)
    monkeypatch.setattr(server, "PROOFS_PER_SECOND", 0.001)
    used: list[HashedVote] = []
    wrong = Rejected("bad-ballot-signature", "it is forged")
    monkeypatch.setattr(casting, "forgery", lambda vote, _: used.append(vote) or wrong)

    async def scenario(page: Page) -> None:
        code, refused = await post(page, setup.vote("voter-1").record)
        assert (code, refused["error"]["code"]) == (400, "bad-ballot-signature")
        code, refused = await post(page, setup.vote("voter-2").record)
        assert (code, refused["error"]["code"]) == (429, "too-many")
        assert refused["error"]["next"]
        assert len(used) == 1
        code, refused = await post(page, b"{")
        assert (code, refused["error"]["code"]) == (400, "bad-json"), "what has no ballot costs none"

    with secret_page(setup) as node:
        play(scenario, node)


def test_a_refusal_is_an_answer_with_code_and_next_step() -> None:
    def answers(submit: Answer) -> dict[str, Answer]:
        return {"submit_votes": submit, "get_results": lambda _: results_info(ELECTION)}

    def closed(request: dict[str, Any]) -> dict[str, Any]:
        vote_id = hash_vote(VOTE.vote).id.hex()
        error = {"code": "closed", "message": "voting has ended", "closes": 1_700_000_000}
        return {"type": "votes_taken", "outcomes": [{"vote_id": vote_id, "error": error}]}

    async def scenario(page: Page) -> None:
        code, refused = await post(page, VOTE.record)
        assert (code, refused["error"]["code"]) == (403, "closed")
        assert "voting has ended; it closed 2023-11-1" in refused["error"]["message"]
        assert refused["error"]["next"]
        code, refused = await post(page, FORGED)
        assert (code, refused["error"]["code"]) == (400, "bad-signature")

    with lying_node(ELECTION, answers(closed)) as node:
        play(scenario, node)


@pytest.mark.parametrize(
    ("vote_id", "height", "expected"),
    [
        (VOTE.id.hex(), 7, "final"),
        ("ab" * 32, 7, "already-voted"),
        ("ab" * 32, None, "received"),
        (None, None, "received"),
    ],
)
def test_without_signatures_the_vote_at_the_node_decides(
    monkeypatch: pytest.MonkeyPatch, vote_id: str | None, height: int | None, expected: str
) -> None:
    """Named nodes sign for no vote that is in a block: it is this one, or another vote of the same voter."""
    election = make_election(nodes=named_nodes(4))

    async def taken(_: object) -> Taken:
        return Taken(Address("127.0.0.1", 1), election, {})

    async def standing(*_: object, **__: object) -> object:
        return SimpleNamespace(vote_id=vote_id, height=height, state="final")

    monkeypatch.setattr(casting, "batches_of", lambda view: SimpleNamespace(submit=taken))
    monkeypatch.setattr(casting, "where_is", standing)
    view: Any = None
    if expected == "already-voted":
        with pytest.raises(Rejected) as refused:
            asyncio.run(casting.cast(view, VOTE))
        assert refused.value.code == expected
    else:
        answer = asyncio.run(casting.cast(view, VOTE))
        assert (answer.state, answer.received, answer.of) == (expected, 0, 4)


def test_a_node_that_is_away_is_passed_over_and_without_any_node_it_says_so() -> None:
    dead = Address("127.0.0.1", free_port())
    submits: list[Answer] = [takes(ELECTION)]
    answers: dict[str, Answer] = {
        "submit_votes": lambda request: submits[0](request),
        "get_results": lambda _: results_info(ELECTION),
    }

    def hangs_up(_: object) -> dict[str, Any]:
        raise ConnectionError

    async def scenario(page: Page) -> None:
        code, taken = await post(page, VOTE.record)
        assert (code, taken["node"], taken["state"]) == (200, str(node), "received")
        submits[0] = hangs_up
        answer = await page.client.post("/api/v1/votes", json=FIELDS)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unreachable")
        assert int(answer.headers["retry-after"]) > 0

    with lying_node(ELECTION, answers) as node:
        play(scenario, dead, node)


def test_who_is_not_on_the_roll_cannot_vote(tmp_path: Path) -> None:
    roll = Roll([("ann", key_of("ann").public_hex)])
    election = make_election(created=int(time.time()), roll=roll)
    write_roll(tmp_path / "roll.json", roll)

    async def scenario(page: Page) -> None:
        for vote, expected in (
            (new_vote(election, "bo"), "not-on-roll"),
            (make_vote(election, "ann", "Alice", time=int(time.time()), key=key_of("bo")), "wrong-key"),
        ):
            code, refused = await post(page, vote.record)
            assert (code, refused["error"]["code"]) == (403, expected)
        assert (await post(page, new_vote(election, "ann").record))[0] == 200

    with node_of(election, tmp_path, "--roll", str(tmp_path / "roll.json")) as running:
        play(scenario, running.address)
