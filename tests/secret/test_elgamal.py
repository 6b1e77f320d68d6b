"""Encryption of small numbers, and sums of encryptions."""

from __future__ import annotations

import random

from votenet.secret.elgamal import Encryption, SmallLogarithms, encrypt, encrypted_sum
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
    assert decrypted(total.less(7)) == IDENTITY
    assert total.less(0) == total
    assert encrypted_sum([]) == (IDENTITY, IDENTITY)
    assert total.written() == f"{total.alpha.written()},{total.beta.written()}"


def test_logarithms_are_found_up_to_the_largest() -> None:
    for largest in (0, 1, 2, 3, 8, 9, 10, 99):
        logarithms = SmallLogarithms(largest)
        power: Point = IDENTITY
        for exponent in range(largest + 12):
            assert logarithms.find(power) == (exponent if exponent <= largest else None)
            power = add(power, BASE)
        assert logarithms.find(multiply(BASE, -1)) is None
    assert SmallLogarithms(10**6).find(multiply(BASE, 987_654)) == 987_654
