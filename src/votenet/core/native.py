"""Many signatures in one call of the C core. ImportError where that cannot be had.

What lives here: the way from Python's bytes to `csrc/signature_batch.c`, with libsodium's own
`crypto_sign_open` as its verifier, taken out of PyNaCl. What must not: rules, or anything cffi-typed
that leaves this file. Besides `pow/native.py` the only importer of `votenet._pow`.

PyNaCl does not promise the function that is taken out of it. Where it is missing, has another type or
fails the self-test, importing this module fails, and `keys.py` asks about one signature at a time.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final

from nacl import _sodium, bindings

from votenet._pow import ffi as _ffi
from votenet._pow import lib as _lib

ffi: Any = _ffi
lib: Any = _lib
_sodium_ffi: Any = _sodium.ffi

SIGN_OPEN: Final = (
    "int(*)(unsigned char *, unsigned long long *, unsigned char *, unsigned long long, unsigned char *)"
)
"""The type of libsodium's crypto_sign_open; cffi leaves out `const`."""


def _find_verifier() -> Any:
    """The address of crypto_sign_open. Raises ImportError."""
    try:
        found = _sodium_ffi.addressof(_sodium.lib, "crypto_sign_open")
    except AttributeError as error:
        raise ImportError("this PyNaCl has no crypto_sign_open") from error
    if not hasattr(lib, "votenet_verify_records"):
        raise ImportError("the C core is older than this source: build it again")
    if _sodium_ffi.typeof(found).cname != SIGN_OPEN:
        raise ImportError(f"this PyNaCl's crypto_sign_open is a {_sodium_ffi.typeof(found).cname}")
    address = int(_sodium_ffi.cast("uintptr_t", found))
    return ffi.cast("votenet_sign_open *", address)


def verify_batch(publics: Sequence[bytes], signed: Sequence[bytes]) -> list[bool]:
    """For each key (32 bytes), whether the signed message (64 bytes of signature, then the message) is good.

    The GIL is released once for the whole call, about 60 microseconds a signature: ask for some hundreds.
    Raises ValueError if the lengths are not so.
    """
    count = len(signed)
    if len(publics) != count or any(len(public) != bindings.crypto_sign_PUBLICKEYBYTES for public in publics):
        raise ValueError("each signed message needs one key of 32 bytes")
    good = bytearray(count)
    found = lib.votenet_verify_signatures(
        _verifier,
        ffi.from_buffer("uint8_t[]", b"".join(publics)),
        ffi.from_buffer("uint8_t[]", b"".join(signed)),
        ffi.from_buffer("uint64_t[]", array("Q", accumulate(map(len, signed)))),
        count,
        ffi.from_buffer("uint8_t[]", bytearray(max(map(len, signed), default=0))),
        ffi.from_buffer("uint8_t[]", good),
    )
    if found < 0:
        raise ValueError("a signed message has at least 64 bytes")
    return [answer == 1 for answer in good]


def verify_records(domain: bytes, records: Sequence[bytes]) -> list[bool]:
    """For each vote record, whether its signature holds: over `domain` and the record without that member.

    What counts as a record is said in `csrc/signature_cdef.h`; for any other bytes the answer is no. One
    call without the GIL, as `verify_batch`.
    """
    count = len(records)
    good = bytearray(count)
    half = bindings.crypto_sign_BYTES + len(domain) + max(map(len, records), default=0)
    found = lib.votenet_verify_records(
        _verifier,
        ffi.from_buffer("uint8_t[]", domain),
        len(domain),
        ffi.from_buffer("uint8_t[]", b"".join(records)),
        ffi.from_buffer("uint64_t[]", array("Q", accumulate(map(len, records)))),
        count,
        ffi.from_buffer("uint8_t[]", bytearray(2 * half)),
        2 * half,
        ffi.from_buffer("uint8_t[]", good),
    )
    assert found >= 0, "the arguments are as C wants them"
    return [answer == 1 for answer in good]


def _self_test() -> None:
    """One good and one bad signature (RFC 8032, 7.1, test 1). Raises ImportError."""
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    signature = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    if verify_batch([public, public], [signature, signature + b"?"]) != [True, False]:
        raise ImportError("PyNaCl's crypto_sign_open, called from C, does not verify signatures")


_verifier: Final = _find_verifier()
_self_test()
