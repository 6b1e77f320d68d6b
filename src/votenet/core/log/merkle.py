"""Merkle trees as in Certificate Transparency (RFC 6962, section 2.1): roots and audit paths.

Leaves are hashed with prefix 0x00 and inner nodes with 0x01, so that no leaf can be taken for a
node. The tree of n leaves splits at the largest power of two below n; pairing neighbours level by
level and carrying an odd last node up unchanged builds the same tree without recursion.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Final

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""Root of a tree without leaves."""
FEW: Final = 8
"""So many leaves are done in Python as fast as C is called."""


def leaf_hash(record: bytes) -> bytes:
    """SHA-256(0x00 || record); 32 bytes."""
    return hashlib.sha256(b"\x00" + record).digest()


def leaf_hashes(records: Sequence[bytes]) -> list[bytes]:
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + record).digest() for record in records]


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right); 32 bytes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _level_above(level: Sequence[bytes]) -> list[bytes]:
    sha256 = hashlib.sha256
    pairs = zip(level[::2], level[1::2], strict=False)  # an odd last one has no neighbour
    above = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
    if len(level) % 2:
        above.append(level[-1])
    return above


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Root over leaf hashes (32 bytes each) in their order."""
    if not leaves:
        return EMPTY_ROOT
    native = _native_root() if len(leaves) > FEW else None
    return (native and native(leaves)) or _root(leaves)


def _root(leaves: Sequence[bytes]) -> bytes:
    level = list(leaves)
    while len(level) > 1:
        level = _level_above(level)
    return level[0]


@cache
def _native_root() -> Callable[[Sequence[bytes]], bytes | None] | None:
    try:
        from votenet.core.native import merkle_root
    except ImportError:
        return None
    return merkle_root


def merkle_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of leaf `index`: sibling hashes from the leaf up.

    Raises:
        IndexError: there is no such leaf.
    """
    return path_in(tree_levels(leaves), index)


def tree_levels(leaves: Sequence[bytes]) -> list[Sequence[bytes]]:
    """All levels of a tree, its leaves first, its root last: for many paths in one tree."""
    levels = [leaves]
    while len(levels[-1]) > 1:
        levels.append(_level_above(levels[-1]))
    return levels


def path_in(levels: Sequence[Sequence[bytes]], index: int) -> list[bytes]:
    """`merkle_path` of leaf `index` out of `tree_levels`. Raises IndexError."""
    if not 0 <= index < len(levels[0]):
        raise IndexError(f"no leaf {index} in a tree of {len(levels[0])}")
    path = []
    for level in levels:
        if index ^ 1 < len(level):
            path.append(level[index ^ 1])
        index //= 2
    return path


GROUP_LEAVES: Final = 32
"""Leaves of a group in `MerkleLevels`: a power of two, so that each group is a subtree."""


