"""Amendments that a client asks for, believes or not, and hands to a node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.amendments import AUTHORITY, CLOSES, amendable, amendment
from support.elections import key_of
from support.lying_node import lying_node, results_info
from votenet.client.amendments import AmendmentResult, Change
from votenet.client.sync_client import ElectionClient
from votenet.core.election.amendment import Amendment
from votenet.core.election.definition import Election
from votenet.errors import NotProven, Rejected, WaitTimedOut

ELECTION = amendable(closes=2**40)
LATER = 2**40 + 60


class Node:
    """Shows amendments, and keeps those that it was handed; an `honest` one puts them in a block."""

    def __init__(
        self, *shown: Amendment, waiting: int = 0, honest: bool = False, drops: bool = False
    ) -> None:
        self.shown, self.waiting, self.honest, self.drops = list(shown), waiting, honest, drops
        self.handed = list[Amendment]()

    def list(self, question: dict[str, Any]) -> dict[str, Any]:
        found = self.shown[question.get("first", 1) - 1 :][:2]
        return {
            "type": "amendments",
            "amendments": msgspec.to_builtins(found),
            "height": 1,
            "count": len(self.shown),
            "next": len(self.shown) + 1 + self.waiting,
            "waiting": [] if self.drops else [one.number for one in self.handed],
        }

    def submit(self, question: dict[str, Any]) -> dict[str, Any]:
        made = msgspec.convert(question["amendment"], Amendment)
        self.handed.append(made)
        self.shown += [made] if self.honest else []
        return {"type": "amendment_taken", "number": made.number}

    @property
    def answers(self) -> dict[str, Any]:
        return {
            "get_amendments": self.list,
            "submit_amendment": self.submit,
            "get_checkpoint": lambda _: {"type": "checkpoint"},
            "get_vote_status": lambda asked: {
                "type": "vote_status",
                "voter_id": asked["voter_id"],
                "state": "accepted" if asked["voter_id"] == "bo" else "unknown",
            },
        }


def three() -> list[Amendment]:
    """Two pages of `Node.list`."""
    found, election = list[Amendment](), ELECTION
    for later in (1, 2, 3):
        found.append(amendment(election, "extend", closes=2**40 + later))
        election = election.amended(found[-1:])
    return found


def test_the_election_in_force_has_all_amendments_of_a_node(tmp_path: Path) -> None:
    found = three()
    told = results_info(ELECTION) | {"closes": 2**40 + 2, "amendments": 2}
    with (
        lying_node(ELECTION, Node(*found).answers | {"get_results": lambda _: told}) as address,
        ElectionClient(address, known=tmp_path) as client,
    ):
        assert client.amended().amendments == tuple(found)
        assert client.amended().closes == 2**40 + 3
        assert client.election.closes == 2**40
        assert client.results().closes == 2**40 + 2, "a third came since"
        told["closes"] = 2**40 + 3
        with pytest.raises(NotProven) as refused:
            client.results()
        assert refused.value.code == "wrong-answer"


@pytest.mark.parametrize("members", [{"by": key_of("a stranger")}, {"number": 2}, {"network_hex": "00" * 32}])
def test_amendments_that_no_authority_signed_are_not_believed(
    tmp_path: Path, members: dict[str, Any]
) -> None:
    forged = amendment(ELECTION, "cancel", **members)
    with (
        lying_node(ELECTION, Node(forged).answers) as address,
        ElectionClient(address, known=tmp_path) as client,
        pytest.raises(NotProven) as refused,
    ):
        client.amended()
    assert refused.value.code == "wrong-answer"


def test_a_change_is_signed_with_the_next_free_number(tmp_path: Path) -> None:
    node = Node(*three(), waiting=2)
    with lying_node(ELECTION, node.answers) as address, ElectionClient(address, known=tmp_path) as client:
        result = client.amend(AUTHORITY, Change("extend", closes=LATER, reason="late"), wait=0)
    assert (result.state, result.node) == ("waiting", str(address))
    assert node.handed == [result.amendment]
    assert (result.amendment.number, result.amendment.reason) == (6, "late")
    assert result.before.closes == 2**40 + 3


def test_a_span_counts_from_the_closing_time_in_force(tmp_path: Path) -> None:
    node = Node(*three())
    with lying_node(ELECTION, node.answers) as address, ElectionClient(address, known=tmp_path) as client:
        result = client.amend(AUTHORITY, Change("extend", later=90), wait=0)
        assert result.before.closes is not None
        assert result.amendment.closes == result.before.closes + 90
        node.waiting = 1  # perhaps another extension
        with pytest.raises(Rejected, match="another amendment waits"):
            client.amend(AUTHORITY, Change("extend", later=90), wait=0)


def test_what_is_in_a_block_is_not_final_without_a_certificate(tmp_path: Path) -> None:
    for honest, where in ((True, "in a block"), (False, "waits for its block")):
        taken = list[AmendmentResult]()
        with (
            lying_node(ELECTION, Node(honest=honest).answers) as address,
            ElectionClient(address, known=tmp_path) as client,
            pytest.raises(WaitTimedOut, match=where) as late,
        ):
            client.amend(AUTHORITY, Change("cancel"), wait=0.001, on_taken=taken.append)
        assert (late.value.code, [one.state for one in taken]) == ("not-final-yet", ["waiting"])


def test_an_amendment_that_its_node_dropped_is_not_waited_for(tmp_path: Path) -> None:
    with (
        lying_node(ELECTION, Node(drops=True).answers) as address,
        ElectionClient(address, known=tmp_path) as client,
        pytest.raises(Rejected, match="has dropped it") as refused,
    ):
        client.amend(AUTHORITY, Change("cancel"))
    assert refused.value.code == "bad-amendment"


def test_another_amendment_in_its_place_is_told(tmp_path: Path) -> None:
    node = Node()
    answers = node.answers

    def submit(question: dict[str, Any]) -> dict[str, Any]:
        node.shown = [amendment(ELECTION, "extend", closes=LATER)]
        return node.submit(question)

    with (
        lying_node(ELECTION, answers | {"submit_amendment": submit}) as address,
        ElectionClient(address, known=tmp_path) as client,
        pytest.raises(Rejected, match="another one with the number 1") as refused,
    ):
        client.amend(AUTHORITY, Change("cancel"))
    assert refused.value.code == "bad-amendment"


@pytest.mark.parametrize(
    ("election", "change", "by", "why"),
    [
        (ELECTION, Change("cancel"), key_of("a stranger"), "not signed by the authority"),
        (ELECTION, Change("extend", closes=5), AUTHORITY, "does not extend"),
        (ELECTION, Change("extend"), AUTHORITY, "needs closes"),
        (ELECTION, Change("extend", later=-1), AUTHORITY, "does not extend"),
        (amendable(closes=None), Change("extend", later=60), AUTHORITY, "no closing time to extend"),
        (ELECTION, Change("extend", closes=-1), AUTHORITY, "closes"),
        (ELECTION, Change("close", closes=LATER), AUTHORITY, "as early"),
        (ELECTION, Change("close", closes=5), AUTHORITY, "60 seconds"),
        (ELECTION, Change("cancel", reason="two\nlines"), AUTHORITY, "reason"),
        (ELECTION, Change("cancel", reason="x" * 2001), AUTHORITY, "reason"),
        (ELECTION, Change("add-voter", voter_id="dan", key="00" * 32, weight=1), AUTHORITY, "no roll|key"),
        (
            amendable("bo"),
            Change("replace-key", voter_id="bo", key=key_of("x").public_hex),
            AUTHORITY,
            "voted",
        ),
        (
            amendable("bo"),
            Change("add-voter", voter_id="dan", key=key_of("x").public_hex, weight=0),
            AUTHORITY,
            "weight",
        ),
        (amendable(closes=CLOSES), Change("extend", closes=LATER), AUTHORITY, "60 seconds"),
        (amendable(nodes=0), Change("cancel"), AUTHORITY, "without named nodes"),
        (amendable(authority_key=None), Change("cancel"), AUTHORITY, "no authority"),
    ],
)
def test_what_no_node_would_take_is_not_sent(
    tmp_path: Path, election: Election, change: Change, by: Any, why: str
) -> None:
    node = Node()
    with (
        lying_node(election, node.answers) as address,
        ElectionClient(address, known=tmp_path) as client,
        pytest.raises(Rejected, match=why) as refused,
    ):
        client.amend(by, change)
    assert (refused.value.code, node.handed) == ("bad-amendment", [])
