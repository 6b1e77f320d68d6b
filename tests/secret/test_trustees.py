"""What is published of trustees: single ones and thresholds, and every change of it."""

from __future__ import annotations

import json
import random
from functools import cache
from itertools import combinations
from typing import Any

import msgspec
import pytest

from support.secret_elections import KeyGeneration, generate_key
from votenet.errors import NotProven
from votenet.secret.group import BASE, GROUP_ORDER, Point, add, draw_scalar, multiply
from votenet.secret.key_generation import value_of
from votenet.secret.trustees import (
    Coefficients,
    check_threshold,
    check_trustee_key,
    election_key,
    is_signed,
    keys_fit_threshold,
    lagrange,
    prove_trustee_key,
    read_trustees,
    sign_message,
    value_at,
    verification_key,
    write_trustees,
)

rng = random.Random(8)


@cache
def generated() -> KeyGeneration:
    return generate_key(2, 3, random.Random(9))


def refused(raw: bytes) -> str:
    with pytest.raises(NotProven) as caught:
        read_trustees(raw)
    return caught.value.code


def test_single_trustees_and_thresholds_make_one_key() -> None:
    secret = draw_scalar(rng.randbytes)
    single = prove_trustee_key(secret, rng.randbytes)
    check_trustee_key(single)
    raw = write_trustees([single, generated().parameters])
    groups = read_trustees(raw)
    assert [(group.threshold, len(group.keys)) for group in groups] == [(1, 1), (2, 3)]
    assert groups[0].subkey == groups[0].keys[0] == multiply(BASE, secret)
    assert election_key(groups) == add(groups[0].subkey, groups[1].subkey)


def test_any_of_the_threshold_hold_the_key() -> None:
    group = check_threshold(generated().parameters)
    for count in (2, 3):
        for places in combinations((1, 2, 3), count):
            secret = sum(generated().secrets[place - 1] * lagrange(places, place) for place in places)
            assert multiply(BASE, secret) == group.subkey
    assert multiply(BASE, generated().secrets[0]) == group.keys[0] != group.subkey


def test_a_polynomial_is_known_by_its_powers() -> None:
    polynomial = [draw_scalar(rng.randbytes) for _ in range(3)]
    published = Coefficients(coefexps=tuple(multiply(BASE, one) for one in polynomial))  # type: ignore[misc]
    for place in (1, 2, 7):
        assert value_at(published, place) == multiply(BASE, value_of(polynomial, place))
        assert verification_key([published] * 2, place) == multiply(BASE, 2 * value_of(polynomial, place))
    assert value_of([3, 2, 1], 5) == 3 + 2 * 5 + 25
    assert lagrange([1, 3], 1) == 3 * pow(2, -1, GROUP_ORDER) % GROUP_ORDER


def test_messages_are_signed_by_one_key() -> None:
    signed = sign_message(7, "a | message", rng.randbytes)
    assert is_signed(multiply(BASE, 7), signed.message, signed.signature)
    assert not is_signed(multiply(BASE, 8), signed.message, signed.signature)
    assert not is_signed(multiply(BASE, 7), "another", signed.signature)


def pedersen() -> list[Any]:
    return json.loads(write_trustees([generated().parameters]))  # type: ignore[no-any-return]


def other() -> dict[str, Any]:
    """The same kind of key generation, by others."""
    return json.loads(write_trustees([generate_key(2, 3, random.Random(10)).parameters]))[0][1]  # type: ignore[no-any-return]


@pytest.mark.parametrize("member", ["certs", "coefexps", "signatures", "verification_keys"])
def test_everything_of_a_threshold_is_bound_together(member: str) -> None:
    """Missing, doubled, in another order, of another trustee, of another key generation."""
    for change in ("missing", "twice", "swapped", "copied", "foreign"):
        document = pedersen()
        row = document[0][1][member]
        if change == "missing":
            row.pop()
        elif change == "twice":
            row.append(row[0])
        elif change == "swapped":
            row.reverse()
        elif change == "copied":
            row[1] = row[0]
        else:
            row[1] = other()[member][1]
        assert refused(msgspec.json.encode(document)) in {"bad-trustee-certificate", "bad-key-generation"}


def test_a_proof_or_signature_that_does_not_hold_is_refused() -> None:
    for path in (
        ("certs", 0, "signature"),
        ("coefexps", 1, "signature"),
        ("signatures", 2),
        ("verification_keys", 0, "pok"),
        ("verification_keys", 1, "signature"),
    ):
        for name in ("challenge", "response"):
            document = pedersen()
            inner = document[0][1]
            for step in path:
                inner = inner[step]
            inner[name] = str((int(inner[name]) + 1) % GROUP_ORDER)
            assert refused(msgspec.json.encode(document)) in {
                "bad-trustee-certificate",
                "bad-key-generation",
                "bad-trustee-proof",
            }


def test_keys_of_two_trustees_are_not_those_of_three() -> None:
    """A threshold that is too high hides that fewer trustees can open votes."""
    keys = [key.public_key for key in generate_key(2, 4, rng).parameters.verification_keys]
    assert [keys_fit_threshold(keys, threshold) for threshold in (1, 2, 3, 4)] == [False, True, False, False]
    one = [Point(BASE)] * 3
    assert [keys_fit_threshold(one, threshold) for threshold in (1, 2, 3)] == [True, False, False]


def test_other_documents_are_refused() -> None:
    document = pedersen()
    document[0][1]["threshold"] = 3
    assert refused(msgspec.json.encode(document)) == "bad-key-generation"
    document = pedersen()
    del document[0][1]["verification_keys"][0]["signature"]
    assert refused(msgspec.json.encode(document)) == "bad-key-generation"
    document = pedersen()
    document[0][0] = "Shamir"
    assert refused(msgspec.json.encode(document)) == "bad-document"
    assert refused(b"[]") == "bad-document"
    assert refused(json.dumps(pedersen()).encode()) == "not-canonical"
    single = json.loads(write_trustees([prove_trustee_key(5, rng.randbytes)]))
    single[0][1]["public_key"] = BASE.written()
    assert refused(msgspec.json.encode(single)) == "bad-trustee-proof"
