"""Merkle trees against Certificate Transparency's known values and RFC 6962's own recursion."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.checkpoints import consistency_path
from votenet.core.log import merkle
from votenet.core.log.merkle import (
    EMPTY_ROOT,
    GROUP_LEAVES,
    MerkleLevels,
    consistency_holds,
    consistency_ranges,
    inclusion_ranges,
    leaf_hash,
    merkle_path,
    merkle_root,
    root_from_path,
    roots_from_consistency,
)

# Inputs, roots of the first n, and some paths: the test vectors of the CT reference implementation
# (google/certificate-transparency, merkle tree tests).
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATHS = {
    # (leaf, size): siblings from the leaf up
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
LEAVES = [leaf_hash(data) for data in INPUTS]


@pytest.fixture(params=["by the C core", "by hashlib"], autouse=True)
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merkle, "FEW", 0)
    if request.param == "by hashlib":
        monkeypatch.setattr(merkle, "_native_root", lambda: None)


def test_known_roots() -> None:
    assert [merkle_root(LEAVES[:size]).hex() for size in range(9)] == ROOTS


def test_known_paths() -> None:
    for (leaf, size), known in PATHS.items():
        assert [step.hex() for step in merkle_path(LEAVES[:size], leaf)] == known


def test_a_leaf_is_not_taken_for_a_node() -> None:
    # The classic attack: two leaves' hashes side by side, given as one record.
    left, right = LEAVES[:2]
    assert leaf_hash(left + right) != merkle_root([left, right])
    assert merkle_root([]) == EMPTY_ROOT


def rfc6962_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, as it is written there: over the leaf hashes."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + rfc6962_root(leaves[:split]) + rfc6962_root(leaves[split:])).digest()


def rfc6962_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*rfc6962_path(index, leaves[:split]), rfc6962_root(leaves[split:])]
    return [*rfc6962_path(index - split, leaves[split:]), rfc6962_root(leaves[:split])]


def leaves_of(size: int) -> list[bytes]:
    return [leaf_hash(b"%d" % n) for n in range(size)]


def test_every_small_tree_is_the_rfcs() -> None:
    for size in range(1, 35):
        leaves = leaves_of(size)
        assert merkle_root(leaves) == rfc6962_root(leaves)
        for index in range(size):
            path = merkle_path(leaves, index)
            assert path == rfc6962_path(index, leaves)
            assert root_from_path(leaves[index], index, size, path) == merkle_root(leaves)


places = st.integers(1, 300).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1)))


@given(places, st.data())
@settings(max_examples=60)
def test_any_change_breaks_a_path(place: tuple[int, int], data: st.DataObject) -> None:
    size, index = place
    leaves = leaves_of(size)
    root, path, leaf = merkle_root(leaves), merkle_path(leaves, index), leaves[index]
    assert root_from_path(leaf, index, size, path) == root

    assert root_from_path(leaf_hash(leaf), index, size, path) != root
    assert root_from_path(leaf, index, size, [*path, leaf]) is None
    if path:
        step = data.draw(st.integers(0, len(path) - 1))
        changed = [*path[:step], leaf_hash(path[step]), *path[step + 1 :]]
        assert root_from_path(leaf, index, size, changed) != root
        assert root_from_path(leaf, index, size, path[:-1]) is None
        other = data.draw(st.integers(0, size - 1).filter(lambda n: n != index))
        assert root_from_path(leaf, other, size, path) != root


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0), (4, 3)])
def test_a_leaf_outside_the_tree(index: int, size: int) -> None:
    with pytest.raises(IndexError):
        merkle_path(leaves_of(size), index)
    assert root_from_path(leaf_hash(b""), index, size, []) is None


@given(st.integers(2, 40), st.data())
@settings(max_examples=40)
def test_the_root_covers_every_leaf_and_their_order(size: int, data: st.DataObject) -> None:
    leaves = leaves_of(size)
    root = merkle_root(leaves)
    one = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda n: n != one))
    swapped = list(leaves)
    swapped[one], swapped[other] = swapped[other], swapped[one]
    without = [*leaves[:one], *leaves[one + 1 :]]
    twice = [*leaves, leaves[-1]]  # the tree of bitcoin would not notice: CVE-2012-2459
    assert root not in (merkle_root(swapped), merkle_root(without), merkle_root(twice))


# -- levels that are kept ----------------------------------------------------------------------------


def groups_of(leaves: list[bytes]) -> list[list[bytes]]:
    return [leaves[start : start + GROUP_LEAVES] for start in range(0, len(leaves), GROUP_LEAVES)]


@settings(max_examples=40)
@given(size=st.integers(1, 700))
def test_paths_from_kept_levels_are_those_of_the_whole_tree(size: int) -> None:
    leaves = [leaf_hash(n.to_bytes(4, "big")) for n in range(size)]
    groups = groups_of(leaves)
    levels = MerkleLevels(groups)
    assert (levels.size, levels.root) == (size, merkle_root(leaves))
    for index in {0, size // 3, size // 2, size - 1}:
        assert levels.path(index, groups[index // GROUP_LEAVES]) == merkle_path(leaves, index)


def test_kept_levels_are_small_and_find_out_other_leaves() -> None:
    leaves = [leaf_hash(n.to_bytes(4, "big")) for n in range(20_000)]
    groups = groups_of(leaves)
    levels = MerkleLevels(groups)
    assert levels.bytes_kept <= 2.1 * len(leaves)
    changed = [leaf_hash(b"other"), *groups[3][1:]]
    for wrong in (changed, groups[4], groups[3][:-1], []):
        with pytest.raises(ValueError, match="not those of the tree"):
            levels.path(3 * GROUP_LEAVES, wrong)
    for index in (-1, 20_000):
        with pytest.raises(IndexError):
            levels.path(index, groups[0])


def test_kept_levels_of_nothing_and_of_a_short_group_in_the_middle() -> None:
    assert (MerkleLevels([]).root, MerkleLevels([]).size) == (EMPTY_ROOT, 0)
    with pytest.raises(ValueError, match="last group"):
        MerkleLevels([LEAVES[:3], LEAVES])


# -- consistency of two sizes --------------------------------------------------------------------------

PROOFS = json.loads((Path(__file__).parents[2] / "vectors" / "merkle_proofs.json").read_text())
"""Test data of transparency-dev/merkle (Apache-2.0): right proofs, and each of them damaged in many ways."""


def hashes(texts: list[str]) -> list[bytes]:
    return [b64decode(text) for text in texts]


def test_consistency_proofs_from_outside() -> None:
    for case in PROOFS["consistency"]:
        old_root, new_root = b64decode(case["root1"]), b64decode(case["root2"])
        holds = consistency_holds(case["size1"], case["size2"], old_root, new_root, hashes(case["proof"]))
        assert holds is not case["wantErr"], case["name"]


def test_inclusion_proofs_from_outside() -> None:
    for case in PROOFS["inclusion"]:
        root, leaf, path = b64decode(case["root"]), b64decode(case["leafHash"]), hashes(case["proof"])
        holds = root_from_path(leaf, case["leafIdx"], case["treeSize"], path) == root
        assert holds is not case["wantErr"], case["name"]


def rfc9162_subproof(old: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 9162, section 2.1.4.1, as it is written there: over the leaf hashes."""
    if old == len(leaves):
        return [] if whole else [rfc6962_root(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= split:
        return [*rfc9162_subproof(old, leaves[:split], whole), rfc6962_root(leaves[split:])]
    return [*rfc9162_subproof(old - split, leaves[split:], False), rfc6962_root(leaves[:split])]


def test_every_small_consistency_proof_is_the_rfcs() -> None:
    for size in range(1, 35):
        leaves = leaves_of(size)
        for old in range(1, size + 1):
            path = consistency_path(leaves, old)
            assert path == rfc9162_subproof(old, leaves, True)
            assert consistency_holds(old, size, merkle_root(leaves[:old]), merkle_root(leaves), path)


@given(st.integers(1, 400).flatmap(lambda new: st.tuples(st.just(new), st.integers(1, new))), st.data())
@settings(max_examples=60)
def test_any_change_breaks_a_consistency_proof(sizes: tuple[int, int], data: st.DataObject) -> None:
    new, old = sizes
    leaves = leaves_of(new)
    path = consistency_path(leaves, old)
    roots = merkle_root(leaves[:old]), merkle_root(leaves)
    assert consistency_holds(old, new, *roots, path)

    assert not consistency_holds(old, new, leaf_hash(roots[0]), roots[1], path)
    assert not consistency_holds(old, new, roots[0], leaf_hash(roots[1]), path)
    assert not consistency_holds(old, new, *roots, [*path, leaves[0]])
    if path:
        step = data.draw(st.integers(0, len(path) - 1))
        changed = [*path[:step], leaf_hash(path[step]), *path[step + 1 :]]
        assert not consistency_holds(old, new, *roots, changed)
        assert not consistency_holds(old, new, *roots, [*path[:step], *path[step + 1 :]])


@given(st.integers(2, 200).flatmap(lambda new: st.tuples(st.just(new), st.integers(1, new - 1))))
@settings(max_examples=60)
def test_nodes_that_lead_to_the_new_root_show_the_old_root_that_it_commits_to(sizes: tuple[int, int]) -> None:
    new, old = sizes
    leaves = leaves_of(new)
    nodes = [merkle_root(leaves[start:end]) for start, end in consistency_ranges(old, new)]
    assert roots_from_consistency(old, new, nodes) == (merkle_root(leaves[:old]), merkle_root(leaves))
    assert roots_from_consistency(old, new, nodes[:-1]) is None
    assert roots_from_consistency(old, new, [*nodes, nodes[0]]) is None


def test_ranges_are_what_a_path_covers() -> None:
    for size in range(1, 35):
        leaves = leaves_of(size)
        for index in range(size):
            roots = [merkle_root(leaves[start:end]) for start, end in inclusion_ranges(index, size)]
            assert roots == merkle_path(leaves, index)


def test_sizes_that_have_no_proof() -> None:
    assert consistency_ranges(0, 5) == consistency_ranges(5, 5) == []
    for old, new in ((-1, 3), (4, 3)):
        with pytest.raises(IndexError):
            consistency_ranges(old, new)
    with pytest.raises(IndexError):
        inclusion_ranges(3, 3)
    for old, new in ((0, 0), (0, 5), (-1, 3), (4, 3)):
        assert not consistency_holds(old, new, EMPTY_ROOT, EMPTY_ROOT, [])
        assert roots_from_consistency(old, new, [EMPTY_ROOT]) is None
    assert roots_from_consistency(1, 2, []) is None
