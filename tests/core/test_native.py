"""Votes in C: the same answers as one signature at a time, what it refuses, and that other threads run."""

from __future__ import annotations

import threading
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.elections import key_of, make_election, make_votes
from votenet.core.encoding import DOMAIN_VOTE, canonical
from votenet.core.keys import verify
from votenet.core.ledger.vote import Vote, _claim, hash_vote, signatures_hold
from votenet.core.log.merkle import _root
from votenet.pow import available_kernels

native = pytest.importorskip("votenet.core.native", reason="the C core is not built")

VOTES = make_votes(make_election(), 40)
SMALL_ORDER = (
    "00" * 32,
    "01" + "00" * 31,
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
)
FORGED = "58" + "66" * 31 + "01" + "00" * 31
"""The base point, and one: it fits every key of small order."""


def test_c_refuses_arguments_that_python_never_sends() -> None:
    ffi, verify_records = native.ffi, native.lib.votenet_verify_records
    record = VOTES[0].record
    size, packed, domain = len(record), record * 2, DOMAIN_VOTE
    need = 2 * (64 + len(domain) + size)
    good, scratch = ffi.new("uint8_t[2]", b"\x07\x07"), ffi.new("uint8_t[]", need)
    head = [native.VERIFIER, domain, len(domain), packed]
    for ends in ([size, size - 1], [2 * size + 1, size], [size, 2 * size + 1], [2**64 - 1, size]):
        assert verify_records(*head, ffi.new("uint64_t[]", ends), 2, scratch, need, good) == -1
        assert bytes(good) == bytes(2)
    right = [*head, ffi.new("uint64_t[]", [size, 2 * size]), 2, scratch, need, good]
    assert verify_records(*right) == 2
    assert bytes(good) == b"\x01\x01"
    assert verify_records(*right[:7], need - 2, good) == -1
    for place in (0, 1, 3, 4, 6, 8):
        assert verify_records(*right[:place], ffi.NULL, *right[place + 1 :]) == -1


