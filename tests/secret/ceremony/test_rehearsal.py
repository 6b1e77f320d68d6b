"""The rehearsal: the right key passes, and nothing of it holds in the election."""

from __future__ import annotations

import random

import msgspec

from support.ceremonies import draft_for
from support.secret_elections import refusing
from votenet.secret.ceremony.rehearsal import TEST_COUNTS, check_rehearsal, rehearsal_of
from votenet.secret.group import BASE, Point, SumPoint, multiply
from votenet.secret.tally import decrypt_partially, decrypted_powers, result_of
from votenet.secret.trustees import TrusteeGroup

rng = random.Random(41)
KEY = Point(multiply(BASE, 5))
REHEARSAL = rehearsal_of(draft_for(), KEY)


def test_the_test_tally_is_decrypted_to_its_counts() -> None:
    decryption = decrypt_partially(REHEARSAL.election, REHEARSAL.tally, 5, rng.randbytes)
    check_rehearsal(REHEARSAL, KEY, decryption)
    powers = decrypted_powers(REHEARSAL.tally, [TrusteeGroup(1, (KEY,), KEY)], {1: decryption})
    assert result_of(powers, 3).result == (TEST_COUNTS,)


def test_another_key_and_another_factor_are_refused() -> None:
    other = decrypt_partially(REHEARSAL.election, REHEARSAL.tally, 6, rng.randbytes)
    with refusing("bad-decryption"):
        check_rehearsal(REHEARSAL, KEY, other)
    right = decrypt_partially(REHEARSAL.election, REHEARSAL.tally, 5, rng.randbytes)
    first, *rest = right.decryption_factors[0]
    wrong = (SumPoint(multiply(first, 2)), *rest)
    with refusing("bad-decryption"):
        check_rehearsal(REHEARSAL, KEY, msgspec.structs.replace(right, decryption_factors=(wrong,)))


def test_a_rehearsal_is_of_one_draft_and_key() -> None:
    decryption = decrypt_partially(REHEARSAL.election, REHEARSAL.tally, 5, rng.randbytes)
    for other in (
        rehearsal_of(draft_for(closes=1_800_000_001), KEY),
        rehearsal_of(draft_for(), Point(multiply(BASE, 6))),
    ):
        assert other.election.fingerprint != REHEARSAL.election.fingerprint
        with refusing("bad-decryption"):
            check_rehearsal(other, KEY, decryption)
