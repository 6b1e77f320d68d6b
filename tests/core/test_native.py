"""The batch in C: what it refuses, and that it lets other threads run. test_keys.py has the answers."""

from __future__ import annotations

import threading

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import make_election, make_votes
from votenet.core.encoding import DOMAIN_VOTE
from votenet.core.keys import SigningKey, verify_all
from votenet.core.vote import _claim, seal, signatures_hold

native = pytest.importorskip("votenet.core.native", reason="the C core is not built")

KEY = SigningKey(bytes(range(32)))
SIGNED = KEY.sign(b"vote") + b"vote"


def test_good_and_bad_in_their_places() -> None:
    assert native.verify_batch([KEY.public] * 3, [SIGNED, SIGNED[:-1], SIGNED]) == [True, False, True]
    assert native.verify_batch([], []) == []


@pytest.mark.parametrize("publics", [[], [KEY.public[:31]], [KEY.public, KEY.public]])
def test_one_key_of_32_bytes_for_each(publics: list[bytes]) -> None:
    with pytest.raises(ValueError, match="one key of 32 bytes"):
        native.verify_batch(publics, [SIGNED])


@pytest.mark.parametrize("signed", [[SIGNED, b""], [SIGNED, SIGNED[:63]], [bytes(63), SIGNED]])
def test_a_signed_message_has_its_signature(signed: list[bytes]) -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        native.verify_batch([KEY.public, KEY.public], signed)


def test_c_refuses_what_python_would_not_send() -> None:
    ffi, verify = native.ffi, native.lib.votenet_verify_signatures
    good, scratch = ffi.new("uint8_t[2]", b"\x07\x07"), ffi.new("uint8_t[200]")
    packed, keys = SIGNED * 2, KEY.public * 2
    for ends in ([68, 67], [68, 131], [63, 136], [2**64 - 1, 68]):
        assert verify(native._verifier, keys, packed, ffi.new("uint64_t[]", ends), 2, scratch, good) == -1
        assert bytes(good) == bytes(2)
    right = [native._verifier, keys, packed, ffi.new("uint64_t[]", [68, 136]), 2, scratch, good]
    assert verify(*right) == 2
    assert bytes(good) == b"\x01\x01"
    for place in (0, 1, 2, 3, 5, 6):
        assert verify(*right[:place], ffi.NULL, *right[place + 1 :]) == -1


ELECTION = make_election()
VOTES = make_votes(ELECTION, 40)


def test_records_hold_where_the_reference_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a third the signature is another's, of another third it is no hexadecimal, or in capitals."""
    votes = list(VOTES)
    for n in range(0, 40, 3):
        votes[n] = seal(msgspec.structs.replace(votes[n].vote, signature=votes[n - 1].vote.signature))
    for n in range(1, 40, 3):
        odd = ("zz" * 64, "é" * 128, " " * 128, votes[n].vote.signature.upper())[n // 3 % 4]
        votes[n] = seal(msgspec.structs.replace(votes[n].vote, signature=odd))
    answers = signatures_hold(votes)
    assert 13 <= answers.count(True) <= 20
    assert answers == verify_all([_claim(sealed) for sealed in votes])


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
    """This thread counts while another is in C: one that kept the lock would leave it at nought."""
    entered, left = threading.Event(), threading.Event()
    signed = [SIGNED] * 5000

    def check() -> None:
        entered.set()
        assert all(native.verify_batch([KEY.public] * len(signed), signed))
        left.set()

    thread = threading.Thread(target=check)
    thread.start()
    entered.wait()
    turns = 0
    while not left.wait(0.001):
        turns += 1
    thread.join()
    assert turns > 10


def test_another_pynacl_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "SIGN_OPEN", "int(*)(void)")
    with pytest.raises(ImportError, match="crypto_sign_open is a"):
        native._find_verifier()
    monkeypatch.setattr(native._sodium, "lib", native.lib)  # a library without that function
    with pytest.raises(ImportError, match="no crypto_sign_open"):
        native._find_verifier()


def test_an_older_build_of_the_c_core_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "lib", object())
    with pytest.raises(ImportError, match="build it again"):
        native._find_verifier()


def test_a_verifier_that_always_agrees_fails_the_self_test(monkeypatch: pytest.MonkeyPatch) -> None:
    @native.ffi.callback("votenet_sign_open")
    def always(message: object, size: object, signed: object, signed_size: int, key: object) -> int:
        return 0

    monkeypatch.setattr(native, "_verifier", always)
    with pytest.raises(ImportError, match="does not verify"):
        native._self_test()