class MerkleLevels:
    """The upper part of a tree: all levels from the roots of groups of GROUP_LEAVES leaves up.

    64 bytes for 32 leaves are kept. With them and the leaves of one group a path costs GROUP_LEAVES hashes,
    and leaves that do not belong to the tree are noticed.

    Args:
        groups: the leaf hashes, GROUP_LEAVES at a time; fewer in the last.
    """

    def __init__(self, groups: Iterable[Sequence[bytes]]) -> None:
        self.size = 0
        level = []
        for leaves in groups:
            if self.size % GROUP_LEAVES:
                raise ValueError("only the last group may be short")
            self.size += len(leaves)
            level.append(merkle_root(leaves))
        self._levels = [b"".join(level)]
        while len(level) > 1:
            level = _level_above(level)
            self._levels.append(b"".join(level))
        self.root = level[0] if level else EMPTY_ROOT

    @property
    def bytes_kept(self) -> int:
        return sum(map(len, self._levels))

    def path(self, index: int, leaves: Sequence[bytes]) -> list[bytes]:
        """The audit path of leaf `index`; `leaves` are those of its group.

        Raises:
            IndexError: there is no such leaf.
            ValueError: the leaves are not those of the tree.
        """
        if not 0 <= index < self.size:
            raise IndexError(f"no leaf {index} in a tree of {self.size}")
        group, own = divmod(index, GROUP_LEAVES)
        if merkle_root(leaves) != self._levels[0][32 * group : 32 * group + 32] or own >= len(leaves):
            raise ValueError("these leaves are not those of the tree")
        path = merkle_path(leaves, own)
        for level in self._levels:
            sibling = level[32 * (group ^ 1) : 32 * (group ^ 1) + 32]
            path += [sibling] if sibling else []
            group //= 2
        return path


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that `path` leads to from leaf `index` of a tree of `size`; None if it cannot fit."""
    if not 0 <= index < size or len(leaf) != 32:
        return None
    steps = iter(path)
    current = leaf
    while size > 1:
        if index ^ 1 < size:
            sibling = next(steps, None)
            if sibling is None:
                return None
            current = node_hash(sibling, current) if index % 2 else node_hash(current, sibling)
        index //= 2
        size = (size + 1) // 2
    return current if next(steps, None) is None else None


def _sibling_ranges(index: int, width: int, size: int) -> list[tuple[int, int]]:
    """The siblings on the way up from subtree `index` of those of `width` leaves, in a tree of `size`."""
    ranges = []
    while width < size:
        start = (index ^ 1) * width
        if start < size:
            ranges.append((start, min(start + width, size)))
        index //= 2
        width *= 2
    return ranges


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """The ranges of leaves whose roots are the path of leaf `index`, from the leaf up (RFC 9162, 2.1.3.1).

    Raises:
        IndexError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise IndexError(f"no leaf {index} in a tree of {size}")
    return _sibling_ranges(index, 1, size)


def consistency_ranges(old: int, new: int) -> list[tuple[int, int]]:
    """The ranges of leaves whose roots prove that a tree of `new` leaves extends that of its first `old`.

    The first is the seed: the largest whole subtree that ends where the old tree ends. RFC 9162 (2.1.4.1)
    leaves it out where it is the old tree, whose root the verifier has.
    Empty for equal sizes and for old = 0.

    Raises:
        IndexError: the new tree is smaller.
    """
    if not 0 <= old <= new:
        raise IndexError(f"a tree of {new} leaves does not extend one of {old}")
    if old in (0, new):
        return []
    width = old & -old
    return [(old - width, old), *_sibling_ranges((old - 1) // width, width, new)]


def roots_from_consistency(old: int, new: int, nodes: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The roots of the trees of `old` and of `new` leaves that `nodes` lead to; None if they cannot fit.

    `nodes` are the roots of `consistency_ranges`, the seed included. The new root commits to each of them:
    a key that signed it and another old root has signed a contradiction. The old root commits only to some:
    nodes that lead to it, and to another new root, prove nothing.
    """
    if not 0 < old < new or not nodes:
        return None
    width = old & -old
    index, last = (old - 1) // width, (new - 1) // width
    old_root = new_root = nodes[0]
    steps = iter(nodes[1:])
    while last:
        if index ^ 1 <= last:
            sibling = next(steps, None)
            if sibling is None:
                return None
            if index % 2:
                old_root = node_hash(sibling, old_root)
                new_root = node_hash(sibling, new_root)
            else:
                new_root = node_hash(new_root, sibling)
        index //= 2
        last //= 2
    return (old_root, new_root) if next(steps, None) is None else None


def consistency_holds(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether `path` proves that the tree of `new` leaves extends that of `old` >= 1 (RFC 9162, 2.1.4.2)."""
    if old == new > 0:
        return old_root == new_root and not path
    seed = [old_root] if old & (old - 1) == 0 else []
    return roots_from_consistency(old, new, [*seed, *path]) == (old_root, new_root)
