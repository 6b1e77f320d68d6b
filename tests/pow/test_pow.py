"""The public names of votenet.pow, and one class of searches over every kernel and the Python reference."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import votenet.pow as room
from votenet.errors import PowError
from votenet.pow import (
    HeaderFault,
    available_kernels,
    bits_to_target,
    header_hash,
    kernel_states,
    measure_rate,
    search,
    select_fastest,
    select_kernel,
    selected_kernel,
    sha256d,
    verify_headers,
)

VECTORS = Path(__file__).parents[1] / "vectors"
HEADERS = json.loads((VECTORS / "bitcoin_headers.json").read_text(encoding="utf-8"))["headers"]
ALL_ONES = 2**256 - 1


@pytest.fixture(autouse=True)
def _best_kernel_afterwards() -> Iterator[None]:
    yield
    select_kernel(None)


def hash_with(header: bytes, nonce: int) -> int:
    solved = header[:76] + nonce.to_bytes(4, "little")
    return int.from_bytes(hashlib.sha256(hashlib.sha256(solved).digest()).digest(), "little")


@pytest.mark.parametrize("kernel", available_kernels())
class TestSearch:
    @pytest.mark.parametrize("before", [0, 1, 2, 3, 7, 8, 15, 16, 31, 500])
    def test_bitcoin_headers(self, kernel: str, before: int) -> None:
        """The miner's nonce is found wherever it lies in the range, and not when the range ends before it."""
        for vector in HEADERS:
            header, nonce = bytes.fromhex(str(vector["header"])), int(str(vector["nonce"]))
            target = bits_to_target(int(str(vector["bits"])))
            start = max(nonce - before, 0)
            beyond = min(nonce - start + 40, 2**32 - start)
            assert search(header, target, start, nonce - start + 1, kernel) == nonce, vector
            assert search(header, target, start, nonce - start, kernel) is None, vector
            assert search(header, target, start, beyond, kernel) == nonce, vector

    @given(
        header=st.binary(min_size=80, max_size=80),
        start=st.integers(0, 2**32 - 1),
        count=st.integers(0, 60),
        zero_bits=st.integers(0, 7),
    )
    def test_random_headers(self, kernel: str, header: bytes, start: int, count: int, zero_bits: int) -> None:
        target = ALL_ONES >> zero_bits
        count = min(count, 2**32 - start)
        good = [n for n in range(start, start + count) if hash_with(header, n) <= target]
        assert search(header, target, start, count, kernel) == (good[0] if good else None)

    @given(header=st.binary(min_size=80, max_size=80), nonce=st.integers(0, 2**32 - 1))
    def test_exact_target(self, kernel: str, header: bytes, nonce: int) -> None:
        """A hash equal to the target is good, one below it is not asked for."""
        exact = hash_with(header, nonce)
        assert search(header, exact, nonce, 1, kernel) == nonce
        assert search(header, exact - 1, nonce, 1, kernel) is None

    @given(header=st.binary(min_size=80, max_size=80), start=st.integers(0, 2**32 - 64))
    def test_the_best_of_a_range(self, kernel: str, header: bytes, start: int) -> None:
        hashes = {hash_with(header, n): n for n in range(start, start + 64)}
        best = min(hashes)
        assert search(header, best, start, 64, kernel) == hashes[best]
        assert search(header, best - 1, start, 64, kernel) is None

    def test_resumed_search_finds_every_solution(self, kernel: str) -> None:
        header, target, found, start = bytes(range(80)), ALL_ONES >> 4, [], 1000
        while (nonce := search(header, target, start, 1500 - start, kernel)) is not None:
            found.append(nonce)
            start = nonce + 1
        assert found == [n for n in range(1000, 1500) if hash_with(header, n) <= target]

    def test_no_nonces(self, kernel: str) -> None:
        assert search(bytes(80), ALL_ONES, 5, 0, kernel) is None

    def test_target_zero(self, kernel: str) -> None:
        assert search(bytes(80), 0, 0, 300, kernel) is None

    @pytest.mark.parametrize("start", [0, 1, 12345, 2**31, 2**32 - 1])
    def test_target_of_all_ones(self, kernel: str, start: int) -> None:
        assert search(bytes(80), ALL_ONES, start, 1, kernel) == start

    @pytest.mark.parametrize("back", [1, 2, 5, 8, 17])
    def test_end_of_the_nonces(self, kernel: str, back: int) -> None:
        """The last nonces are searched, and none is tried past 2**32 - 1: nonce 0 is not in the range."""
        header, start = bytes(80), 2**32 - back
        best = min(range(start, 2**32), key=lambda n: hash_with(header, n))
        assert search(header, hash_with(header, best), start, back, kernel) == best
        assert search(header, hash_with(header, best), start, kernel=kernel) == best
        better = min(hash_with(header, best) - 1, hash_with(header, 0))
        assert search(header, better, start, back, kernel) is None

    def test_the_nonce_in_the_header_is_ignored(self, kernel: str) -> None:
        one, two = bytes(80), bytes(76) + b"\xff" * 4
        target = ALL_ONES >> 8
        assert search(one, target, 0, 2000, kernel) == search(two, target, 0, 2000, kernel) is not None

    def test_bytes_of_every_kind(self, kernel: str) -> None:
        header, target = bytes(range(80)), ALL_ONES >> 6
        expected = search(header, target, 0, 2000, kernel)
        assert search(bytearray(header), target, 0, 2000, kernel) == expected
        assert search(memoryview(b"odd" + header)[3:], target, 0, 2000, kernel) == expected

    def test_bad_requests(self, kernel: str) -> None:
        with pytest.raises(PowError, match="80 bytes"):
            search(bytes(79), 1, 0, 1, kernel)
        with pytest.raises(PowError, match="must be bytes"):
            search("0" * 80, 1, 0, 1, kernel)  # type: ignore[arg-type]
        with pytest.raises(PowError, match="negative"):
            search(bytes(80), -1, 0, 1, kernel)
        with pytest.raises(PowError, match="negative"):
            search(bytes(80), 1, 0, -1, kernel)
        with pytest.raises(PowError, match="2\\*\\*32"):
            search(bytes(80), 1, 2**32 - 1, 2, kernel)
        with pytest.raises(PowError, match="2\\*\\*32"):
            search(bytes(80), 1, 2**32, kernel=kernel)

    def test_rate(self, kernel: str) -> None:
        """Under a clock that shows half a second more at each look, 0.5 s is one slice."""
        ticks = iter(range(100))
        assert measure_rate(lambda: next(ticks) / 2, 0.5, kernel) == 256

    def test_selected(self, kernel: str) -> None:
        assert select_kernel(kernel) == selected_kernel() == kernel
        assert search(bytes(80), ALL_ONES, 3) == 3


