"""The cache of good signatures: hits, misses and forgotten entries."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from support.elections import make_election, make_votes
from votenet.core.election.definition import Election
from votenet.core.ledger import signature_cache
from votenet.core.ledger.secret_vote import ForgedVote
from votenet.core.ledger.signature_cache import SignatureCache
from votenet.core.ledger.vote import HashedVote, forgeries, hash_vote

ELECTION = make_election()
VOTES = make_votes(ELECTION, 8)
BAD = hash_vote(msgspec.structs.replace(VOTES[0].vote, time=1))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The ids of the votes whose signatures are really checked, in order."""
    ids: list[bytes] = []

    def check(votes: Sequence[HashedVote], election: Election) -> list[ForgedVote | None]:
        ids.extend(hashed.id for hashed in votes)
        return forgeries(votes, election)

    monkeypatch.setattr(signature_cache, "forgeries", check)
    return ids


def test_a_good_signature_is_checked_once(asked: list[bytes]) -> None:
    cache = SignatureCache()
    assert cache.check(VOTES[:3], ELECTION) == [None] * 3
    assert cache.check([VOTES[2], VOTES[3], VOTES[0]], ELECTION) == [None] * 3
    assert asked == [hashed.id for hashed in VOTES[:4]]
    assert VOTES[3].id in cache


def test_a_bad_one_is_bad_every_time_and_between_known_ones(asked: list[bytes]) -> None:
    cache = SignatureCache()
    cache.check(VOTES[:2], ELECTION)
    for _ in range(2):
        good, bad, too = cache.check([VOTES[0], BAD, VOTES[1]], ELECTION)
        assert good is too is None
        assert bad is not None
        assert bad.code == "bad-signature"
    assert asked[2:] == [BAD.id, BAD.id]
    assert BAD.id not in cache


def test_a_good_vote_with_another_signature_is_another_vote(asked: list[bytes]) -> None:
    cache = SignatureCache()
    cache.check(VOTES[:2], ELECTION)
    stolen = hash_vote(msgspec.structs.replace(VOTES[0].vote, signature=VOTES[1].vote.signature))
    assert cache.check([stolen], ELECTION) != [None]


def test_it_remembers_the_newest_and_never_more_than_its_limit(asked: list[bytes]) -> None:
    cache = SignatureCache(limit=4)
    for start in range(0, 8, 2):
        cache.check(VOTES[start : start + 2], ELECTION)
        assert sum(hashed.id in cache for hashed in VOTES) <= 4
    assert [hashed.id in cache for hashed in VOTES] == [False] * 4 + [True] * 4
    cache.check(VOTES[4:], ELECTION)
    assert len(asked) == 8
    cache.check(VOTES[:1], ELECTION)
    assert len(asked) == 9
