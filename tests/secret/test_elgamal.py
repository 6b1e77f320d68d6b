"""Encryption of small numbers, and sums of encryptions."""

from __future__ import annotations

import random

import pytest

from support.plain_ballot_check import encrypted_sum, less
from support.secret_elections import refusing
from votenet.secret.elgamal import (
    Ciphertext,
    Encryption,
    SmallLogarithms,
    answer_sums,
    encrypt,
)
from votenet.secret.group import BASE, IDENTITY, Point, add, draw_scalar, multiply, subtract

rng = random.Random(4)
SECRET = draw_scalar(rng.randbytes)
KEY = Point(multiply(BASE, SECRET))


def decrypted(encryption: Encryption) -> Point:
    return subtract(encryption.beta, multiply(encryption.alpha, SECRET))


def test_sums_of_encryptions_encrypt_the_sums() -> None:
    numbers = [0, 1, 1, 0, 5]
    one_by_one = [encrypt(KEY, number, draw_scalar(rng.randbytes)) for number in numbers]
    for number, ciphertext in zip(numbers, one_by_one, strict=True):
        assert decrypted(Encryption.of(ciphertext)) == multiply(BASE, number)
    total = encrypted_sum(one_by_one)
    assert decrypted(total) == multiply(BASE, 7)
    assert decrypted(less(total, 7)) == IDENTITY
    assert less(total, 0) == total
    assert encrypted_sum([]) == (IDENTITY, IDENTITY)
    assert total.written() == f"{total.alpha.written()},{total.beta.written()}"


@pytest.mark.parametrize("first", [0, 1])
def test_the_sums_of_an_answer_are_those_of_its_encryptions(first: int) -> None:
    choices = [encrypt(KEY, number, draw_scalar(rng.randbytes)) for number in (1, 0, 1, 1)]
    sums = answer_sums(choices, first, range(4))
    total = encrypted_sum(choices[first:])
    assert sums.less_one == [less(Encryption.of(choice), 1) for choice in choices]
    assert (sums.total, sums.less) == (total, [less(total, number) for number in range(4)])
    single = answer_sums(choices[:1], 0, [0, 1])
    assert single.less == [Encryption.of(choices[0]), *single.less_one]


def test_there_is_no_sum_of_what_is_not_on_the_curve() -> None:
    wrong = Ciphertext(alpha=BASE, beta=Point((2).to_bytes(32, "little")))
    with refusing("bad-point"):
        answer_sums([wrong, wrong], 0, [1])


def test_logarithms_are_found_up_to_the_largest() -> None:
    for largest in (0, 1, 2, 3, 8, 9, 10, 99):
        logarithms = SmallLogarithms(largest)
        power: Point = IDENTITY
        for exponent in range(largest + 12):
            assert logarithms.find(power) == (exponent if exponent <= largest else None)
            power = add(power, BASE)
        assert logarithms.find(multiply(BASE, -1)) is None
    assert SmallLogarithms(10**6).find(multiply(BASE, 987_654)) == 987_654