def test_records_hold_where_the_reference_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a third the signature is another's, of another third it is no hexadecimal, or in capitals."""
    votes = list(VOTES)
    for n in range(0, 40, 3):
        votes[n] = hash_vote(msgspec.structs.replace(votes[n].vote, signature=votes[n - 1].vote.signature))
    for n in range(1, 40, 3):
        odd = ("zz" * 64, "é" * 128, " " * 128, votes[n].vote.signature.upper())[n // 3 % 4]
        votes[n] = hash_vote(msgspec.structs.replace(votes[n].vote, signature=odd))
    answers = signatures_hold(votes)
    assert 13 <= answers.count(True) <= 20
    assert answers == [verify(*_claim(hashed)) for hashed in votes]


def test_records_of_several_contests_and_of_secret_elections_are_read() -> None:
    """The ballot comes before the signature in the record, and may look like one."""
    key, several = key_of("v"), (("Alice",), (), ("Bo", "Cy"))
    votes = []
    for extra in ({}, {"ballot": ',"signature":"'}, {"ballot": '{"answers":[{"proof":"\\u0000é"}]}'}):
        unsigned = {"choices": several, "network_id": "ab" * 32, "time": 1, "voter_id": "v",
                    "voter_key": key.public_hex, **extra}  # fmt: skip
        signature = key.sign(DOMAIN_VOTE + canonical(unsigned)).hex()
        votes.append(hash_vote(msgspec.convert(unsigned | {"signature": signature}, Vote)))
    assert signatures_hold(votes) == [True, True, True]
    assert [verify(*_claim(hashed)) for hashed in votes] == [True, True, True]
    stripped = hash_vote(msgspec.structs.replace(votes[1].vote, ballot=""))
    assert signatures_hold([stripped]) == [False]


def test_a_key_of_small_order_signs_no_vote() -> None:
    votes = [
        hash_vote(msgspec.structs.replace(vote.vote, voter_key=key, signature=FORGED))
        for key in SMALL_ORDER
        for vote in VOTES[:16]
    ]
    assert signatures_hold(votes) == [False] * len(votes)
    assert not any(verify(*_claim(hashed)) for hashed in votes)


@pytest.mark.parametrize("bad", [0, 150, 299])
def test_none_of_many_slips(bad: int) -> None:
    records = [VOTES[n % 40].record for n in range(300)]
    records[bad] = records[bad].replace(b"voter-", b"Voter-")
    assert native.verify_records(DOMAIN_VOTE, records) == [n != bad for n in range(300)]


@given(st.data())
def test_damaged_records_do_not_hold(data: st.DataObject) -> None:
    """The signature is checked last: whatever is changed, cut out or put in is noticed before or there."""
    record = data.draw(st.sampled_from(VOTES)).record
    begin = data.draw(st.integers(0, len(record)))
    end = data.draw(st.integers(begin, min(len(record), begin + 3)))
    damaged = record[:begin] + data.draw(st.binary(max_size=3)) + record[end:]
    same = damaged.lower() == record.lower() and damaged != record  # digits in capitals: `check_vote` refuses
    good = [True, damaged == record or same, True]
    found = native.verify_records(DOMAIN_VOTE, [record, damaged, record])
    assert found == good or (same and found == [True, False, True])
    assert native.verify_records(b"", [record]) == [False]


def test_records_of_nothing() -> None:
    assert native.verify_records(DOMAIN_VOTE, []) == []
    assert native.verify_records(DOMAIN_VOTE, [b"", b"{}", VOTES[0].record]) == [False, False, True]


def test_other_threads_run_meanwhile() -> None:
    """This thread counts while another is in C: one that kept the lock would leave it at nought.

    On a busy machine one call may be over before this thread gets a processor: then another is looked at.
    """
    deadline = time.monotonic() + 60.0
    while turns_during_a_call() <= 2:
        assert time.monotonic() < deadline


def turns_during_a_call() -> int:
    """How often this thread ran while another one was in C."""
    entered, left = threading.Event(), threading.Event()
    records = [VOTES[0].record] * 5000

    def check() -> None:
        entered.set()
        assert all(native.verify_records(DOMAIN_VOTE, records))
        left.set()

    thread = threading.Thread(target=check)
    thread.start()
    entered.wait()
    turns = 0
    while not left.wait(0.001):
        turns += 1
    thread.join()
    return turns


def test_another_pynacl_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "SIGN_OPEN", "int(*)(void)")
    with pytest.raises(ImportError, match="crypto_sign_open is a"):
        native.find_verifier()
    monkeypatch.setattr(native.sodium, "lib", native.lib)  # a library without that function
    with pytest.raises(ImportError, match="no crypto_sign_open"):
        native.find_verifier()


def test_an_older_build_of_the_c_core_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "lib", object())
    with pytest.raises(ImportError, match="build it again"):
        native.find_verifier()


def test_a_verifier_that_always_agrees_fails_the_self_test(monkeypatch: pytest.MonkeyPatch) -> None:
    @native.ffi.callback("votenet_sign_open")
    def always(message: object, size: object, signed: object, signed_size: int, key: object) -> int:
        return 0

    monkeypatch.setattr(native, "VERIFIER", always)
    with pytest.raises(ImportError, match="does not verify"):
        native.self_test()


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=70))
def test_a_merkle_root_in_c_is_that_of_hashlib(leaves: list[bytes]) -> None:
    root = native.merkle_root(leaves)
    assert root == _root(leaves) or (root is None and not _has_sha_instructions())


def test_a_merkle_root_of_nothing_is_not_asked_of_c() -> None:
    assert native.merkle_root([]) is None


def _has_sha_instructions() -> bool:
    return any(name.startswith(("sha-ni", "armv8")) for name in available_kernels())
