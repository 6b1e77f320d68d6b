"""Batches of signatures of an archive: bounded, and the first forgery is told with its line."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import msgspec
import pytest

from support.archives import NOW, archive, chain, vote
from support.elections import make_election, make_votes
from votenet.core.election.definition import Election
from votenet.core.ledger.vote import HashedVote, hash_vote
from votenet.core.records import archive_signatures
from votenet.core.records.archive import ArchiveCheck
from votenet.core.records.archive_signatures import (
    MAX_BATCHES,
    Forgery,
    SignatureBatches,
    check_here,
    first_forgery,
)
from votenet.errors import NotProven

ELECTION = make_election()


def test_a_bounded_number_of_votes_is_under_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("votenet.core.records.archive_signatures.BATCH_VOTES", 1)
    running: list[int] = []
    most = 0

    def start(votes: Sequence[HashedVote], election: Election) -> Callable[[], Forgery | None]:
        nonlocal most
        running.append(len(votes))
        most = max(most, len(running))
        wait = check_here(votes, election)

        def done() -> Forgery | None:
            running.pop()
            return wait()

        return done

    bodies = [[vote(f"v{n}")] for n in range(3 * MAX_BATCHES)]
    data = archive(chain(bodies))
    assert ArchiveCheck(io.BytesIO(data), NOW, start_check=start).run().votes == len(bodies)
    assert (most, running) == (MAX_BATCHES + 1, [])


def test_only_batches_that_hold_are_handed_on_and_the_first_forgery_has_its_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archive_signatures, "BATCH_VOTES", 2)
    votes = make_votes(ELECTION, 6)
    forged = hash_vote(msgspec.structs.replace(votes[3].vote, signature="0" * 128))
    assert first_forgery(votes, ELECTION) is None
    found = first_forgery([*votes[:3], forged], ELECTION)
    assert found is not None
    assert (found[0], found[1].code) == (3, "bad-signature")
    held: list[HashedVote] = []
    batches = SignatureBatches(check_here, ELECTION, held.extend)
    for line, pair in ((3, votes[:2]), (4, [votes[2], forged]), (5, votes[4:])):
        batches.add(line, pair)
    with pytest.raises(NotProven, match="line 4: ") as caught:
        batches.finish()
    assert caught.value.code == "bad-signature"
    assert held == votes[:2]
    batches.finish()
    assert held == votes[:2], "after a forgery nothing is left to check"
