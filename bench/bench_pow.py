"""How fast each kernel searches, beside hashlib on one core in the same run (target T1).

The yardstick: single-stream SHA-256 compressions a second of `hashlib.sha256` over 1 MiB buffers. It is
measured again before every round, and the ratio is the median over rounds, so that a machine that
drifts moves both. One thread is timed by its own processor time, so that other programs do not count.
Beside the median stands the ratio of the two at their best: on a rented machine a neighbour on the same
core slows the kernels, which fill its pipes, by a third, and hashlib, which waits for its own results,
hardly at all; short rounds find the moments without one.
The goal of 1.2 on chips with SHA instructions is for the kernel that a node chooses there.
What must not live here: tests; nothing here asserts a time.

    pytest bench/bench_pow.py
"""

from __future__ import annotations

import hashlib
import statistics
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, thread_time
from typing import Any

import pytest

from lines import add_line
from votenet.pow import (
    NONCE_LIMIT,
    available_kernels,
    bits_to_target,
    measure_rate,
    search,
    select_fastest,
    selected_kernel,
    sha256d,
    verify_headers,
)

HEADER = bytes(range(80))
BUFFER = bytes(1 << 20)
COMPRESSIONS = len(BUFFER) // 64
ROUNDS = 60
SLICE_SECONDS = 0.012
CHOSEN = select_fastest(thread_time)
"""What a node on this machine searches with."""
GOALS = {"avx2": 0.45, "generic": 0.10} | ({CHOSEN: 1.2} if "sha-ni-sse" in available_kernels() else {})


def yardstick() -> float:
    """Compressions a second, over about 7 ms."""
    began = thread_time()
    for _ in range(10):
        hashlib.sha256(BUFFER).digest()
    return 10 * COMPRESSIONS / (thread_time() - began)


def slice_of(kernel: str) -> int:
    rate = measure_rate(thread_time, 0.05, kernel)
    return max(1, min(int(rate * SLICE_SECONDS), NONCE_LIMIT))


def report(benchmark: Any, capsys: pytest.CaptureFixture[str], text: str, **facts: object) -> None:
    benchmark.extra_info.update(facts)
    with capsys.disabled():
        print(f"\n{text}")


@pytest.mark.benchmark(timer=thread_time)
@pytest.mark.parametrize("kernel", available_kernels())
def test_nonces(benchmark: Any, capsys: pytest.CaptureFixture[str], kernel: str) -> None:
    """Nonces a second of one thread; target zero, so that every nonce is tried."""
    count, yards = slice_of(kernel), []
    benchmark.pedantic(
        search, args=(HEADER, 0, 0, count, kernel), setup=lambda: yards.append(yardstick()), rounds=ROUNDS
    )
    rates = [count / seconds for seconds in benchmark.stats.stats.data]
    ratio = statistics.median(rate / yard for rate, yard in zip(rates, yards, strict=True))
    rate, yard = statistics.median(rates), statistics.median(yards)
    best = max(rates) / max(yards)
    goal = f", goal {GOALS[kernel]:.2f}" if kernel in GOALS else ""
    goal += ", chosen by a node" if kernel == CHOSEN else ""
    report(
        benchmark,
        capsys,
        f"T1 {kernel:<10} {rate / 1e6:7.2f} M nonces/s = {ratio:5.3f} of {yard / 1e6:.2f} M/s, "
        f"at best {max(rates) / 1e6:.2f} = {best:5.3f}{goal}",
        nonces_per_second=rate,
        yardstick_per_second=yard,
        ratio=ratio,
        ratio_at_best=best,
    )
    with capsys.disabled():
        add_line(benchmark, "T1", kernel, rate / 1e6, "M nonces/s", ratio=ratio, goal=GOALS.get(kernel))


def test_two_threads(benchmark: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Two threads over disjoint ranges, beside one thread in the same run."""
    kernel = selected_kernel()
    count, singles = 4 * slice_of(kernel), []  # long enough that starting two threads does not count

    def one() -> None:
        began = perf_counter()
        search(HEADER, 0, 0, count, kernel)
        singles.append(count / (perf_counter() - began))

    def two(pool: ThreadPoolExecutor) -> None:
        list(pool.map(lambda start: search(HEADER, 0, start, count, kernel), (0, count)))

    with ThreadPoolExecutor(2) as pool:
        benchmark.pedantic(two, args=(pool,), setup=one, rounds=ROUNDS // 2)
    rates = [2 * count / seconds for seconds in benchmark.stats.stats.data]
    scaling = statistics.median(rate / single for rate, single in zip(rates, singles, strict=True))
    rate, best = statistics.median(rates), max(rates) / max(singles)
    report(
        benchmark,
        capsys,
        f"T1 two threads {rate / 1e6:.2f} M nonces/s = {scaling:.2f} x one ({kernel}), "
        f"at best {best:.2f}, goal 1.90",
        nonces_per_second=rate,
        scaling=scaling,
        scaling_at_best=best,
    )
    with capsys.disabled():
        add_line(benchmark, "T1", "two threads", rate / 1e6, "M nonces/s", ratio=scaling, goal=1.9)


@pytest.mark.benchmark(timer=thread_time)
@pytest.mark.parametrize("kernel", available_kernels())
def test_verify_headers(benchmark: Any, capsys: pytest.CaptureFixture[str], kernel: str) -> None:
    """A chain of headers with easy targets: links, targets and work of each."""
    easy, prev, chain = 0x207FFFFF, bytes(32), bytearray()
    for i in range(1_000 if kernel == "python" else 10_000):
        draft = bytes(4) + prev + bytes(32) + i.to_bytes(4, "little") + easy.to_bytes(4, "little")
        nonce = search(draft + bytes(4), bits_to_target(easy))
        assert nonce is not None
        header = draft + nonce.to_bytes(4, "little")
        chain += header
        prev = sha256d(header)
    check = benchmark.pedantic(verify_headers, args=(bytes(chain), bytes(32), kernel), rounds=ROUNDS)
    assert check.fault is None
    rate = len(check.hashes) / statistics.median(benchmark.stats.stats.data)
    report(benchmark, capsys, f"headers {kernel:<10} {rate / 1e6:6.3f} M/s verified", headers_per_second=rate)
