"""The path of a vote: the same steps as those of the core's check."""

from __future__ import annotations

import hashlib
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from votenet.core.log.merkle import merkle_path, merkle_root
from votenet.web.pages.tree_picture import parent_of, path_steps, tree_picture
from votenet.web.words import Words


@given(st.integers(1, 40), st.data())
def test_the_steps_lead_to_the_root(size: int, data: st.DataObject) -> None:
    leaves = [hashlib.sha256(bytes([number])).digest() for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    path = merkle_path(leaves, index)
    steps = path_steps(leaves[index], index, size, path)
    assert [step.sibling for step in steps] == list(path)
    assert (parent_of(steps[-1]) if steps else leaves[index]) == merkle_root(leaves)


def test_the_picture_has_two_boxes_for_each_level_and_the_root() -> None:
    leaves = [hashlib.sha256(bytes([number])).digest() for number in range(5)]
    steps = path_steps(leaves[2], 2, 5, merkle_path(leaves, 2))
    drawn = ElementTree.fromstring(tree_picture(Words("en"), leaves[2], steps))
    boxes = [box.get("class") for box in drawn.iter("rect")]
    assert boxes.count("node-on-path") == 1 + len(steps)
    assert len(boxes) == 1 + 2 * len(steps)
    texts = [text.text for text in drawn.iter("text")]
    assert f"{merkle_root(leaves).hex()[:12]}…" in texts
    assert {"root", "this vote"} <= set(texts)


def test_a_vote_alone_in_its_block_is_the_root() -> None:
    leaf = hashlib.sha256(b"one").digest()
    assert path_steps(leaf, 0, 1, ()) == []
    assert "1 step" not in tree_picture(Words("en"), leaf, [])
