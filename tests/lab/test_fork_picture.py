"""The picture of a fork: which branch is which, and an SVG that holds what was recorded."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from votenet.lab.chaos_plan import Step, StepKind
from votenet.lab.chaos_recorder import Recording, SeenBlock, Stand
from votenet.lab.chaos_run import ChaosResult, StepResult
from votenet.lab.fork_picture import branches_of, fork_picture
from votenet.protocol.wire.client_messages import Switch

COMMITTED = Path(__file__).parents[2] / "docs" / "pictures" / "fork.svg"
PARTITION = Step(StepKind.PARTITION, groups=(("node-2",), ("node-1",)))
SWITCH = Switch(time=0.0, fork=1, removed=1, added=2, old="x", new="c", votes=7)


def recorded() -> Recording:
    """node-2 finds x while node-1 finds b and c; then it follows node-1."""
    found = Recording()
    found.blocks = {
        "a": SeenBlock(0.0, 1, "genesis", "node-1"),
        "x": SeenBlock(2.0, 2, "a", "node-2"),
        "b": SeenBlock(2.1, 2, "a", "node-1"),
        "c": SeenBlock(3.0, 3, "b", "node-1"),
    }
    found.stands = {
        "node-1": [Stand(0.1, "a"), Stand(2.1, "b"), Stand(3.0, "c")],
        "node-2": [Stand(0.1, "a"), Stand(2.0, "x"), Stand(4.5, "c"), Stand(6.0, None)],
    }
    found.switches = {"node-2": [(4.5, SWITCH)]}
    return found


def outcome(recording: Recording) -> ChaosResult:
    steps = [
        StepResult(1.0, PARTITION, 0.1, None),
        StepResult(4.0, Step(StepKind.HEAL), 0.1, 0.5),
        StepResult(5.0, Step(StepKind.KILL, ("node-1",)), 0.1, 0.5),
    ]
    return ChaosResult(1, 2, steps, seconds=6.0, options=("--no-named-nodes",), recording=recording)


def drawn(recording: Recording) -> ElementTree.Element:
    return ElementTree.fromstring(fork_picture(outcome(recording)))


def texts(svg: ElementTree.Element) -> list[str]:
    return [one.text or "" for one in svg.iter("{http://www.w3.org/2000/svg}text")]


def test_the_branch_on_which_nodes_end_is_the_one_that_stayed() -> None:
    assert branches_of(recorded()) == {"a": 0, "b": 0, "c": 0, "x": 1}
    assert branches_of(Recording()) == {}


def test_each_branch_that_is_given_up_has_its_own_number_and_its_children_share_it() -> None:
    found = recorded()
    found.blocks |= {"y": SeenBlock(2.5, 3, "x", ""), "z": SeenBlock(2.6, 3, "b", "")}
    assert branches_of(found) == {"a": 0, "b": 0, "c": 0, "x": 1, "y": 1, "z": 2}


def test_the_picture_shows_nodes_blocks_partition_and_the_reorganisation() -> None:
    svg = drawn(recorded())
    said = texts(svg)
    assert "2 nodes, none of them named: the branch that each stands on" in said
    assert said.index("node-2") < said.index("node-1"), "sides of the partition stand beside each other"
    assert {"partition", "healed", "2", "3", "−1 +2 blocks, 7 votes wait again"} <= set(said)
    assert {"the branch that stayed", "a branch that was given up", "a reorganisation"} <= set(said)
    kinds = {one.get("class") for one in svg.iter()}
    assert {"band", "cut", "stand", "dot", "turn", "kill"} <= kinds


def test_blocks_that_come_faster_than_they_can_be_drawn_are_one() -> None:
    found = recorded()
    found.stands["node-1"] = [Stand(0.1, "a"), Stand(2.1, "b"), Stand(2.11, "c")]
    circles = [one for one in drawn(found).iter("{http://www.w3.org/2000/svg}circle") if one.get("r") == "10"]
    assert len(circles) == 2, "c at node-1, and x at node-2, whose c is a reorganisation"


def test_a_run_in_which_no_node_answered_is_drawn_without_lines() -> None:
    assert texts(drawn(Recording()))[0].startswith("2 nodes")


def test_names_are_text_and_the_drawing_follows_the_screen() -> None:
    found = Recording()
    found.stands = {"<b>&": [Stand(0.0, None)]}
    picture = fork_picture(outcome(found))
    assert "&lt;b&gt;&amp;" in picture
    assert "prefers-color-scheme: dark" in picture


def test_the_picture_in_the_documents_is_of_a_run_with_a_fork_that_healed() -> None:
    svg = ElementTree.parse(COMMITTED).getroot()
    said = texts(svg)
    assert {"partition", "healed", "a branch that was given up"} <= set(said)
    assert any(re.fullmatch(r"−\d+ \+\d+ blocks(, \d+ votes? waits? again)?", one) for one in said)
