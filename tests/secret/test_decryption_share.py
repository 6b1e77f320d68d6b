"""Shares: those of trustees are taken, and what is made from a published one is not."""

from __future__ import annotations

import random
from functools import cache

import msgspec
import pytest

from support.secret_elections import SampleElection, refusing
from votenet.errors import NotProven
from votenet.secret.decryption_share import DecryptionShare, check_share, make_share, read_share
from votenet.secret.definition import HomomorphicQuestion
from votenet.secret.documents import decode, encode
from votenet.secret.group import GROUP_ORDER, SumPoint, add, multiply, subtract
from votenet.secret.tally import PartialDecryption, check_decryption, decrypted_powers, result_of

rng = random.Random(21)
QUESTION = HomomorphicQuestion(answers=("a", "b", "c"), blank=True, min=1, max=2, question="Siapa?")


@cache
def sample(votes: int = 3) -> SampleElection:
    made = SampleElection(random.Random(22), [QUESTION, QUESTION])
    for voter in range(votes):
        made.vote(voter)
    return made


def share_of(place: int, election: SampleElection | None = None) -> DecryptionShare:
    of = election or sample()
    return make_share(of.election, of.tally, place, of.secrets[place - 1], rng.randbytes)


def check(share: DecryptionShare, election: SampleElection | None = None) -> PartialDecryption:
    of = election or sample()
    return check_share(of.election, of.tally, of.groups[0].keys, share)


def forged_by_an_outsider(share: DecryptionShare) -> DecryptionShare:
    """The published proof of the first choice, put under a factor of the second that makes it hold."""
    of = sample()
    decryption = decode(share.decryption, PartialDecryption, "the partial decryption")
    first, second = of.tally[0][0].alpha, of.tally[0][1].alpha
    proof, factor = decryption.decryption_proofs[0][0], decryption.decryption_factors[0][0]
    commitment = add(multiply(first, proof.response), multiply(factor, proof.challenge))
    missing = subtract(commitment, multiply(second, proof.response))
    wrong = SumPoint(multiply(missing, pow(int(proof.challenge), -1, GROUP_ORDER)))
    factors, proofs = decryption.decryption_factors, decryption.decryption_proofs
    forged = PartialDecryption(
        decryption_factors=((factors[0][0], wrong, *factors[0][2:]), *factors[1:]),
        decryption_proofs=((proof, proof, *proofs[0][2:]), *proofs[1:]),
    )
    assert forged.decryption_factors != decryption.decryption_factors
    return msgspec.structs.replace(share, decryption=encode(forged).decode())


@pytest.mark.parametrize("places", [(1, 2), (1, 3), (2, 3)])
def test_any_two_shares_of_three_give_the_counts(places: tuple[int, ...]) -> None:
    of = sample()
    shares = [read_share(encode(share_of(place))) for place in places]
    decryptions = {share.place: check(share) for share in shares}
    counts = result_of(decrypted_powers(of.tally, of.groups, decryptions), 3).result
    assert counts == tuple(
        tuple(sum(chosen[contest][choice] for chosen in of.chosen) for choice in range(QUESTION.length))
        for contest in range(2)
    )


def test_a_share_of_no_votes_is_one() -> None:
    assert check(share_of(1, sample(0)), sample(0))


def test_what_an_outsider_makes_of_a_published_share_is_refused() -> None:
    """The check of version 1 alone takes it: the reason for the added proof."""
    share = share_of(1)
    forged = forged_by_an_outsider(share)
    of = sample()
    decryption = decode(forged.decryption, PartialDecryption, "the partial decryption")
    check_decryption(of.election, of.tally, of.groups[0].keys[0], decryption)
    with refusing("bad-decryption"):
        check(forged)


def test_a_share_is_of_its_place_its_tally_and_its_election() -> None:
    share, replace = share_of(1), msgspec.structs.replace
    for place in (2, 4):
        with pytest.raises(NotProven, match=f"trustee {place}") as caught:
            check(replace(share, place=place))
        assert caught.value.code == "bad-decryption"
    with refusing("bad-decryption"):
        check(replace(share, proof=share_of(1).proof))
    other = SampleElection(random.Random(23), [QUESTION, QUESTION])
    with refusing("bad-decryption"):
        check_share(other.election, sample().tally, sample().groups[0].keys, share)
    with refusing("bad-decryption"):
        check_share(sample().election, sample().tally[:1], sample().groups[0].keys, share)
    with refusing("bad-decryption"):
        check(share_of(1, sample(0)))


def test_a_share_that_is_no_share_is_refused() -> None:
    share = share_of(1)
    with refusing("bad-document"):
        read_share(encode(msgspec.structs.replace(share, place=0)))
    with refusing("bad-document"):
        read_share(b"{}")
    with refusing("not-canonical"):
        read_share(b" " + encode(share))
    for text in ("", "{}", " " + share.decryption):
        with refusing("bad-decryption"):
            check(msgspec.structs.replace(share, decryption=text))
