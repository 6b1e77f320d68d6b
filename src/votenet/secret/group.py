"""The group of Belenios' elections, Ed25519 (specification 5.2.1): points, scalars, and how they are written.

This is the one module that knows how points and scalars are held. libsodium computes; what it refuses to
(0 * P and P * q) is settled here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Final, Self

from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_is_valid_point,
    crypto_core_ed25519_sub,
    crypto_scalarmult_ed25519_base_noclamp,
    crypto_scalarmult_ed25519_noclamp,
)

from votenet.secret.refusals import refusal

GROUP_NAME: Final = "Ed25519"
GROUP_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
"""The specification's q."""

Entropy = Callable[[int], bytes]
"""Returns as many random bytes as are asked for: os.urandom, or a stream that follows from a seed."""

_NUMBER = re.compile(r"(0|[1-9][0-9]{0,75})\Z")
_HEX = re.compile(r"[0-9a-f]{64}\Z")


class Scalar(int):
    """A number modulo the order of the group."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """From base 10 (4.2). Raises NotProven, code bad-scalar."""
        if not isinstance(text, str) or not _NUMBER.match(text) or int(text) >= GROUP_ORDER:
            raise refusal("bad-scalar", f"{text!r} is not a number below the order of the group")
        return cls(text)

    def written(self) -> str:
        return str(int(self))


class Point(bytes):
    """A member of the group but its identity: 32 bytes, as libsodium holds them."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """From 64 hexadecimal digits, the most significant first. Raises NotProven, code bad-point."""
        if not isinstance(text, str) or not _HEX.match(text):
            raise refusal("bad-point", f"{text!r} is not a point in 64 hexadecimal digits")
        point = cls(bytes.fromhex(text)[::-1])
        if not point.is_member():
            raise refusal("bad-point", f"{text} is not a member of the group, or is its identity")
        return point

    def is_member(self) -> bool:
        """Whether it is canonical, on the curve, of the group's order and not the identity."""
        return crypto_core_ed25519_is_valid_point(self)

    def written(self) -> str:
        return self[::-1].hex()


class SumPoint(Point):
    """A member of the group, also its identity: what a sum of nothing comes to."""

    __slots__ = ()

    def is_member(self) -> bool:
        return self == IDENTITY or super().is_member()


IDENTITY: Final = SumPoint(bytes([1]) + bytes(31))
BASE: Final = Point(bytes([0x58]) + bytes([0x66]) * 31)
"""The specification's generator g: its y is 4/5, its x is even."""


def add(left: Point, right: Point) -> Point:
    """The specification's product of two members."""
    return SumPoint(crypto_core_ed25519_add(left, right))


def subtract(left: Point, right: Point) -> Point:
    """The specification's quotient of two members."""
    return SumPoint(crypto_core_ed25519_sub(left, right))


def multiply(point: Point, factor: int) -> Point:
    """The specification's power of a member."""
    factor %= GROUP_ORDER
    if not factor or point == IDENTITY:
        return IDENTITY
    encoded = factor.to_bytes(32, "little")
    if point == BASE:
        return SumPoint(crypto_scalarmult_ed25519_base_noclamp(encoded))
    return SumPoint(crypto_scalarmult_ed25519_noclamp(encoded, point))


def add_all(points: Iterable[Point]) -> Point:
    total: Point = IDENTITY
    for point in points:
        total = add(total, point)
    return total


def hash_to_scalar(text: str) -> Scalar:
    """SHA-256 as a big-endian number modulo the order (4.5 and wherever a challenge is computed)."""
    return Scalar(int.from_bytes(hashlib.sha256(text.encode()).digest()) % GROUP_ORDER)


def challenge_for(prefix: str, commitments: Iterable[Point]) -> Scalar:
    """The challenge over a prefix, which ends in a vertical bar, and points separated by commas."""
    return hash_to_scalar(prefix + ",".join(point.written() for point in commitments))


def draw_scalar(entropy: Entropy) -> Scalar:
    """A uniform number modulo the order: 512 bits leave a bias below 2**-256."""
    return Scalar(int.from_bytes(entropy(64)) % GROUP_ORDER)


def self_test() -> None:
    """A libsodium that takes a point outside the group for a member (CVE-2025-69277) is not used.

    Raises ImportError.
    """
    order_two = Point((2**255 - 20).to_bytes(32, "little"))
    if not BASE.is_member() or order_two.is_member() or add(BASE, order_two).is_member():
        raise ImportError("this libsodium does not know the members of Ed25519's group: PyNaCl 1.6.2 does")


self_test()
