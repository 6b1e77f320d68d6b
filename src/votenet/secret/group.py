"""The group of Belenios' elections, Ed25519 (specification 5.2.1): points, scalars, and how they are written.

This is the one module that knows how points and scalars are held. libsodium computes; what it refuses to
(0 * P and P * q) is settled here. Many products or sums are computed by `combine` and `add_pairs`, in one
call of the C core (`native.py`) where that is built; the functions beside them define what is correct.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache, reduce
from types import ModuleType
from typing import Final, NamedTuple, Self

from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_is_valid_point,
    crypto_core_ed25519_sub,
    crypto_scalarmult_ed25519_base_noclamp,
    crypto_scalarmult_ed25519_noclamp,
)
from nacl.exceptions import CryptoError

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
        if isinstance(text, str) and _NUMBER.match(text) and (number := cls(text)) < GROUP_ORDER:
            return number
        raise refusal("bad-scalar", f"{text!r} is not a number below the order of the group")

    def written(self) -> str:
        return str(int(self))


class Point(bytes):
    """A member of the group but its identity: 32 bytes, as libsodium holds them."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """From 64 hexadecimal digits, the most significant first. Raises NotProven, code bad-point."""
        point = cls.read(text)
        if not point.is_member():
            raise refusal("bad-point", f"{text} is not a member of the group, or is its identity")
        return point

    @classmethod
    def read(cls, text: str) -> Self:
        """The same without the check of membership, which costs half a multiplication.

        Whoever reads a point so must have it checked by `combine`. Raises NotProven, code bad-point.
        """
        if not isinstance(text, str) or not _HEX.match(text):
            raise refusal("bad-point", f"{text!r} is not a point in 64 hexadecimal digits")
        point = cls(bytes.fromhex(text)[::-1])
        if point == IDENTITY and not point.is_member():
            raise refusal("bad-point", f"{text} is the identity of the group")
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
    encoded = _encoded(factor)
    if point == BASE:
        return SumPoint(crypto_scalarmult_ed25519_base_noclamp(encoded))
    return SumPoint(crypto_scalarmult_ed25519_noclamp(encoded, point))


class Sums:
    """Sums of points, and of sums, that are computed together.

    Each has a place. The given points have the first ones, from 0 on.
    """

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = points
        self._pairs: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._points) + len(self._pairs)

    def plus(self, left: int, right: int) -> int:
        """The place of the sum of the points at these places."""
        self._pairs.append((left, right))
        return len(self) - 1

    def plus_all(self, places: Sequence[int]) -> int:
        """The place of the sum of the points at these places, of which there is at least one."""
        return reduce(self.plus, places)

    def computed(self) -> list[Point]:
        """All points by their places. Raises NotProven, code bad-point, if one is not on the curve."""
        points = list(self._points)
        for found in add_pairs(points, self._pairs):
            if found is None:
                raise refusal("bad-point", "a point is not on the curve")
            points.append(found)
        return points


def add_all(points: Iterable[Point]) -> Point:
    """The sum of members: of none it is the identity."""
    sums = Sums([IDENTITY, *points])
    sums.plus_all(range(len(sums)))
    return sums.computed()[-1]


class Combination(NamedTuple):
    """base * exponent + other * other_exponent: what a verifier computes of a claim of a proof."""

    base: Point
    exponent: int
    other: Point
    other_exponent: int


def combine(combinations: Sequence[Combination]) -> list[Point | None]:
    """The value of each; None where one of its points is outside the group.

    The identity is taken as it is.
    """
    native = native_group()
    if native is None:
        return [_combine(*one) for one in combinations]
    terms = [
        b"".join((one.base, _encoded(one.exponent), one.other, _encoded(one.other_exponent)))
        for one in combinations
    ]
    return [None if found is None else SumPoint(found) for found in native.combine(terms)]


def add_pairs(points: Sequence[Point], pairs: Sequence[tuple[int, int]]) -> list[Point | None]:
    """The sum of each pair of places: of points, from 0 on, or of sums before it, from len(points) on.

    None where one of them is not on the curve. Membership is not checked.
    """
    native = native_group()
    if native is None:
        return _add_pairs(points, pairs)
    return [None if found is None else SumPoint(found) for found in native.add_pairs(points, pairs)]


@cache
def native_group() -> ModuleType | None:
    try:
        from votenet.secret import native
    except ImportError:
        return None
    return native


def _combine(base: Point, exponent: int, other: Point, other_exponent: int) -> Point | None:
    left, right = _product(base, exponent), _product(other, other_exponent)
    return None if left is None or right is None else add(left, right)


def _product(point: Point, factor: int) -> Point | None:
    """`multiply`, or None where the point is outside the group. C does the same."""
    if factor % GROUP_ORDER == 0 and point != IDENTITY:
        return IDENTITY if Point(point).is_member() else None
    try:
        return multiply(point, factor)
    except CryptoError:
        return None


def _add_pairs(points: Sequence[Point], pairs: Sequence[tuple[int, int]]) -> list[Point | None]:
    sums: list[Point | None] = [*points]
    for left, right in pairs:
        one, other = sums[left], sums[right]
        try:
            sums.append(None if one is None or other is None else add(one, other))
        except CryptoError:
            sums.append(None)
    return sums[len(points) :]


def _encoded(factor: int) -> bytes:
    return (factor % GROUP_ORDER).to_bytes(32, "little")


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
