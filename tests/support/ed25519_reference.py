"""Ed25519's group in plain numbers (RFC 8032, 5.1; Belenios' specification 5.2.1), without libsodium."""

from __future__ import annotations

from typing import Final, NamedTuple, Self

FIELD: Final = 2**255 - 19
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
D: Final = -121665 * pow(121666, -1, FIELD) % FIELD
ROOT_OF_MINUS_ONE: Final = pow(2, (FIELD - 1) // 4, FIELD)


Projective = tuple[int, int, int]


class Affine(NamedTuple):
    """A point of the whole curve, which has eight times as many as the group."""

    x: int
    y: int

    def __add__(self, other: Self) -> Self:  # type: ignore[override]
        both = D * self.x * other.x * self.y * other.y
        x = (self.x * other.y + self.y * other.x) * pow(1 + both, -1, FIELD)
        y = (self.y * other.y + self.x * other.x) * pow(1 - both, -1, FIELD)
        return type(self)(x % FIELD, y % FIELD)

    def times(self, factor: int) -> Affine:
        """In projective coordinates (X, Y, Z): one division at the end, not two for each sum."""
        result, power = (0, 1, 1), (self.x, self.y, 1)
        while factor:
            if factor & 1:
                result = _projective_sum(result, power)
            power = _projective_sum(power, power)
            factor >>= 1
        inverse = pow(result[2], -1, FIELD)
        return Affine(result[0] * inverse % FIELD, result[1] * inverse % FIELD)

    def opposite(self) -> Affine:
        return Affine(-self.x % FIELD, self.y)

    def is_member(self) -> bool:
        return self.times(ORDER) == (0, 1)

    def packed(self) -> bytes:
        """As libsodium holds it."""
        return (self.y | (self.x & 1) << 255).to_bytes(32, "little")


def _projective_sum(left: Projective, right: Projective) -> Projective:
    x1, y1, z1 = left
    x2, y2, z2 = right
    z = z1 * z2 % FIELD
    square = z * z % FIELD
    x, y = x1 * x2 % FIELD, y1 * y2 % FIELD
    both = D * x * y % FIELD
    less, more = square - both, square + both
    cross = (x1 + y1) * (x2 + y2) - x - y
    return z * less * cross % FIELD, z * more * (y + x) % FIELD, less * more % FIELD


def unpacked(raw: bytes) -> Affine | None:
    """The point in 32 bytes; None if there is none, or if they are not its only form."""
    number = int.from_bytes(raw, "little")
    y, sign = number & (2**255 - 1), number >> 255
    if y >= FIELD:
        return None
    above, below = y * y - 1, D * y * y + 1
    square = above * pow(below, -1, FIELD) % FIELD
    x = pow(square, (FIELD + 3) // 8, FIELD)
    if x * x % FIELD != square:
        x = x * ROOT_OF_MINUS_ONE % FIELD
    if x * x % FIELD != square or (x == 0 and sign):
        return None
    return Affine(x if x & 1 == sign else FIELD - x, y)


GENERATOR: Final = unpacked(bytes([0x58]) + bytes([0x66]) * 31) or Affine(0, 1)


def small_points() -> list[Affine]:
    """The eight points whose order divides eight: multiples of one that is outside the group."""
    for y in range(2, 100):
        point = unpacked(y.to_bytes(32, "little"))
        if point is not None and (torsion := point.times(ORDER)).times(4) != (0, 1):
            return [torsion.times(factor) for factor in range(8)]
    raise AssertionError("every second point leads to one of order eight")
