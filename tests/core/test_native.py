"""The batch in C: what it refuses, and that it lets other threads run. test_keys.py has the answers."""

from __future__ import annotations

import threading

import pytest

from votenet.core.keys import SigningKey

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
