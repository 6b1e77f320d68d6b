"""Reports for tests of what is printed of them."""

from __future__ import annotations

import dataclasses
from functools import cache

import msgspec

from support.club_evening import certificate_with_witness, club_evening
from support.secret_files import SecretFile
from votenet.cli.report.phrases import CheckFiles, CheckStep, steps_to_check
from votenet.core.records.archive import ArchiveCheck
from votenet.core.records.election_report import (
    ContestFacts,
    ElectionReport,
    report_of_archive,
    report_of_result,
)
from votenet.core.records.final_result import result_of_archive

NOW = 2_000_000_000


@cache
def club_report(closed: bool = True, **fields: object) -> ElectionReport:
    """The report of a club's evening; `fields` are those of `club_evening`."""
    roll, file = club_evening(closed, **fields)
    certificate = certificate_with_witness(file)
    check = ArchiveCheck(file.pack(certificate).splitlines(keepends=True), NOW, roll=roll)
    return report_of_archive(check, check.blocks(), NOW)


@cache
def weighed_blank_report(final_file: bool = False) -> ElectionReport:
    """Of a secret election: a blank ballot that weighs 2, and two others that weigh 1 and 4.

    `final_file`: read from the file of its final result.
    """
    file = SecretFile()
    for voter, chosen in (("voter-1", (0, 1, 0, 0)), ("voter-2", (1, 0, 0, 0)), ("voter-4", (0, 1, 0, 0))):
        file.cast(file.secret_vote(voter, ballot=file.setup.ballot(voter, (chosen,))))
    file.close()
    archive = file.rolled(shares=(1, 2))
    check = ArchiveCheck(archive.data.splitlines(keepends=True), NOW, roll=archive.roll)
    if final_file:
        return report_of_result(result_of_archive(check, check.blocks()), file.network_hex)
    return report_of_archive(check, check.blocks(), NOW)


def checks_of(report: ElectionReport) -> tuple[CheckStep, ...]:
    return tuple(steps_to_check(report, CheckFiles(export="votenet export -o election.jsonl")))


def with_text(report: ElectionReport, text: str) -> ElectionReport:
    """The report with this text as title, organiser, description, first candidate, node and reason."""
    definition = msgspec.structs.replace(report.definition, title=text, organiser=text)
    return dataclasses.replace(
        report,
        definition=definition,
        contests=tuple(_renamed(facts, text) for facts in report.contests),
        amendments=tuple(msgspec.structs.replace(one, reason=text) for one in report.amendments),
        signed_by=((text, report.signed_by[0][1]), *report.signed_by[1:]),
        cosigned_by=(text,),
    )


def _renamed(facts: ContestFacts, text: str) -> ContestFacts:
    """Every place of the first candidate has the text: counts, rounds, ties, lots, matrix."""
    old = facts.definition.candidates[0].name

    def changed(value: object) -> object:
        if isinstance(value, str):
            return text if value == old else value
        if isinstance(value, list | tuple):
            return [changed(one) for one in value]
        if isinstance(value, dict):
            return {key: changed(one) for key, one in value.items()}
        return value

    assert facts.count is not None
    count = msgspec.convert(changed(msgspec.to_builtins(facts.count)), type(facts.count))
    definition = msgspec.structs.replace(facts.definition, title=text, description=text)
    return dataclasses.replace(facts, definition=definition, count=count, lots=((text, "00" * 32),))
