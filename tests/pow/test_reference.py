"""The Python reference against published facts; test_pow.py holds it against every other kernel."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from votenet.pow import bits_to_target
from votenet.pow.reference import search, sha256d

VECTORS = Path(__file__).parents[1] / "vectors"
HEADERS = json.loads((VECTORS / "bitcoin_headers.json").read_text(encoding="utf-8"))["headers"]


def test_sha256d_of_nothing() -> None:
    assert sha256d(b"").hex() == "5df6e0e2761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456"


@pytest.mark.parametrize("vector", HEADERS, ids=lambda v: str(v["height"]))
def test_hashes_of_bitcoin_headers(vector: dict[str, str]) -> None:
    assert sha256d(bytes.fromhex(vector["header"]))[::-1].hex() == vector["hash"]


def test_the_first_of_several_solutions() -> None:
    header = bytes(80)
    hashes = [
        hashlib.sha256(hashlib.sha256(header[:76] + n.to_bytes(4, "little")).digest()).digest()
        for n in range(64)
    ]
    target = sorted(int.from_bytes(h, "little") for h in hashes)[3]
    good = [n for n, h in enumerate(hashes) if int.from_bytes(h, "little") <= target]
    assert len(good) == 4
    assert search(header, target, 0, 64) == good[0]
    assert search(header, target, good[0] + 1, 64) == good[1]
    assert search(header, target, good[0] + 1, good[1] - good[0] - 1) is None


def test_genesis_is_found() -> None:
    header = bytes.fromhex(HEADERS[0]["header"])
    nonce = HEADERS[0]["nonce"]
    assert search(header, bits_to_target(0x1D00FFFF), nonce - 100, 200) == nonce
