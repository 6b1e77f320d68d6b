"""ElGamal encryption of small numbers in the exponent (specification 4.11.1), and sums of encryptions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import isqrt
from typing import NamedTuple

from votenet.secret.documents import Document
from votenet.secret.group import BASE, IDENTITY, Point, SumPoint, Sums, add, multiply, subtract


class Ciphertext(Document, frozen=True):
    """The specification's `ciphertext` (4.3), as a ballot holds it."""

    alpha: Point
    beta: Point


class SumCiphertext(Document, frozen=True):
    """The same as an encrypted tally holds it: of no ballots it is the identity twice."""

    alpha: SumPoint
    beta: SumPoint


class Encryption(NamedTuple):
    """The two points of a ciphertext in computations."""

    alpha: Point
    beta: Point

    @classmethod
    def of(cls, ciphertext: Ciphertext | SumCiphertext) -> Encryption:
        return cls(ciphertext.alpha, ciphertext.beta)

    def written(self) -> str:
        return f"{self.alpha.written()},{self.beta.written()}"


class AnswerSums(NamedTuple):
    """The encryptions that follow from those of an answer."""

    less_one: list[Encryption]
    """Of each choice."""
    total: Encryption
    less: list[Encryption]
    """The total less each number."""


def answer_sums(choices: Sequence[Ciphertext], first: int, numbers: Sequence[int]) -> AnswerSums:
    """What the proofs of an answer are about (4.12, 4.13, 4.18), in one call where the C core is built.

    Raises NotProven, code bad-point.

    Args:
        first: the choice at which the total begins; there is at least one.
        numbers: that are taken from the total.
    """
    count = len(choices)
    powers = [negative_power(number) for number in (1, *numbers)]
    sums = Sums([*(one.alpha for one in choices), *(one.beta for one in choices), *powers])
    less_one = [sums.plus(count + place, 2 * count) for place in range(count)]
    alpha, beta = (sums.plus_all(range(begin + first, begin + count)) for begin in (0, count))
    less = [
        sums.plus(beta, place) if number else beta
        for place, number in enumerate(numbers, start=2 * count + 1)
    ]
    points = sums.computed()
    return AnswerSums(
        [Encryption(one.alpha, points[place]) for one, place in zip(choices, less_one, strict=True)],
        Encryption(points[alpha], points[beta]),
        [Encryption(points[alpha], points[place]) for place in less],
    )


@lru_cache(maxsize=256)
def negative_power(number: int) -> Point:
    """g^-number, for numbers of candidates."""
    return multiply(BASE, -number)


def encrypt(key: Point, number: int, randomness: int) -> Ciphertext:
    """alpha = g^r, beta = y^r g^m (4.11.1)."""
    beta = add(multiply(key, randomness), multiply(BASE, number))
    return Ciphertext(alpha=Point(multiply(BASE, randomness)), beta=Point(beta))


class SmallLogarithms:
    """Exponents of g from 0 to `largest` (4.21): sqrt(largest) additions to prepare, as many for each."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._step = isqrt(largest) + 1
        self._giant = multiply(BASE, self._step)
        self._baby: dict[Point, int] = {}
        power: Point = IDENTITY
        for exponent in range(self._step):
            self._baby[power] = exponent
            power = add(power, BASE)

    def find(self, power: Point) -> int | None:
        """The exponent of this power of g; None if it is larger."""
        for count in range(self._step):
            if (rest := self._baby.get(power)) is not None:
                found = count * self._step + rest
                return found if found <= self._largest else None
            power = subtract(power, self._giant)
        return None
