"""An archive holds or is refused with the code of its first fault; the count is that of the chain."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence

import pytest

from support.archives import (
    NOW,
    ROLL_CASES,
    archive,
    chain,
    election,
    good_archive,
    good_blocks,
    good_votes,
    roll_archive,
    tampered,
    vote,
)
from support.elections import make_election
from votenet.core.election.definition import Election
from votenet.core.ledger.vote import HashedVote
from votenet.core.records.archive import (
    MAX_BATCHES,
    ArchiveCheck,
    ArchiveReport,
    Forgery,
    archive_lines,
    check_here,
)
from votenet.errors import NotProven
from votenet.pow import work_of


def check(data: bytes, network_hex: str | None = None) -> ArchiveReport:
    return ArchiveCheck(io.BytesIO(data), NOW, network_hex=network_hex).run()


def test_a_good_archive_is_counted() -> None:
    report = check(good_archive())
    votes = [hashed for body in good_votes() for hashed in body]
    assert (report.height, report.votes) == (14, len(votes))
    counts = {name: sum(v.vote.choices[0][0] == name for v in votes) for name in election().names}
    assert dict(report.contests[0].counts) == counts
    assert report.network_id == election().network_hex
    assert report.work == sum(work_of(block.header.bits) for block in good_blocks())


def test_an_election_without_votes_or_blocks_is_an_archive_too() -> None:
    report = check(b"".join(archive_lines(election(), [])))
    assert (report.height, report.votes, report.last_block) == (0, 0, report.created)
    assert check(archive(chain([(), ()]))).height == 2


@pytest.mark.parametrize("name", tampered())
def test_a_tampered_archive_is_refused_with_the_right_reason(name: str) -> None:
    code, data = tampered()[name]
    assert data != good_archive()
    with pytest.raises(NotProven) as caught:
        check(data)
    assert caught.value.code == code
    assert caught.value.next_step
    assert not re.search(r"line \d+:.*(?<!of )line \d+", caught.value.message), "the line is said once"


def test_an_archive_of_another_network_than_asked_for_is_refused() -> None:
    assert check(good_archive(), election().network_hex)
    with pytest.raises(NotProven) as caught:
        check(good_archive(), make_election().network_hex)
    assert caught.value.code == "network-mismatch"


def test_the_first_fault_in_the_file_is_reported() -> None:
    """Signatures are checked late, in batches: a bad one still comes before what follows it."""
    bad = tampered()["signature-by-another-key"][1]
    for tail in (b"rubbish\n", b"", b"{}\n"):
        with pytest.raises(NotProven) as caught:
            check(b"".join(bad.splitlines(keepends=True)[:7]) + tail)
        assert caught.value.code == "bad-signature"
        assert "line 5" in caught.value.message


def test_a_bounded_number_of_votes_is_under_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("votenet.core.records.archive.BATCH_VOTES", 1)
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


@pytest.mark.parametrize(("votes", "code"), ROLL_CASES)
def test_with_its_roll_every_voter_and_key_is_checked(votes: tuple[tuple[str, str], ...], code: str) -> None:
    roll, data = roll_archive(*votes)
    assert check(data).registration == "roll, not checked"
    checked = ArchiveCheck(io.BytesIO(data), NOW, roll=roll)
    if not code:
        assert checked.run().registration == "roll, checked"
        return
    with pytest.raises(NotProven) as caught:
        checked.run()
    assert caught.value.code == code