EASY = 0x207FFFFF  # every second hash meets it
GENESIS_PREV = bytes(32)


def chain_of(length: int, bits: int = EASY) -> list[bytes]:
    """Headers that hold, each mined on the one before."""
    headers, prev = [], GENESIS_PREV
    for i in range(length):
        draft = (
            b"\1\0\0\0" + prev + sha256d(bytes([i])) + i.to_bytes(4, "little") + bits.to_bytes(4, "little")
        )
        nonce = search(draft + bytes(4), bits_to_target(bits), kernel="python")
        assert nonce is not None
        headers.append(draft + nonce.to_bytes(4, "little"))
        prev = sha256d(headers[-1])
    return headers


CHAIN = chain_of(12)


def with_bits(header: bytes, bits: int) -> bytes:
    return header[:72] + bits.to_bytes(4, "little") + header[76:]


@pytest.mark.parametrize("kernel", available_kernels())
class TestVerifyHeaders:
    def test_no_headers(self, kernel: str) -> None:
        check = verify_headers(b"", GENESIS_PREV, kernel)
        assert check == ([], None)

    def test_a_chain(self, kernel: str) -> None:
        check = verify_headers(b"".join(CHAIN), GENESIS_PREV, kernel)
        assert check == ([*map(sha256d, CHAIN)], None)

    def test_in_pieces(self, kernel: str) -> None:
        """The hash of the last is what the next batch must name."""
        first = verify_headers(b"".join(CHAIN[:5]), GENESIS_PREV, kernel)
        assert verify_headers(b"".join(CHAIN[5:]), first.hashes[-1], kernel).fault is None

    def test_bitcoin(self, kernel: str) -> None:
        """Blocks 0 to 3, and 500 to 502, whose predecessor is not at hand."""
        raw = {vector["height"]: bytes.fromhex(vector["header"]) for vector in HEADERS}
        first = verify_headers(b"".join(raw[i] for i in range(4)), GENESIS_PREV, kernel)
        assert (first.fault, len(first.hashes)) == (None, 4)
        assert first.hashes[3][::-1].hex() == HEADERS[3]["hash"]
        assert verify_headers(raw[500] + raw[501] + raw[502], None, kernel).fault is None
        assert verify_headers(raw[300000] + raw[300001], None, kernel).fault is None

    def test_broken_link(self, kernel: str) -> None:
        for bad in range(len(CHAIN)):
            headers = list(CHAIN)
            headers[bad] = headers[bad][:4] + bytes(31) + b"\1" + headers[bad][36:]
            check = verify_headers(b"".join(headers), GENESIS_PREV, kernel)
            assert check == ([*map(sha256d, CHAIN[:bad])], HeaderFault.LINK), bad

    def test_first_link(self, kernel: str) -> None:
        headers = b"".join(CHAIN[3:])
        assert verify_headers(headers, None, kernel).fault is None
        assert verify_headers(headers, bytes(32), kernel).fault is HeaderFault.LINK
        assert verify_headers(headers, sha256d(CHAIN[2]), kernel).fault is None

    @pytest.mark.parametrize(
        "bits", [0, 0x01003456, 0x04923456, 0x1D80FFFF, 0x04800000, 0xFF123456, 0x23000001, 0x22000100]
    )
    def test_bad_bits(self, kernel: str, bits: int) -> None:
        headers = [*CHAIN[:7], with_bits(CHAIN[7], bits)]
        check = verify_headers(b"".join(headers), GENESIS_PREV, kernel)
        assert (check.fault, len(check.hashes)) == (HeaderFault.BITS, 7)

    def test_not_enough_work(self, kernel: str) -> None:
        headers = [*CHAIN[:4], with_bits(CHAIN[4], 0x1D00FFFF)]
        check = verify_headers(b"".join(headers), GENESIS_PREV, kernel)
        assert (check.fault, len(check.hashes)) == (HeaderFault.WORK, 4)

    @given(data=st.data())
    def test_like_the_reference(self, kernel: str, data: st.DataObject) -> None:
        """Any bits, any nonce, any byte changed: the same answer as the reference."""
        headers = bytearray(b"".join(CHAIN))
        for _ in range(data.draw(st.integers(0, 2))):
            headers[data.draw(st.integers(0, len(headers) - 1))] = data.draw(st.integers(0, 255))
        if data.draw(st.booleans()):
            at = 80 * data.draw(st.integers(0, len(CHAIN) - 1)) + 72
            headers[at : at + 4] = data.draw(st.integers(0, 2**32 - 1)).to_bytes(4, "little")
        prev = data.draw(st.sampled_from([None, GENESIS_PREV, bytes(range(32))]))
        assert verify_headers(headers, prev, kernel) == verify_headers(headers, prev, "python")

    @pytest.mark.parametrize("mantissa", [0x01, 0xFF, 0x8000, 0xFFFF, 0x010000, 0x7FFFFF, 0x800000])
    def test_every_length_of_target(self, kernel: str, mantissa: int) -> None:
        for exponent in [*range(36), 255]:
            header = with_bits(CHAIN[0], exponent << 24 | mantissa)
            assert verify_headers(header, None, kernel) == verify_headers(header, None, "python")

    def test_unaligned(self, kernel: str) -> None:
        joined = b"".join(CHAIN)
        for shift in range(1, 9):
            view = memoryview(bytes(shift) + joined)[shift:]
            assert verify_headers(view, GENESIS_PREV, kernel).fault is None

    def test_bad_requests(self, kernel: str) -> None:
        with pytest.raises(PowError, match="multiple"):
            verify_headers(bytes(79), None, kernel)
        with pytest.raises(PowError, match="32 bytes"):
            verify_headers(bytes(80), bytes(31), kernel)
        with pytest.raises(PowError, match="must be bytes"):
            verify_headers("", None, kernel)  # type: ignore[arg-type]
        with pytest.raises(PowError, match="must be bytes"):
            verify_headers(b"", "0" * 32, kernel)  # type: ignore[arg-type]


