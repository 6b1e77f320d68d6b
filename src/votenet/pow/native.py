"""The C core's search, as Python functions. ImportError where the C core is not built.

Calls release the GIL while C runs. Only the modules of this name, in `pow`, `core` and `secret`, import
`votenet._pow`; nothing cffi-typed leaves them.
"""

from __future__ import annotations

from typing import Any, Final

from votenet._pow import ffi as _ffi
from votenet._pow import lib as _lib
from votenet.errors import PowError
from votenet.pow.request import HEADER_SIZE, BytesLike, HeaderCheck, HeaderFault, check_headers, check_search
from votenet.pow.target import HASH_SIZE

ffi: Any = _ffi
lib: Any = _lib

READY: Final = "ready"
NOT_HERE: Final = "not supported by this processor"
FAILED: Final = "failed its self-test"
_FAULTS: Final = {0: None, 1: HeaderFault.LINK, 2: HeaderFault.BITS, 3: HeaderFault.WORK}
_STATES: Final = {1: READY, 0: NOT_HERE, -1: FAILED}

KERNELS: Final[tuple[str, ...]] = tuple(
    ffi.string(lib.votenet_pow_kernel_name(i)).decode("ascii") for i in range(lib.votenet_pow_kernel_count())
)
"""Every kernel of this build, best first, whether or not it runs here."""


def kernel_state(name: str) -> str:
    """READY, NOT_HERE or FAILED; the first call for a kernel runs its self-test."""
    return _STATES[lib.votenet_pow_kernel_state(KERNELS.index(name))]


def search(header: BytesLike, target: int, start: int, count: int, kernel: str = KERNELS[-1]) -> int | None:
    """The first nonce in [start, start + count) whose header meets `target`, or None.

    `header` has 80 bytes; the nonce in it is ignored. `kernel` is one of KERNELS and ready. The GIL is
    released for the whole call and it cannot be interrupted: ask for bounded counts.
    Raises PowError as `check_search` does, and for a kernel that is not ready.
    """
    view = check_search(header, target, start, count)
    nonce = ffi.new("uint32_t *")
    found = lib.votenet_pow_search(
        _ready(kernel),
        ffi.from_buffer("uint8_t[]", view),
        target.to_bytes(HASH_SIZE, "little"),
        start,
        count,
        nonce,
    )
    if found < 0:
        raise PowError("the C core refused this search")
    return int(nonce[0]) if found else None


def verify_headers(
    headers: BytesLike, first_prev: bytes | None = None, kernel: str = KERNELS[-1]
) -> HeaderCheck:
    """Check headers (80 bytes each, joined) that should follow each other: links, targets, work.

    `first_prev` is the hash that the first must name; None: any. The GIL is released for the whole call:
    about 0.14 microseconds a header with sha-ni. Raises PowError as `check_headers` does, and for a
    kernel that is not ready.
    """
    view = check_headers(headers, first_prev)
    count = len(view) // HEADER_SIZE
    hashes, fault = bytearray(HASH_SIZE * count), ffi.new("int *")
    good = lib.votenet_pow_verify_headers(
        _ready(kernel),
        ffi.from_buffer("uint8_t[]", view),
        count,
        ffi.NULL if first_prev is None else ffi.from_buffer("uint8_t[]", first_prev),
        ffi.from_buffer("uint8_t[]", hashes),
        fault,
    )
    if fault[0] < 0:
        raise PowError("the C core refused these headers")
    return HeaderCheck(
        [bytes(hashes[at : at + HASH_SIZE]) for at in range(0, HASH_SIZE * good, HASH_SIZE)],
        _FAULTS[fault[0]],
    )


def _ready(kernel: str) -> int:
    if kernel not in KERNELS:
        raise PowError(f"no kernel is called {kernel!r}", next_step=f"Choose one of: {', '.join(KERNELS)}")
    if (state := kernel_state(kernel)) != READY:
        raise PowError(f"kernel {kernel} cannot be used: {state}")
    return KERNELS.index(kernel)
