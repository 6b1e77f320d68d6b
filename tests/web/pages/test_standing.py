"""State, turnout, hours, signatures and changes in words."""

from __future__ import annotations

import re
from dataclasses import replace

import msgspec
import pytest

from support.elections import make_election
from support.web_pages import results_of, secret_snapshot, shown
from votenet.web.pages import standing
from votenet.web.snapshot import Snapshot
from votenet.web.words import Words

EN = Words("en", "Europe/Berlin")


def plain(text: str) -> str:
    return re.sub("<[^>]*>", "", text)


@pytest.mark.parametrize(
    ("state", "title", "line"),
    [
        ("before", "Voting has not begun", "It opens on Tuesday, 14 November 2023, "),
        ("open", "Voting is open", "It closes on Tuesday, 14 November 2023, 23:40"),
        ("closed", "Voting has ended", "the result is not final yet."),
        ("final", "Final, signed by 4 of 5", "node 0, node 1, node 2 and node 3"),
        ("cancelled", "This election was cancelled", "cancelled it on Tuesday, 14 November 2023, 23:13:30"),
        ("cancelled", "This election was cancelled", "Nothing is counted. Reason: The hall burned down."),
    ],
)
def test_states(state: str, title: str, line: str) -> None:
    found = standing.standing(EN, shown(state))
    assert found.title == title
    assert line in plain(" ".join(found.lines))


def test_counts_that_are_not_shown_say_why() -> None:
    assert standing.standing(EN, shown("open")).hidden == ""
    assert "only after closing, on" in standing.standing(EN, shown("hidden")).hidden
    ended = standing.standing(EN, replace(shown("hidden"), state="closed")).hidden
    assert "counts are shown once the nodes named in this election have closed the poll" in ended
    assert "on <time" not in ended, "the closing time has passed"
    assert (
        standing.standing(EN, shown("cancelled")).hidden == "The election was cancelled: nothing is counted."
    )


def test_secret_counts_say_how_many_trustees_they_wait_for() -> None:
    assert "Votes are encrypted." in standing.standing(EN, secret_snapshot("open")).hidden
    found = standing.standing(EN, secret_snapshot("final"))
    assert found.hidden.endswith("The count waits for 2 of 3 trustees to decrypt it.")
    assert "The votes were signed by" in plain(" ".join(found.lines))
    one = standing.standing(EN, secret_snapshot("final", (3,)))
    assert plain(one.hidden).endswith("waits for 1 of 3 trustees to decrypt it. Trustee 3 did so already.")
    indonesian = standing.standing(Words("id", "Asia/Jakarta"), secret_snapshot("final", (3,)))
    assert "1 dari 3 pemegang kunci. Sudah dibuka oleh Trustee 3." in plain(indonesian.hidden)


def test_members_see_who_the_trustees_are() -> None:
    labels = {str(label): plain(text) for label, text in standing.hours(EN, secret_snapshot().election)}
    assert labels["Trustees"].startswith("Trustee 1, Trustee 2 and Trustee 3. 2 of them together decrypt")
    assert "Trustees" not in {str(label) for label, _ in standing.hours(EN, shown("open").election)}


def test_old_news_say_so() -> None:
    old = replace(shown("open"), stale=90)
    assert "No node has answered for 1 minute" in " ".join(standing.standing(EN, old).lines)


def test_without_named_nodes_nothing_is_final() -> None:
    election = make_election(opens=1_700_000_000, closes=1_700_000_600)
    snapshot = Snapshot(election, "closed", results_of(election), (), 1_700_000_700)
    assert "never final" in " ".join(standing.standing(EN, snapshot).lines)
    assert standing.signatures(EN, snapshot).nodes == ()


def test_turnout() -> None:
    assert plain(standing.turnout(EN, shown("open")).text) == "35 of 41 have voted (85.4%)"
    snapshot = shown("open")
    one = replace(snapshot, results=msgspec.structs.replace(snapshot.results, registered=None, votes=1))
    assert plain(standing.turnout(EN, one).text) == "1 vote so far"


def test_hours_and_changes() -> None:
    facts = {str(label): plain(text) for label, text in standing.hours(EN, shown("open").election)}
    assert "Before a change" in facts["Closes"]
    assert facts["Who may vote"].startswith("41 members on the roll")
    changes = [plain(change) for change, _ in standing.amendments(EN, shown("open").election)]
    assert changes[0] == "0041 was added to the roll with weight 2."
    assert changes[1] == "0039 got a new key."
    assert changes[2].startswith("Voting was extended to ")


def test_who_signed() -> None:
    found = standing.signatures(EN, shown("final"))
    assert [node.signed for node in found.nodes] == [True] * 4 + [False]
    assert standing.signatures(EN, shown("closed")).text.startswith(
        "1 of 5 nodes have signed. The newest votes"
    )
    assert standing.signatures(EN, shown("before")).text.startswith("No node has signed yet.")
