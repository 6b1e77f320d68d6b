"""The answer type of a batch check; the checks themselves are tested in test_pow.py over every kernel."""

from __future__ import annotations

import pytest

from votenet.pow.headers import HeaderCheck, HeaderFault


def test_counts_and_hashes() -> None:
    check = HeaderCheck(b"a" * 32 + b"b" * 32, HeaderFault.WORK)
    assert not check.ok
    assert check.good == 2
    assert check.hash_at(0) == check.hash_at(-2) == b"a" * 32
    assert check.hash_at(1) == check.hash_at(-1) == b"b" * 32
    for index in (2, -3):
        with pytest.raises(IndexError):
            check.hash_at(index)


def test_all_hold() -> None:
    assert HeaderCheck(b"", None).ok
    assert HeaderCheck(b"", None).good == 0
