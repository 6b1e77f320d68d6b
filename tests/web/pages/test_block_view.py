"""A vote and its path in words."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import msgspec

from support.elections import make_election, make_vote, named_nodes
from support.secret_definitions import SecretSetup
from votenet.core.log.merkle import merkle_path, merkle_root
from votenet.web.api.chain import BlockPath, BlockSummary, VotePage
from votenet.web.api.lookups import WhereVoteIs
from votenet.web.pages.block_view import VoteView, block_item, vote_view
from votenet.web.words import Words

EN = Words("en")
NAMED = make_election(nodes=named_nodes(5))
VOTE = make_vote(NAMED, "Ann <b>", "Bob")
LEAVES = [VOTE.id, *(hashlib.sha256(bytes([number])).digest() for number in range(4))]
PATH = BlockPath(
    0, 5, tuple(one.hex() for one in merkle_path(LEAVES, 0)), merkle_root(LEAVES).hex(), "00" * 80
)


def seen(state: str, *, named: bool = True, path: BlockPath | None = PATH) -> VoteView:
    """The vote in a state; without `named` in an election that names no nodes."""
    standing = WhereVoteIs(
        voter_id=VOTE.voter_id,
        state=state,
        vote_id=VOTE.id.hex(),
        time=VOTE.vote.time,
        block=None,
        height=None if state == "received" else 7,
        position=0,
        vote=msgspec.Raw(VOTE.record),
        node="127.0.0.1:1",
        signed_by=("Node 0", "Node 1", "Node 2", "Node 3") if state == "final" else (),
    )
    found = vote_view(
        EN, NAMED if named else make_election(), VotePage(standing, path, ""), choices_shown=True
    )
    assert found is not None
    return found


def test_states() -> None:
    states = {state: str(seen(state).state) for state in ("received", "in-block", "final")}
    assert states == {
        "received": "Received, not in a block yet",
        "in-block": "In block 7, not final yet",
        "final": "Final, signed by 4 of 5",
    }
    assert seen("in-block", named=False).state == "In block 7"
    assert "no vote is ever final" in seen("in-block", named=False).why


def test_a_receipt_is_offered_where_there_is_one() -> None:
    assert seen("final").receipt == "/api/v1/receipt?voter=Ann+%3Cb%3E"
    assert seen("in-block", named=False).receipt
    assert not seen("in-block").receipt
    assert not seen("received", path=None).receipt


def test_the_path_is_checked() -> None:
    good = seen("final")
    assert good.path_holds
    assert len(good.steps) == 3
    broken = seen("final", path=msgspec.structs.replace(PATH, merkle_root="00" * 32))
    assert not broken.path_holds
    assert not seen("received", path=None).picture
    told = json.loads(good.path_data)
    assert (told["record"], told["vote_id"]) == (VOTE.record.decode(), VOTE.id.hex())


def test_choices_and_foreign_names() -> None:
    found = seen("final")
    assert [re.sub("<[^>]*>", "", name) for _, chosen in found.choices for name in chosen] == ["Bob"]
    assert found.voter == "<bdi>Ann &lt;b&gt;</bdi>"


def test_a_secret_vote_has_the_fingerprint_of_its_ballot() -> None:
    setup = SecretSetup(by_code=True)
    vote = setup.vote("voter-1")
    standing = WhereVoteIs(
        voter_id=vote.voter_id,
        state="final",
        vote_id=vote.id.hex(),
        time=vote.vote.time,
        block=None,
        height=7,
        position=0,
        vote=msgspec.Raw(vote.record),
        node="127.0.0.1:1",
        signed_by=("Node 0", "Node 1", "Node 2", "Node 3"),
    )
    found = vote_view(EN, setup.election, VotePage(standing, None, ""), choices_shown=True)
    assert found is not None
    assert found.choices == ()
    facts = {str(label): str(value) for label, value in found.facts}
    expected = base64.b64encode(hashlib.sha256(vote.vote.ballot.encode()).digest()).decode().rstrip("=")
    assert facts["Fingerprint of the encrypted vote"] == f"<code>{expected}</code>"


def test_a_line_of_the_list() -> None:
    block = BlockSummary(3, "ab" * 32, "cd" * 32, 1_700_000_000, 1, 2, None, True)
    found = block_item(EN, block)
    assert (found.content, found.final) == ("1 vote, 2 other records", True)
