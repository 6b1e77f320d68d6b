"""One trustee: each step once, from the seed alone, and the share back from a card."""

from __future__ import annotations

import random
from functools import cache

import pytest

from support.ceremonies import Ceremony, draft_for, run
from support.secret_elections import SampleElection, refusing
from votenet.secret.ceremony.bulletin import STEPS, read_bulletin
from votenet.secret.ceremony.trustee import derived_entropy, next_record, rehearse, restore_share
from votenet.secret.documents import decode, encode
from votenet.secret.group import BASE, Scalar, multiply
from votenet.secret.key_generation import PolynomialMessage, SecretShare, TrusteeSeed, send
from votenet.secret.tally import decrypt_partially, decrypted_powers, result_of
from votenet.secret.trustees import read_trustees

STRANGER = TrusteeSeed("1" * 22)


@cache
def complete() -> Ceremony:
    return run()


@pytest.mark.parametrize(("threshold", "size"), [(2, 2), (2, 3), (3, 4)])
def test_a_ceremony_goes_from_step_to_step_until_it_is_complete(threshold: int, size: int) -> None:
    ceremony = Ceremony(draft_for(threshold, size))
    for step in STEPS:
        waiting = ceremony.bulletin.waiting()
        assert waiting is not None
        assert waiting == (step, tuple(range(1, size + 1)))
        ceremony.do(step)
    bulletin = ceremony.bulletin
    bulletin.check_complete()
    group = read_trustees(bulletin.trustees)[0]
    assert (group.threshold, group.keys, group.subkey) == (threshold, bulletin.keys, bulletin.key)
    for place, seed in enumerate(ceremony.seeds, start=1):
        share = restore_share(bulletin, seed)
        assert share.place == place
        assert multiply(BASE, share.secret) == bulletin.keys[place - 1]


def test_a_step_that_is_done_again_gives_the_same_record() -> None:
    """So nobody contradicts an own record by accident, also not after a loss of everything but a card."""
    ceremony = Ceremony()
    for step in STEPS[:3]:
        bulletin = ceremony.bulletin
        for place, seed in enumerate(ceremony.seeds, start=1):
            assert next_record(bulletin, seed, place) == next_record(bulletin, seed, place)
        ceremony.do(step)
    bulletin, seed = ceremony.bulletin, ceremony.seeds[0]
    assert rehearse(bulletin, seed) == rehearse(bulletin, seed)


def test_randomness_is_for_one_use() -> None:
    seed = complete().seeds[0]
    first, again, other = (derived_entropy(seed, use) for use in ("a", "a", "b"))
    stranger = derived_entropy(STRANGER, "a")
    draws = [first(64), first(64), other(64), stranger(64)]
    assert len(set(draws)) == 4
    assert [again(64), again(64)] == draws[:2]


def test_a_trustee_waits_for_the_others_and_says_nothing_twice() -> None:
    ceremony = Ceremony()
    ceremony.do("certificate", (1, 3))
    assert next_record(ceremony.bulletin, ceremony.seeds[0], 1) is None
    ceremony.do("certificate", (2,))
    assert next_record(ceremony.bulletin, ceremony.seeds[0], 1) is not None
    assert next_record(complete().bulletin, complete().seeds[0], 1) is None
    rehearsing = run(STEPS[:3])
    assert next_record(rehearsing.bulletin, rehearsing.seeds[0], 1) is None, "a card has to be typed in"


def test_a_key_is_for_one_place() -> None:
    ceremony = Ceremony()
    ceremony.do("certificate", (1,))
    with refusing("wrong-card"):
        next_record(ceremony.bulletin, ceremony.seeds[0], 2)
    with refusing("wrong-card"):
        next_record(ceremony.bulletin, STRANGER, 1)


def test_a_card_of_another_election_restores_nothing() -> None:
    with refusing("wrong-card"):
        restore_share(complete().bulletin, STRANGER)
    early = run(STEPS[:2])
    with refusing("ceremony-incomplete"):
        restore_share(early.bulletin, early.seeds[0])


def test_a_share_that_does_not_fit_is_found_by_the_trustee_who_gets_it() -> None:
    ceremony = run(STEPS[:1])
    ceremony.do("coefficients")
    record = ceremony.bulletin.records["coefficients", 1]
    message = decode(record.content, PolynomialMessage, "the record")
    other = run(STEPS[:2], seed=33)
    foreign = decode(other.bulletin.records["coefficients", 2].content, PolynomialMessage, "the record")
    secrets = (message.secrets[0], foreign.secrets[1], message.secrets[2])
    content = encode(PolynomialMessage(**{**fields(message), "secrets": secrets})).decode()
    ceremony.hand_in(ceremony.forged(record, 1, content=content))
    assert ceremony.refusals() == [], "what is sealed is seen by its recipient alone"
    with refusing("bad-share"):
        next_record(ceremony.bulletin, ceremony.seeds[1], 2)
    assert next_record(ceremony.bulletin, ceremony.seeds[2], 3) is not None


def fields(message: PolynomialMessage) -> dict[str, object]:
    return {name: getattr(message, name) for name in message.__struct_fields__}


def test_a_wrong_number_sealed_for_a_trustee_is_a_bad_share() -> None:
    ceremony = run(STEPS[:2])
    record = ceremony.bulletin.records["coefficients", 1]
    message = decode(record.content, PolynomialMessage, "the record")
    wrong = send(
        ceremony.seeds[0].signing_key,
        ceremony.bulletin.certificate_keys[2].encryption,
        SecretShare(secret=Scalar(7)),
        random.Random(34).randbytes,
    )
    secrets = (message.secrets[0], wrong, message.secrets[2])
    content = encode(PolynomialMessage(**{**fields(message), "secrets": secrets})).decode()
    ceremony.hand_in(ceremony.forged(record, 1, content=content))
    with refusing("bad-share"):
        next_record(ceremony.bulletin, ceremony.seeds[1], 2)


def test_an_election_is_decrypted_with_shares_from_cards() -> None:
    """Any two of three; the bulletin is read from its files again."""
    ceremony = complete()
    bulletin = read_bulletin(ceremony.draft, dict(reversed(list(ceremony.files.items()))))
    rehearsal = bulletin.rehearsal
    for places in ((1, 2), (1, 3), (2, 3)):
        decryptions = {}
        for place in places:
            share = restore_share(bulletin, TrusteeSeed.parse(ceremony.seeds[place - 1].text))
            decryptions[share.place] = decrypt_partially(
                rehearsal.election, rehearsal.tally, share.secret, random.Random(35).randbytes
            )
        powers = decrypted_powers(rehearsal.tally, read_trustees(bulletin.trustees), decryptions)
        assert result_of(powers, 3).result == ((2, 0, 1),)


def test_the_parameters_are_belenios() -> None:
    """What the ceremony publishes can stand in a whole election."""
    bulletin = complete().bulletin
    sample = SampleElection(random.Random(36), [complete().draft.questions[0]])
    assert read_trustees(bulletin.trustees)[0].threshold == 2
    assert sample.define(public_key=bulletin.key).key == bulletin.key
