"""What reports say in words."""

from __future__ import annotations

import dataclasses

import msgspec

from support.elections import contest_of
from support.reports import club_report
from votenet.cli.report import phrases
from votenet.cli.report.phrases import CheckFiles
from votenet.client.refusals import when
from votenet.core.methods.registry import METHODS


def test_every_method_has_plain_words() -> None:
    assert phrases.METHODS_IN_WORDS.keys() == METHODS.keys()
    board = contest_of("block", ("A", "B", "C"), seats=2, max=2).definition
    assert phrases.method_text(board).startswith("Each ballot names up to 2 candidates.")
    assert phrases.method_text(board).endswith(" 2 seats.")


def test_times_are_in_the_zone_of_the_election_or_of_this_machine() -> None:
    definition = club_report().definition
    assert phrases.when(0, definition) == "Thu 1 Jan 1970, 01:00 (Europe/Berlin, UTC+01:00)"
    assert phrases.when(0, msgspec.structs.replace(definition, time_zone="UTC")) == when(0)


def test_who_may_vote_and_who_did() -> None:
    report = club_report()
    assert phrases.who_may_vote(report).startswith("those on the roll, 41 voters; each vote has the weight")
    assert phrases.turnout(report) == "35 of 41 (85.4%)"
    everybody = dataclasses.replace(report, registered=None)
    assert phrases.who_may_vote(everybody) == "everybody: this election has no roll"
    assert phrases.turnout(everybody) == "35 votes"


def test_how_final_it_is() -> None:
    report = club_report(closed=False)
    assert phrases.standing(report).startswith("PROVISIONAL: voting has ended")
    assert phrases.standing(dataclasses.replace(report, cancelled_at=1)) == "cancelled"
    assert phrases.standing(club_report()) == "final"


def test_signatures_in_a_sentence() -> None:
    report = club_report()
    assert phrases.signatures(report).startswith("4 of the 5 named nodes signed ")
    unsigned = dataclasses.replace(report, signed_by=())
    assert "None of the 5 named nodes" in phrases.signatures(unsigned)
    assert "No nodes are named" in phrases.signatures(dataclasses.replace(report, named=0, signed_by=()))


def test_the_commands_fit_the_source_of_the_report() -> None:
    report = club_report()
    archive = [step.command for step in phrases.steps_to_check(report, CheckFiles(archive="a b.jsonl"))]
    assert archive[0] == (
        f"votenet audit 'a b.jsonl' --network {report.network_id} --roll roll.json --result result.json"
    )
    told = dataclasses.replace(report, source="result")
    commands = [step.command for step in phrases.steps_to_check(told, CheckFiles())]
    assert any("--compare result.json" in command for command in commands)
    early = [step.command for step in phrases.steps_to_check(club_report(closed=False), CheckFiles())]
    assert not any("result.json" in command for command in early)


def test_who_has_the_keys() -> None:
    known = dataclasses.replace(club_report(), registered=40)
    assert list(phrases.who_has_the_keys(known)) == []
    (said,) = phrases.who_has_the_keys(dataclasses.replace(known, by_card=38))
    assert said.startswith(
        "38 by card, 2 by a key of their own, says the organiser; a person who prints a card"
    )
    (said,) = phrases.who_has_the_keys(dataclasses.replace(known, by_card=0))
    assert said == "0 by card, 40 by a key of their own, says the organiser"


def test_encrypted_votes_are_not_called_counted() -> None:
    report = club_report()
    bare = tuple(dataclasses.replace(one, count=None) for one in report.contests)
    definition = msgspec.structs.replace(report.definition, secrecy="secret")
    sealed = dataclasses.replace(report, definition=definition, contests=bare)
    assert phrases.whose_word(sealed).endswith("The votes are encrypted, and not counted yet.")
    assert "trustees decrypt the counts" in phrases.no_counts(sealed)
    opened = dataclasses.replace(report, definition=definition)
    assert phrases.whose_word(opened) == phrases.whose_word(report)


def test_counts_are_not_promised_for_a_time_that_has_passed() -> None:
    report = club_report(closed=False, results="after-close")
    assert phrases.no_counts(dataclasses.replace(report, ended=False)).startswith("Counts are shown after")
    assert phrases.no_counts(dataclasses.replace(report, ended=True)) == (
        "Voting has ended: counts are shown once the named nodes have closed the poll."
    )
