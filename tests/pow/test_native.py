"""The C core itself: compression functions, alignment, refusals. test_pow.py tests the search."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.errors import PowError

native = pytest.importorskip("votenet.pow.native", reason="the C core is not built")

VECTORS = Path(__file__).parents[1] / "vectors"
MESSAGES = json.loads((VECTORS / "sha256_nist.json").read_text(encoding="utf-8"))["messages"]
IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
READY = [name for name in native.KERNELS if native.kernel_state(name) == native.READY]


def compress(blocks: bytes, kernel: str) -> tuple[int, ...]:
    words, number = native.ffi.new("uint32_t[8]", IV), native.KERNELS.index(kernel)
    assert native.lib.votenet_pow_compress(number, words, blocks, len(blocks) // 64) == 0
    return tuple(words)


def sha256(message: bytes, kernel: str) -> str:
    padded = message + b"\x80" + bytes(-(len(message) + 9) % 64) + (8 * len(message)).to_bytes(8, "big")
    return "".join(f"{word:08x}" for word in compress(padded, kernel))


def test_generic_is_last_and_ready() -> None:
    assert native.KERNELS[-1] == "generic"
    assert "generic" in READY
    assert len(set(native.KERNELS)) == len(native.KERNELS)


def test_no_kernel_failed_its_self_test() -> None:
    assert [name for name in native.KERNELS if native.kernel_state(name) == native.FAILED] == []


@pytest.mark.parametrize("kernel", READY)
class TestCompress:
    @pytest.mark.parametrize("vector", MESSAGES, ids=lambda v: v["digest"][:8])
    def test_nist_messages(self, kernel: str, vector: dict[str, str]) -> None:
        message = vector["message"].encode() * int(vector["repeat"])
        assert sha256(message, kernel) == vector["digest"]

    @given(message=st.binary(max_size=300))
    def test_random_messages(self, kernel: str, message: bytes) -> None:
        assert sha256(message, kernel) == hashlib.sha256(message).hexdigest()

    def test_no_block_changes_nothing(self, kernel: str) -> None:
        assert compress(b"", kernel) == IV


@pytest.mark.parametrize("kernel", READY)
def test_unaligned_header(kernel: str) -> None:
    header, target = bytes(range(100, 180)), 2**252
    for shift in range(1, 16):
        buffer = memoryview(bytes(shift) + header + bytes(16))[shift : shift + 80]
        found = native.search(buffer, target, 0, 1000, kernel)
        assert found == native.search(header, target, 0, 1000, "generic"), shift


def test_unknown_kernel() -> None:
    with pytest.raises(PowError, match="no kernel is called 'fast'") as caught:
        native.search(bytes(80), 1, 0, 1, "fast")
    assert "generic" in caught.value.next_step


def test_kernels_of_other_processors_are_refused() -> None:
    for name in set(native.KERNELS) - set(READY):
        with pytest.raises(PowError, match="cannot be used: not supported by this processor"):
            native.search(bytes(80), 1, 0, 1, name)


def test_c_refuses_arguments_that_python_never_sends() -> None:
    """The C entry points check for themselves: a wrong number of a kernel, a range past the last nonce."""
    nonce = native.ffi.new("uint32_t *")
    for kernel in (-1, len(native.KERNELS)):
        assert native.lib.votenet_pow_search(kernel, bytes(80), bytes(32), 0, 1, nonce) == -1
        assert native.lib.votenet_pow_kernel_state(kernel) == 0
        assert native.lib.votenet_pow_kernel_name(kernel) == native.ffi.NULL
    last = len(native.KERNELS) - 1
    assert native.lib.votenet_pow_search(last, bytes(80), bytes(32), 1, 2**32, nonce) == -1
    assert native.lib.votenet_pow_search(last, native.ffi.NULL, bytes(32), 0, 1, nonce) == -1
    assert native.lib.votenet_pow_compress(last, native.ffi.NULL, bytes(64), 1) == -1


def test_c_refuses_headers_without_a_place_for_the_answer() -> None:
    last, null = len(native.KERNELS) - 1, native.ffi.NULL
    fault = native.ffi.new("int *", 7)
    assert native.lib.votenet_pow_verify_headers(last, bytes(80), 1, null, null, null) == 0
    assert native.lib.votenet_pow_verify_headers(last, null, 1, null, null, fault) == 0
    assert fault[0] == -1
    assert native.lib.votenet_pow_verify_headers(-1, bytes(80), 1, null, null, fault) == 0
    assert fault[0] == -1
