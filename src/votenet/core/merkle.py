"""Merkle trees as in Certificate Transparency (RFC 6962, section 2.1).

What lives here: leaf and node hashes, roots, audit paths. What must not: what the leaves mean.

Leaves are hashed with prefix 0x00 and inner nodes with 0x01, so that no leaf can be taken for a
node. The tree of n leaves splits at the largest power of two below n; pairing neighbours level by
level and carrying an odd last node up unchanged builds the same tree without recursion.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
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
