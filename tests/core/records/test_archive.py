"""An archive holds or is refused with the code of its first fault; the count is that of the chain."""

from __future__ import annotations

import io
import json
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
)
from support.elections import CREATED, as_stored, make_election, mine_named
from support.secret_history import AFTER, secret_history
from votenet.core.ledger.block import genesis_header
from votenet.core.records.archive import (
    ArchiveCheck,
    ArchiveReport,
    archive_lines,
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


# -- secret elections --------------------------------------------------------------------------------


def secret_check(lines: Sequence[bytes]) -> ArchiveCheck:
    return ArchiveCheck(lines, AFTER, roll=secret_history().setup.roll)


def secret_share(place: int) -> str:
    history = secret_history()
    return history.setup.share(place, history.counted)


def test_an_archive_of_a_secret_election_is_counted_with_enough_shares() -> None:
    history = secret_history()
    for shares in ((), (secret_share(2),)):
        check = secret_check(history.archive(shares))
        report = check.run()
        assert (report.encrypted, report.counts_shown, report.contests, report.votes) == (True, False, (), 3)
        assert (report.final, len(check.decrypted_by)) == (True, len(shares))
    for places in ((1, 2), (2, 3), (1, 2, 3)):
        check = secret_check(history.archive([secret_share(place) for place in places]))
        report = check.run()
        assert (report.encrypted, report.counts_shown, check.decrypted_by) == (False, True, places)
        assert report.contests[0].counts == (("Alice", 2), ("Bob", 1), ("Çelik", 0))
        assert report.contests[0].outcome.winners == ("Alice",)


def test_the_archive_of_a_secret_election_without_shares_has_the_bytes_of_any_other() -> None:
    last = secret_history().archive()[-1]
    assert b"shares" not in last
    assert sorted(json.loads(last)) == ["certificate", "height", "tip", "votes"]


def wrong_shares() -> dict[str, tuple[str, list[str]]]:
    history = secret_history()
    one, two = secret_share(1), secret_share(2)
    fewer = history.setup.counted(history.votes[1:])
    return {
        "in another order": ("bad-order", [two, one]),
        "one twice": ("bad-order", [one, one]),
        "of another count": ("bad-decryption", [one, history.setup.share(2, fewer)]),
        "of another trustee": ("bad-decryption", [one, one.replace('"place":1', '"place":3')]),
        "of nobody": ("bad-decryption", [one.replace('"place":1', '"place":4')]),
        "no share": ("bad-document", ["{}"]),
        "not as written": ("not-canonical", [one + " "]),
    }


WRONG_SHARES = (
    *("in another order", "one twice", "of another count", "of another trustee", "of nobody", "no share"),
    "not as written",
)


@pytest.mark.parametrize("name", WRONG_SHARES)
def test_shares_that_do_not_belong_there_are_refused(name: str) -> None:
    code, shares = wrong_shares()[name]
    with pytest.raises(NotProven) as caught:
        secret_check(secret_history().archive(shares)).run()
    assert caught.value.code == code


def test_shares_need_a_final_result() -> None:
    history = secret_history()
    lines = history._replace(certificate="").archive([secret_share(1)])
    with pytest.raises(NotProven) as caught:
        secret_check(lines).run()
    assert caught.value.code == "not-final"


def test_a_list_of_no_shares_is_written_as_none() -> None:
    lines = secret_history().archive()
    lines[-1] = lines[-1].replace(b'"tip"', b'"shares":[],"tip"')
    with pytest.raises(NotProven) as caught:
        secret_check(lines).run()
    assert caught.value.code == "bad-order"


@pytest.mark.parametrize("with_roll", [True, False])
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda ballot: "{}", "bad-document"),
        (lambda ballot: ballot[:-5] + "7" + ballot[-4:], "bad-ballot-signature"),
        (lambda ballot: re.sub('"alpha":"[0-9a-f]{64}"', f'"alpha":"{"00" * 31}02"', ballot), "bad-point"),
    ],
)
def test_a_forged_ballot_in_a_block_is_a_fault_and_no_defect(
    change: Callable[[str], str], code: str, with_roll: bool
) -> None:
    setup = secret_history().setup
    votes = [
        setup.vote("voter-1", ballot=change(setup.ballot("voter-1")), time=CREATED + 101),
        setup.vote("voter-2", time=CREATED + 101),
    ]
    block = mine_named(setup.election, genesis_header(setup.election), 1, votes)
    lines = list(archive_lines(setup.election, [as_stored(block)]))
    with pytest.raises(NotProven) as caught:
        ArchiveCheck(lines, AFTER, roll=setup.roll if with_roll else None).run()
    assert caught.value.code == code
