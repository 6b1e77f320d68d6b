"""Many multiplications and sums of points in one call of the C core. ImportError where there is none.

The functions that compute are libsodium's own, taken out of PyNaCl, which does not promise them. Where one
is missing, has another type or fails the self-test, importing this module fails, and Python calls PyNaCl for
each point. Only the modules of this name, in `pow`, `core` and `secret`, import `votenet._pow`; nothing
cffi-typed leaves them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from nacl import _sodium as sodium

from votenet._pow import ffi as _ffi
from votenet._pow import lib as _lib

ffi: Any = _ffi
lib: Any = _lib
_sodium_ffi: Any = sodium.ffi

SIZE: Final = 32
"""Bytes of a point, and of a scalar."""


class Function(NamedTuple):
    """A member of the C core's `votenet_group`, and the function of libsodium that it points to."""

    member: str
    member_type: str
    name: str
    type: str
    """As cffi writes it: without `const`."""


_THREE: Final = "int(*)(unsigned char *, unsigned char *, unsigned char *)"
FUNCTIONS: Final = (
    Function("add", "votenet_add_points *", "crypto_core_ed25519_add", _THREE),
    Function(
        "is_member", "votenet_is_member *", "crypto_core_ed25519_is_valid_point", "int(*)(unsigned char *)"
    ),
    Function("multiply", "votenet_multiply *", "crypto_scalarmult_ed25519_noclamp", _THREE),
    Function(
        "multiply_base",
        "votenet_multiply_base *",
        "crypto_scalarmult_ed25519_base_noclamp",
        "int(*)(unsigned char *, unsigned char *)",
    ),
)


def find_group() -> Any:
    """The `votenet_group` of libsodium's functions. Raises ImportError."""
    if not hasattr(lib, "votenet_combine"):
        raise ImportError("the C core is older than this source: build it again")
    group = ffi.new("votenet_group *")
    for one in FUNCTIONS:
        try:
            function = _sodium_ffi.addressof(sodium.lib, one.name)
        except AttributeError as error:
            raise ImportError(f"this PyNaCl has no {one.name}") from error
        if _sodium_ffi.typeof(function).cname != one.type:
            raise ImportError(f"this PyNaCl's {one.name} is a {_sodium_ffi.typeof(function).cname}")
        address = int(_sodium_ffi.cast("uintptr_t", function))
        setattr(group, one.member, ffi.cast(one.member_type, address))
    return group


def combine(terms: Sequence[bytes]) -> list[bytes | None]:
    """For each term base * exponent + other * other_exponent; None where a point is outside the group.

    The GIL is released once for the whole call, about 150 microseconds a term.

    Args:
        terms: 128 bytes each: base, exponent, other, other exponent; exponents are little-endian and below
            the order.
    """
    count = len(terms)
    joined = b"".join(terms)
    assert len(joined) == 4 * SIZE * count, "a term has 128 bytes"
    results, good = bytearray(SIZE * count), bytearray(count)
    done = lib.votenet_combine(
        GROUP,
        ffi.from_buffer("uint8_t[]", joined),
        count,
        ffi.from_buffer("uint8_t[]", results),
        ffi.from_buffer("uint8_t[]", good),
    )
    assert done >= 0, "the arguments are as C wants them"
    return _points(results, good)


def add_pairs(points: Sequence[bytes], pairs: Sequence[tuple[int, int]]) -> list[bytes | None]:
    """The sum of each pair; None where a point is not on the curve.

    The GIL is released once for the whole call, about 11 microseconds a sum. Membership is not checked.

    Args:
        pairs: two places each: of points, from 0 on, or of sums before it, from len(points) on.
    """
    given, count = len(points), len(pairs)
    table, good = bytearray().join(points), bytearray(count)
    assert len(table) == SIZE * given, "a point has 32 bytes"
    table += bytes(SIZE * count)
    places = ffi.new("uint32_t[]", list(chain.from_iterable(pairs)))
    done = lib.votenet_add_pairs(
        GROUP,
        ffi.from_buffer("uint8_t[]", table),
        given,
        places,
        count,
        ffi.from_buffer("uint8_t[]", good),
    )
    assert done >= 0, "the arguments are as C wants them"
    return _points(table[SIZE * given :], good)


def _points(results: bytearray, good: bytearray) -> list[bytes | None]:
    return [
        bytes(results[SIZE * place : SIZE * (place + 1)]) if holds else None
        for place, holds in enumerate(good)
    ]


def self_test() -> None:
    """g + g, what comes to the identity, points outside the group with even factors. Raises ImportError."""
    order = 2**252 + 27742317777372353535851937790883648493
    base, identity = bytes([0x58]) + bytes([0x66]) * 31, bytes([1]) + bytes(31)
    double = bytes.fromhex("c9a3f86aae465f0e56513864510f3997561fa2c9e85ea21dc2292309f3cd6022")
    order_two = (2**255 - 20).to_bytes(32, "little")
    mixed, sum_of_two = add_pairs([base, order_two], [(0, 1), (0, 0)])

    def term(point: bytes, factor: int, other: bytes, other_factor: int) -> bytes:
        scalars = [one.to_bytes(32, "little") for one in (factor, other_factor)]
        return point + scalars[0] + other + scalars[1]

    found = combine(
        [
            term(base, 1, base, 1),
            term(double, 3, base, order - 6),
            term(base, 5, mixed or b"", 4),
            term(base, 5, order_two, 0),
        ]
    )
    if sum_of_two != double or found != [double, identity, None, None]:
        raise ImportError("PyNaCl's functions for Ed25519, called from C, do not compute in the group")


GROUP: Final = find_group()
self_test()
