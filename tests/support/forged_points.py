"""Ballots whose proofs all hold, but with a ciphertext that no honest maker gets."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from support import ed25519_reference as reference
from support.secret_elections import SampleElection
from votenet.errors import NotProven
from votenet.secret import ballot, proofs
from votenet.secret.ballot import check_ballot, make_ballot
from votenet.secret.credentials import secret_exponent
from votenet.secret.elgamal import Ciphertext, encrypt
from votenet.secret.group import Combination, Point, add


def ballot_with_identity(sample: SampleElection, choices: Sequence[Sequence[int]]) -> bytes:
    """A ballot of the first voter whose first choice has the exponent zero: alpha is the identity."""
    draws = iter([bytes(64)])
    secret = secret_exponent(sample.credentials[0], sample.uuid)
    return make_ballot(
        sample.election, secret, choices, lambda count: next(draws, b"") or sample.rng.randbytes(count)
    )


def ballot_with_small_order(
    sample: SampleElection, choices: Sequence[Sequence[int]], monkeypatch: pytest.MonkeyPatch
) -> bytes:
    """A ballot of the first voter with a point of order two added to its first alpha.

    The proofs hold where that point takes part with even challenges: that takes some tries. The reference
    computes, because libsodium refuses such points.
    """
    secret = secret_exponent(sample.credentials[0], sample.uuid)
    order_two = next(Point(one.packed()) for one in reference.small_points() if one.times(2) == (0, 1) != one)
    first = [True]

    def forge(key: Point, number: int, randomness: int) -> Ciphertext:
        honest = encrypt(key, number, randomness)
        if not first:
            return honest
        first.clear()
        return Ciphertext(alpha=Point(add(honest.alpha, order_two)), beta=honest.beta)

    with monkeypatch.context() as patch:
        patch.setattr(ballot, "encrypt", forge)
        patch.setattr(proofs, "multiply", plain_multiply)
        patch.setattr(proofs, "combine", plain_combine)
        for _ in range(100):
            first.append(True)
            raw = make_ballot(sample.election, secret, choices, sample.rng.randbytes)
            try:
                check_ballot(sample.election, raw, sample.roll)
            except NotProven:
                continue
            return raw
    raise AssertionError("one ballot in four has even challenges")


def plain_combine(combinations: Sequence[Combination]) -> list[Point | None]:
    """Takes every point of the curve for a member."""
    return [
        add(plain_multiply(one.base, one.exponent), plain_multiply(one.other, one.other_exponent))
        for one in combinations
    ]


def plain_multiply(point: Point, factor: int) -> Point:
    plain = reference.unpacked(point)
    assert plain is not None
    return Point(plain.times(factor % reference.ORDER).packed())
