"""The key generation: every step among honest trustees, and each way to cheat in it."""

from __future__ import annotations

import random
from functools import cache

import msgspec
import pytest

from support.secret_elections import KeyGeneration, generate_key, refusing
from votenet.errors import NotProven
from votenet.secret.documents import encode
from votenet.secret.group import BASE, Point, Scalar, multiply
from votenet.secret.key_generation import (
    DecryptionKey,
    SecretShare,
    TrusteeSeed,
    VerificationInput,
    check_polynomials,
    finish_threshold,
    finish_trustee,
    make_polynomial,
    make_trustee_certificate,
    open_sealed,
    receive,
    restore_decryption_key,
    route_polynomials,
    seal,
    send,
)
from votenet.secret.trustees import check_threshold, sign_message

rng = random.Random(11)
MESSAGE = SecretShare(secret=Scalar(7))


@cache
def generated() -> KeyGeneration:
    return generate_key(2, 3, random.Random(12))


@pytest.mark.parametrize(("threshold", "size"), [(1, 1), (2, 2), (3, 4)])
def test_every_threshold_can_be_generated(threshold: int, size: int) -> None:
    run = generate_key(threshold, size, random.Random(size))
    group = check_threshold(run.parameters)
    assert (group.threshold, len(group.keys)) == (threshold, size)
    for key, secret, seed, output in zip(group.keys, run.secrets, run.seeds, run.outputs, strict=True):
        assert key == multiply(BASE, secret)
        assert restore_decryption_key(seed, output.private_key) == secret


def test_a_seed_is_22_characters() -> None:
    seed = TrusteeSeed.draw(rng.randbytes)
    assert TrusteeSeed.parse(seed.text) == seed
    assert seed.signing_key != seed.decryption_key
    draws = iter([b"\xff" * 64, rng.randbytes(64)])
    assert len(TrusteeSeed.draw(lambda count: next(draws)).text) == 22
    for text in ("", seed.text[:-1], seed.text[:-1] + "0"):
        with pytest.raises(NotProven):
            TrusteeSeed.parse(text)


def test_a_sealed_message_opens_for_its_recipient_alone() -> None:
    sealed = seal(Point(multiply(BASE, 5)), b"text", rng.randbytes)
    assert open_sealed(5, sealed) == b"text"
    with refusing("bad-key-generation"):
        open_sealed(6, sealed)
    with refusing("bad-key-generation"):
        open_sealed(5, sealed[:-3] + ("0" if sealed[-3] != "0" else "1") + sealed[-2:])
    with refusing("bad-key-generation"):
        open_sealed(5, sealed.replace('"data":"', '"data":"x'))


def test_a_message_is_of_its_sender_and_for_its_recipient() -> None:
    recipient = Point(multiply(BASE, 5))
    sealed = send(7, recipient, MESSAGE, rng.randbytes)
    assert receive(5, Point(multiply(BASE, 7)), sealed, SecretShare) == MESSAGE
    with refusing("bad-key-generation"):
        receive(5, Point(multiply(BASE, 8)), sealed, SecretShare)
    # What was sent to one trustee cannot be passed on to another as if it were for that one.
    passed_on = seal(Point(multiply(BASE, 6)), open_sealed(5, sealed), rng.randbytes)
    with refusing("bad-key-generation"):
        receive(6, Point(multiply(BASE, 7)), passed_on, SecretShare)


def finish(received: VerificationInput, trustee: int = 0) -> None:
    finish_trustee(generated().seeds[trustee], generated().certificates, received, rng.randbytes)


def test_a_share_that_does_not_fit_is_named() -> None:
    run = generated()
    received = route_polynomials(run.certificates, run.polynomials)[0]
    finish(received)
    wrong = send(run.seeds[1].signing_key, own_key(0), MESSAGE, rng.randbytes)
    secrets = (received.secrets[0], wrong, received.secrets[2])
    with refusing("bad-share"):
        finish(msgspec.structs.replace(received, secrets=secrets))
    with refusing("bad-key-generation"):
        finish(msgspec.structs.replace(received, secrets=received.secrets[:2]))


