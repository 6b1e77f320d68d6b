"""Signatures of many votes, and Merkle roots, in one call of the C core. ImportError where there is none.

The verifier is libsodium's own `crypto_sign_open`, taken out of PyNaCl, which does not promise it. Where it
is missing, has another type or fails the self-test, importing this module fails, and Python checks one
signature at a time. Only the modules of this name, in `pow`, `core` and `secret`, import `votenet._pow`;
nothing cffi-typed leaves them.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final

from nacl import _sodium as sodium
from nacl import bindings

from votenet._pow import ffi as _ffi
from votenet._pow import lib as _lib

ffi: Any = _ffi
lib: Any = _lib
_sodium_ffi: Any = sodium.ffi

SIGN_OPEN: Final = (
    "int(*)(unsigned char *, unsigned long long *, unsigned char *, unsigned long long, unsigned char *)"
)
"""The type of libsodium's crypto_sign_open; cffi leaves out `const`."""


def find_verifier() -> Any:
    """The address of crypto_sign_open. Raises ImportError."""
    try:
        verifier = _sodium_ffi.addressof(sodium.lib, "crypto_sign_open")
    except AttributeError as error:
        raise ImportError("this PyNaCl has no crypto_sign_open") from error
    if not hasattr(lib, "votenet_merkle_root"):
        raise ImportError("the C core is older than this source: build it again")
    if _sodium_ffi.typeof(verifier).cname != SIGN_OPEN:
        raise ImportError(f"this PyNaCl's crypto_sign_open is a {_sodium_ffi.typeof(verifier).cname}")
    address = int(_sodium_ffi.cast("uintptr_t", verifier))
    return ffi.cast("votenet_sign_open *", address)


def verify_records(domain: bytes, records: Sequence[bytes]) -> list[bool]:
    """For each vote record, whether its signature holds: over `domain` and the record without that member.

    What counts as a record is said in `csrc/votes_cdef.h`; for any other bytes the answer is no. The GIL is
    released once for the whole call, about 50 microseconds a signature: ask for some hundreds.
    """
    count = len(records)
    good = bytearray(count)
    half = bindings.crypto_sign_BYTES + len(domain) + max(map(len, records), default=0)
    result = lib.votenet_verify_records(
        VERIFIER,
        ffi.from_buffer("uint8_t[]", domain),
        len(domain),
        ffi.from_buffer("uint8_t[]", b"".join(records)),
        ffi.from_buffer("uint64_t[]", array("Q", accumulate(map(len, records)))),
        count,
        ffi.from_buffer("uint8_t[]", bytearray(2 * half)),
        2 * half,
        ffi.from_buffer("uint8_t[]", good),
    )
    assert result >= 0, "the arguments are as C wants them"
    return [answer == 1 for answer in good]


def merkle_root(leaves: Sequence[bytes]) -> bytes | None:
    """The Merkle root (RFC 6962) over one leaf hash or more; None where hashlib does it as fast."""
    nodes = bytearray().join(leaves)
    if lib.votenet_merkle_root(ffi.from_buffer("uint8_t[]", nodes), len(leaves)):
        return None
    return bytes(nodes[:32])


def self_test() -> None:
    """One good and one bad signature, by the key of RFC 8032, 7.1, test 1. Raises ImportError."""
    key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    signature = (
        "fd96edc4dcf9cff012b033fe88a78456ef0b8805b887dbdbdaa69753ac9395b8"
        "86dcb4f62f404c86d64e5f2c90ee5d7eaba1bebad085e7e327189cf63073db0a"
    )
    good = f'{{"time":1,"signature":"{signature}","voter_key":"{key}"}}'.encode()
    if verify_records(b"self-test\n", [good, good.replace(b"1", b"2", 1)]) != [True, False]:
        raise ImportError("PyNaCl's crypto_sign_open, called from C, does not verify signatures")


VERIFIER: Final = find_verifier()
self_test()
