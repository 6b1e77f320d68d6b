"""The path of a vote through a Merkle tree: its steps, and a picture of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

from votenet.core.log.merkle import node_hash
from votenet.web.words import Words

TREE_WIDTH: Final = 560
LEVEL_HEIGHT: Final = 84
BOX: Final = (200, 40)
LEFT, RIGHT = 140, 420
"""Middles of the two boxes of a row."""
DIGITS: Final = 12
"""Digits of a hash that the picture shows."""


class PathStep(NamedTuple):
    """One level: `current` comes from below, `sibling` beside it is in the proof."""

    current: bytes
    sibling: bytes
    sibling_is_left: bool


def path_steps(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> list[PathStep]:
    """The levels from leaf `index` of a tree of `size` up to below its root.

    A level at which the node has no neighbour is left out: the node is carried up as it is.
    """
    found, left = [], list(reversed(path))
    while size > 1 and left:
        if index ^ 1 < size:
            step = PathStep(leaf, left.pop(), index % 2 == 1)
            found.append(step)
            leaf = parent_of(step)
        index //= 2
        size = (size + 1) // 2
    return found


def parent_of(step: PathStep) -> bytes:
    if step.sibling_is_left:
        return node_hash(step.sibling, step.current)
    return node_hash(step.current, step.sibling)


def tree_picture(words: Words, leaf: bytes, steps: Sequence[PathStep]) -> Markup:
    """The root on top, and a row of two boxes for each level; the way of the vote is marked."""
    root = parent_of(steps[-1]) if steps else leaf
    parts = [_box(TREE_WIDTH // 2, 0, root, on_path=True)]
    parts.append(_label(TREE_WIDTH // 2, -8, words.t("tree.root")))
    above = TREE_WIDTH // 2
    for row, step in enumerate(reversed(steps), start=1):
        own, other = (RIGHT, LEFT) if step.sibling_is_left else (LEFT, RIGHT)
        parts += _lines(above, own, other, row)
        parts.append(_box(own, row * LEVEL_HEIGHT, step.current, on_path=True))
        parts.append(_box(other, row * LEVEL_HEIGHT, step.sibling, on_path=False))
        above = own
    parts.append(_label(above, len(steps) * LEVEL_HEIGHT + BOX[1] + 18, words.t("tree.vote")))
    height = len(steps) * LEVEL_HEIGHT + BOX[1] + 52
    return Markup('<svg class="tree" viewBox="0 -24 {} {}" role="img" aria-label="{}">{}</svg>').format(
        TREE_WIDTH, height, words.t("tree.label", count=len(steps)), Markup("").join(parts)
    )


def _lines(above: int, own: int, other: int, row: int) -> Iterator[Markup]:
    line = Markup('<line{} x1="{}" y1="{}" x2="{}" y2="{}"/>')
    top, bottom = (row - 1) * LEVEL_HEIGHT + BOX[1], row * LEVEL_HEIGHT
    yield line.format("", above, top, other, bottom)
    yield line.format(Markup(' class="on-path"'), above, top, own, bottom)


def _box(middle: int, top: int, value: bytes, *, on_path: bool) -> Markup:
    kind = Markup(' class="node-on-path"') if on_path else ""
    return Markup(
        '<rect{} x="{}" y="{}" width="{}" height="{}" rx="6"/>'
        '<text class="tree-hash" x="{}" y="{}">{}…</text>'
    ).format(kind, middle - BOX[0] // 2, top, *BOX, middle, top + 26, value.hex()[:DIGITS])


def _label(middle: int, bottom: int, text: Markup) -> Markup:
    return Markup('<text x="{}" y="{}">{}</text>').format(middle, bottom, text)
