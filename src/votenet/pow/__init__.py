"""Proof of work: hashing a header, searching a nonce, targets.

A kernel is one implementation of the search: those of the C core that pass their self-test on this machine,
best first, and last "python", the reference. Which one searches fastest depends on the chip (Zen 3: SHA
instructions, Zen 5: AVX-512), so a node tries them. A search is one bounded call: the caller decides on which
thread it runs, how much it asks for at a time, and when to stop.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Final, NamedTuple

from votenet.errors import PowError
from votenet.pow import reference
from votenet.pow.reference import sha256d
from votenet.pow.request import HEADER_SIZE, NONCE_LIMIT, BytesLike, HeaderCheck, HeaderFault, check_header
from votenet.pow.target import (
    bits_for_zero_bits,
    bits_to_target,
    hash_to_int,
    meets,
    target_to_bits,
    work_of,
)

__all__ = [
    "NONCE_LIMIT",
    "PYTHON",
    "HeaderFault",
    "available_kernels",
    "bits_for_zero_bits",
    "bits_to_target",
    "hash_to_int",
    "header_hash",
    "kernel_states",
    "measure_rate",
    "meets",
    "search",
    "select_fastest",
    "select_kernel",
    "selected_kernel",
    "sha256d",
    "target_to_bits",
    "verify_headers",
    "work_of",
]

PYTHON: Final = "python"
"""The name of the kernel that is always there: hashlib."""


class _Kernel(NamedTuple):
    state: str
    search: Callable[[BytesLike, int, int, int], int | None]
    verify: Callable[[BytesLike, bytes | None], HeaderCheck]


CLEARLY_FASTER: Final = 1.05
"""A kernel must be so much faster than one listed before it to be preferred: less is noise."""
TRIAL_SECONDS: Final = 0.002
"""How long each kernel is tried before the fastest is chosen."""

_forced: str | None = None
_fastest: str | None = None


def search(
    header: BytesLike, target: int, start: int = 0, count: int | None = None, kernel: str | None = None
) -> int | None:
    """The first nonce in [start, start + count) with which the header's hash meets `target`, or None.

    `header` has 80 bytes; the nonce in it is ignored. Without `count`, to the last nonce. `kernel`
    forces one for this call. The C kernels release the GIL and cannot be interrupted, so ask for a
    slice at a time: `measure_rate` tells how many nonces a second are to be had.

    Raises PowError if the header has not 80 bytes, if target, start or count are negative or too large
    (start + count <= 2**32, target < 2**256), or if there is no such kernel here.
    """
    if count is None:
        count = max(NONCE_LIMIT - start, 0)
    return _usable()[_choose(kernel)].search(header, target, start, count)


def header_hash(header: BytesLike) -> bytes:
    """SHA-256d of an 80-byte header: 32 bytes in internal order (explorers show them reversed).

    Raises PowError if the header has not 80 bytes.
    """
    return sha256d(check_header(header))


def verify_headers(
    headers: BytesLike, first_prev: bytes | None = None, kernel: str | None = None
) -> HeaderCheck:
    """Check headers (80 bytes each, joined) that should follow each other: links, targets, work.

    `first_prev` is the hash, 32 bytes, that the first header must name; None: any. The answer tells how
    many hold from the start, their hashes, and what is wrong with the next. It says nothing about
    the times, or about which target a block must have: that is the chain's to judge.

    Raises PowError if `headers` is no multiple of 80 bytes, `first_prev` not 32, or there is no such
    kernel here.
    """
    # Not the kernel that searches fastest: SHA instructions hash one header after the other best.
    return _usable()[_choose(kernel or _forced or available_kernels()[0])].verify(headers, first_prev)


def kernel_states() -> dict[str, str]:
    """Every kernel of this build, best first, and "ready" or why it cannot be used here."""
    return {name: kernel.state for name, kernel in _kernels().items()}


def available_kernels() -> tuple[str, ...]:
    """The kernels that can be used here, best first; the last is always "python"."""
    return tuple(_usable())


def selected_kernel() -> str:
    """The kernel that `search` uses when it is not told: the one selected, the fastest, or the first."""
    return _forced or _fastest or available_kernels()[0]


def select_kernel(name: str | None) -> str:
    """Make this process use this kernel from now on; None: the first. Returns its name.

    Raises PowError, naming those to choose from, if there is no such kernel here.
    """
    global _forced, _fastest
    _forced, _fastest = None if name is None else _choose(name), None
    return selected_kernel()


def select_fastest(timer: Callable[[], float]) -> str:
    """Make `search` use the kernel that is fastest on this chip. Returns its name.

    Give it time.thread_time as the timer: other programs do not count then.
    """
    global _fastest
    select_kernel(None)
    best, best_rate = PYTHON, 0.0
    for name in available_kernels()[:-1]:
        rate = measure_rate(timer, TRIAL_SECONDS, name)
        if rate > best_rate * CLEARLY_FASTER:
            best, best_rate = name, rate
    _fastest = best
    return best


def measure_rate(timer: Callable[[], float], seconds: float = 0.05, kernel: str | None = None) -> float:
    """Nonces a second of one thread, tried for about `seconds` by `timer` (such as time.perf_counter).

    Raises PowError if there is no such kernel here.
    """
    run = _usable()[_choose(kernel)].search
    header, count, slice_ = bytes(HEADER_SIZE), 0, 64
    began = now = timer()
    while (elapsed := now - began) < seconds:
        if elapsed < seconds / 4:
            slice_ = min(slice_ * 2, NONCE_LIMIT)
        run(header, 0, 0, slice_)  # no hash is known to be zero: the whole slice is tried
        count += slice_
        now = timer()
    return count / elapsed if elapsed > 0 else 0.0


def _choose(kernel: str | None) -> str:
    if kernel is None:
        return selected_kernel()
    if kernel in _usable():
        return kernel
    usable = ", ".join(available_kernels())
    state = kernel_states().get(kernel)
    reason = f"no kernel is called {kernel!r}" if state is None else f"kernel {kernel} is {state}"
    raise PowError(f"{reason}; here there are: {usable}", next_step=f"Choose one of: {usable}")


@cache
def _kernels() -> dict[str, _Kernel]:
    """All kernels by name, best first. The C core is left out where it is not built."""
    found: dict[str, _Kernel] = {}
    try:
        from votenet.pow import native
    except ImportError:
        pass
    else:
        for name in native.KERNELS:
            found[name] = _Kernel(
                native.kernel_state(name),
                partial(native.search, kernel=name),
                partial(native.verify_headers, kernel=name),
            )
    found[PYTHON] = _Kernel("ready", reference.search, reference.verify_headers)
    return found


@cache
def _usable() -> dict[str, _Kernel]:
    return {name: kernel for name, kernel in _kernels().items() if kernel.state == "ready"}
