"""Merkle trees as in Certificate Transparency (RFC 6962, section 2.1).

What lives here: leaf and node hashes, roots, audit paths. What must not: what the leaves mean.

Leaves are hashed with prefix 0x00 and inner nodes with 0x01, so that no leaf can be taken for a
node. The tree of n leaves splits at the largest power of two below n; pairing neighbours level by
level and carrying an odd last node up unchanged builds the same tree without recursion.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""Root of a tree without leaves."""


def leaf_hash(record: bytes) -> bytes:
    """SHA-256(0x00 || record); 32 bytes."""
    return hashlib.sha256(b"\x00" + record).digest()


def leaf_hashes(records: Sequence[bytes]) -> list[bytes]:
    """`leaf_hash` of each."""
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + record).digest() for record in records]


def _node_hash(left: bytes, right: bytes) -> bytes:
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
    level = list(leaves)
    while len(level) > 1:
        level = _level_above(level)
    return level[0]


def merkle_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of leaf `index`: sibling hashes from the leaf up.

    Raises:
        IndexError: there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"no leaf {index} in a tree of {len(leaves)}")
    path: list[bytes] = []
    level = list(leaves)
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        level = _level_above(level)
        index //= 2
    return path


GROUP: Final = 32
"""Leaves of a group in `MerkleLevels`: a power of two, so that each group is a subtree."""


class MerkleLevels:
    """The upper part of a tree: all levels from the roots of groups of GROUP leaves up.

    64 bytes for 32 leaves are kept. With them and the leaves of one group a path costs GROUP hashes, and
    other leaves than those that the tree was made of are found out.

    Args:
        groups: the leaf hashes, GROUP at a time; fewer in the last.
    """

    def __init__(self, groups: Iterable[Sequence[bytes]]) -> None:
        self.size = 0
        level = []
        for leaves in groups:
            if self.size % GROUP:
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
        place, own = divmod(index, GROUP)
        if merkle_root(leaves) != self._levels[0][32 * place : 32 * place + 32] or own >= len(leaves):
            raise ValueError("these leaves are not those of the tree")
        path = merkle_path(leaves, own)
        for level in self._levels:
            sibling = level[32 * (place ^ 1) : 32 * (place ^ 1) + 32]
            path += [sibling] if sibling else []
            place //= 2
        return path


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that `path` leads to from leaf `index` of a tree of `size`; None if it cannot fit."""
    if not 0 <= index < size:
        return None
    steps = iter(path)
    current = leaf
    while size > 1:
        if index ^ 1 < size:
            sibling = next(steps, None)
            if sibling is None:
                return None
            current = _node_hash(sibling, current) if index % 2 else _node_hash(current, sibling)
        index //= 2
        size = (size + 1) // 2
    return current if next(steps, None) is None else None