def test_header_hash() -> None:
    for vector in HEADERS:
        assert header_hash(bytes.fromhex(vector["header"]))[::-1].hex() == vector["hash"], vector


def test_header_hash_of_another_length() -> None:
    with pytest.raises(PowError, match="80 bytes"):
        header_hash(bytes(81))


def test_the_best_is_selected_and_python_is_always_there() -> None:
    assert selected_kernel() == available_kernels()[0]
    assert available_kernels()[-1] == "python"
    assert [name for name, state in kernel_states().items() if state == "ready"] == list(available_kernels())


def test_the_fastest_is_selected_by_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rate decides; among those as good as equal the order of the table; a name undoes the choice."""
    kernels = available_kernels()[:-1]
    monkeypatch.setattr(room, "measure_rate", lambda _timer, _seconds, name: 100.0 + kernels.index(name))
    assert select_fastest(time.thread_time) == selected_kernel() == (*kernels, "python")[0]
    for fastest in kernels:
        monkeypatch.setattr(room, "measure_rate", lambda _t, _s, name, best=fastest: 1.0 + (name == best))
        assert select_fastest(time.thread_time) == selected_kernel() == fastest
        assert search(bytes(80), ALL_ONES) == 0
    assert select_kernel(None) == available_kernels()[0]


def test_the_fastest_is_one_of_this_machine() -> None:
    assert select_fastest(time.thread_time) in available_kernels()


@pytest.mark.parametrize("call", [select_kernel, lambda name: search(bytes(80), 1, 0, 1, name)])
def test_wrong_kernel_lists_the_right_ones(call: object) -> None:
    with pytest.raises(PowError, match="no kernel is called 'cray'") as caught:
        call("cray")  # type: ignore[operator]
    for name in available_kernels():
        assert name in str(caught.value)
        assert name in caught.value.next_step
    assert selected_kernel() == available_kernels()[0]


def test_kernel_that_this_processor_lacks() -> None:
    for name in set(kernel_states()) - set(available_kernels()):
        with pytest.raises(PowError, match=f"kernel {name} is not supported by this processor"):
            select_kernel(name)


def test_a_clock_that_stands_still_at_first() -> None:
    ticks = iter([0.0, 0.0, 0.0, 0.0, 1.0])
    assert measure_rate(lambda: next(ticks), 0.5, "python") > 0
    assert measure_rate(lambda: 0.0, 0.0, "python") == 0.0


def test_without_the_c_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not built: everything works on the reference."""
    monkeypatch.setitem(sys.modules, "votenet.pow.native", None)
    monkeypatch.delattr(room, "native", raising=False)
    room._kernels.cache_clear()
    room._usable.cache_clear()
    try:
        assert available_kernels() == ("python",)
        assert selected_kernel() == "python"
        assert search(bytes(80), ALL_ONES) == 0
        with pytest.raises(PowError, match="no kernel is called 'sha-ni'; here there are: python"):
            search(bytes(80), 1, kernel="sha-ni")
    finally:
        room._kernels.cache_clear()
        room._usable.cache_clear()
