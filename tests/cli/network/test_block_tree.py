"""Trees of blocks as text."""

from __future__ import annotations

from collections.abc import Mapping

from votenet.cli.network.block_tree import tree_rows
from votenet.client.block_list import ShownBlock
from votenet.core.ledger.block import Header

NO_HEADER = Header(2, bytes(32), bytes(32), 0, 0, 0)


def block(name: str, parent: str, height: int, *, best: bool = True) -> ShownBlock:
    return ShownBlock(height, NO_HEADER, name, parent, 0, 1, best, False, None, ())


def drawn(parents: Mapping[str, str], best: str) -> list[str]:
    """The lines of a tree, each with the name of its block; heights follow from the parents."""
    heights: dict[str, int] = {}
    for name, parent in parents.items():
        heights[name] = heights.get(parent, -1) + 1
    shown = [block(name, parent, heights[name]) for name, parent in parents.items()]
    rows = tree_rows(shown, frozenset(best.split()))
    return [f"{row.lanes} {row.block.hash if row.block else ''}".rstrip() for row in rows]


def test_a_chain_is_a_straight_line() -> None:
    assert drawn({"a": "", "b": "a", "c": "b"}, "a b c") == ["● a", "● b", "● c"]


def test_a_branch_leaves_the_line_and_ends() -> None:
    tree = {"a": "", "b": "a", "c": "b", "x": "a", "y": "x", "d": "c"}
    assert drawn(tree, "a b c d") == [
        "● a",
        "├─╮",
        "│ ○ x",
        "● │ b",
        "│ ○ y",
        "● c",
        "● d",
    ]


def test_two_branches_of_one_block_and_one_of_a_branch() -> None:
    tree = {"a": "", "b": "a", "x": "a", "y": "a", "x1": "x", "x2": "x", "c": "b", "d": "c"}
    assert drawn(tree, "a b c d") == [
        "● a",
        "├─╮",
        "│ ○ x",
        "├─┼─╮",
        "│ │ ○ y",
        "● │ b",
        "│ ├─╮",
        "│ │ ○ x1",
        "│ ○ x2",
        "● c",
        "● d",
    ]


def test_a_branch_whose_fork_is_not_shown_stands_alone() -> None:
    tree = {"b": "a", "x": "gone", "c": "b"}
    assert drawn(tree, "b c") == ["  ○ x", "● b", "● c"]


def test_the_place_of_a_branch_that_has_ended_is_taken_by_the_next() -> None:
    tree = {"a": "", "b": "a", "x": "a", "c": "b", "y": "b"}
    assert drawn(tree, "a b c") == ["● a", "├─╮", "│ ○ x", "● b", "├─╮", "│ ○ y", "● c"]