def test_the_sender_of_a_share_that_cannot_be_opened_is_named() -> None:
    run = generated()
    received = route_polynomials(run.certificates, run.polynomials)[0]
    signing, own = run.seeds[1].signing_key, own_key(0)
    for wrong in (
        "no JSON",
        seal(own, b"\xff no JSON", rng.randbytes),
        send(signing, own_key(2), MESSAGE, rng.randbytes),
        send(run.seeds[2].signing_key, own, MESSAGE, rng.randbytes),
        send(signing, own, DecryptionKey(decryption_key=Scalar(7)), rng.randbytes),
    ):
        secrets = (received.secrets[0], wrong, received.secrets[2])
        with pytest.raises(NotProven) as refused:
            finish(msgspec.structs.replace(received, secrets=secrets))
        assert (refused.value.code, refused.value.message) == (
            "bad-share",
            "the part of trustee 2 for you cannot be opened",
        )
    for parts in (received.secrets[::-1], route_polynomials(run.certificates, run.polynomials)[1].secrets):
        with refusing("bad-share"):
            finish(msgspec.structs.replace(received, secrets=parts))


def own_key(trustee: int) -> Point:
    return Point(multiply(BASE, generated().seeds[trustee].decryption_key))


def test_a_trustee_who_tells_others_other_coefficients_is_found_out() -> None:
    """Each run is signed by itself; what mixes them is not."""
    run = generated()
    twice = make_polynomial(run.seeds[1], run.certificates, rng.randbytes)
    honest, both = run.polynomials[1], msgspec.structs.replace
    finish(route_polynomials(run.certificates, [run.polynomials[0], twice, run.polynomials[2]])[0])
    for mixed in (both(honest, coefexps=twice.coefexps), both(honest, signature=twice.signature)):
        with refusing("bad-key-generation"):
            check_polynomials(run.certificates, [run.polynomials[0], mixed, run.polynomials[2]])
    mixed = both(twice, secrets=honest.secrets)
    received = route_polynomials(run.certificates, [run.polynomials[0], mixed, run.polynomials[2]])[0]
    with refusing("bad-share"):
        finish(received)
    # The trustees who saw the other coefficients compute other keys: the last step does not go through.
    with refusing("bad-key-generation"):
        polynomials = [run.polynomials[0], twice, run.polynomials[2]]
        finish_threshold(run.certificates, polynomials, run.outputs)


def test_too_few_or_too_many_coefficients_are_refused() -> None:
    run = generated()
    larger = [
        make_trustee_certificate(seed, place, 3, 3, rng.randbytes)
        for place, seed in enumerate(run.seeds, start=1)
    ]
    longer = make_polynomial(run.seeds[1], larger, rng.randbytes)
    with refusing("bad-key-generation"):
        check_polynomials(run.certificates, [run.polynomials[0], longer, run.polynomials[2]])


def test_only_complete_sets_go_on() -> None:
    run = generated()
    with refusing("bad-key-generation"):
        check_polynomials(run.certificates, run.polynomials[:2])
    with refusing("bad-key-generation"):
        finish_threshold(run.certificates, run.polynomials, run.outputs[:2])
    with refusing("bad-trustee-certificate"):
        make_polynomial(TrusteeSeed("1" * 22), run.certificates, rng.randbytes)
    with refusing("bad-trustee-certificate"):
        check_polynomials([], [])


def test_trustee_certificates_are_of_one_key_generation() -> None:
    run = generated()
    first, second, third = run.certificates
    foreign = make_trustee_certificate(run.seeds[1], 2, 1, 3, rng.randbytes)
    twice = make_trustee_certificate(run.seeds[0], 2, 2, 3, rng.randbytes)
    unsigned = sign_message(5, second.message, rng.randbytes)
    none = [make_trustee_certificate(run.seeds[0], 1, 0, 1, rng.randbytes)]
    many = [make_trustee_certificate(run.seeds[0], 1, 2, 1, rng.randbytes)]
    for certificates in (
        [first, third, second],
        [first, second],
        [first, foreign, third],
        [first, twice, third],
        [first, unsigned, third],
        none,
        many,
    ):
        with refusing("bad-trustee-certificate"):
            make_polynomial(run.seeds[0], certificates, rng.randbytes)


def test_messages_have_one_form() -> None:
    assert encode(MESSAGE) == b'{"secret":"7"}'
