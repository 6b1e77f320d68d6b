"""A receipt proves one vote offline, or its fault is named."""

from __future__ import annotations

import json

import pytest

from support.archives import NOW, election, good_blocks, good_receipt, tampered_receipts
from support.elections import make_election
from votenet.core.records.receipt import ReceiptReport, check_receipt, decode_receipt, encode_receipt
from votenet.errors import NotProven
from votenet.pow import work_of


def check(data: bytes, trusted: str | None = None, now: int = NOW) -> ReceiptReport:
    return check_receipt(decode_receipt(data), now, trusted)


@pytest.mark.parametrize("height", [1, 3, 4, 14])
def test_the_receipt_of_every_vote_of_a_block_holds(height: int) -> None:
    block = good_blocks()[height - 1]
    for index, hashed in enumerate(block.votes):
        report = check(good_receipt(height, index), election().network_hex)
        assert (report.voter_id, report.choices) == (hashed.voter_id, hashed.vote.choices)
        chain = report.chain
        assert chain is not None
        assert (chain.height, chain.position, chain.block) == (height, index, block.header.hash.hex())
        assert chain.work == sum(work_of(block.header.bits) for block in good_blocks()[:height])


def test_a_receipt_survives_its_file() -> None:
    assert encode_receipt(decode_receipt(good_receipt())) == good_receipt()
    assert json.loads(good_receipt())["format"] == "votenet-receipt"


@pytest.mark.parametrize("name", tampered_receipts())
def test_a_tampered_receipt_is_refused_with_the_right_reason(name: str) -> None:
    code, data = tampered_receipts()[name]
    with pytest.raises(NotProven) as caught:
        check(data)
    assert caught.value.code == code


def test_a_receipt_of_another_network_than_trusted_is_refused() -> None:
    with pytest.raises(NotProven) as caught:
        check(good_receipt(), make_election().network_hex)
    assert caught.value.code == "network-mismatch"


def test_headers_from_the_future_prove_nothing() -> None:
    with pytest.raises(NotProven) as caught:
        check(good_receipt(), now=0)
    assert caught.value.code == "bad-time"
