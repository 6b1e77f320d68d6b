"""Both readers on receipts, final results and evidence of amended elections."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.amended_records import Case, changed_results, evidence, receipts, results, right_result
from support.elections import CREATED
from verifier.test_votenet_verifier import verifier
from votenet.cli.archive.archive_files import read_final_chain
from votenet.core.records.evidence import check_evidence, decode_evidence
from votenet.core.records.final_result import (
    FinalResult,
    check_result,
    decode_result,
)
from votenet.core.records.receipt import check_receipt, decode_receipt
from votenet.errors import NotProven

NOW = CREATED + 100_000


class Verifier:
    """The second verifier on files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str, data: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(data)
        return path

    def says(self, check: str, case: Case) -> str:
        """The code of the fault that it finds; empty if the file holds."""
        others = [str(self.path("archive", case.archive)) if case.archive else None]
        others += [str(self.path("roll", case.roll.to_file())) if case.roll is not None else None]
        others = others[1:] if check == "check_receipt" else others
        if others[0] is None and check == "check_evidence":
            others = []
        try:
            getattr(verifier, check)(str(self.path("file", case.data)), None, NOW, *others)
        except verifier.Fault as fault:
            return str(fault.code)
        return ""


@pytest.fixture
def theirs(tmp_path: Path) -> Verifier:
    return Verifier(tmp_path)


@pytest.mark.parametrize("name", receipts())
def test_both_judge_the_amendments_of_a_receipt(theirs: Verifier, name: str) -> None:
    case = receipts()[name]
    ours = ""
    try:
        check_receipt(decode_receipt(case.data), NOW, roll=case.roll)
    except NotProven as error:
        ours = error.code
    assert (theirs.says("check_receipt", case), ours) == (case.code, case.code)


@pytest.mark.parametrize("name", evidence())
def test_both_judge_an_acceptance_by_what_is_in_force_at_the_end(theirs: Verifier, name: str) -> None:
    case = evidence()[name]
    made, ours = decode_evidence(case.data), ""
    try:
        chain = None
        if case.archive:
            network = json.loads(case.archive.partition(b"\n")[0])["network_id"]
            chain = read_final_chain(theirs.path("archive", case.archive), network, case.roll)
        check_evidence(made, None, chain)
    except NotProven as error:
        ours = error.code
    assert (theirs.says("check_evidence", case), ours) == (case.code, case.code)


def test_a_final_result_counts_with_the_roll_in_force(theirs: Verifier) -> None:
    made, case = right_result(), results()[""]
    (contest,) = made.contests
    assert (contest.state, contest.weight, dict(contest.counts)["Alice"]) == ("rejected", 12, 9)
    assert [(one.needed, one.got, one.met) for one in contest.conditions] == [(10, 9, False), (9, 12, True)]
    assert [one.number for one in made.amendments] == [1, 2, 3]
    assert len(made.not_counted) == 1, "the late vote with the key of before"
    assert theirs.says("check_result", case) == ""
    assert theirs.says("check_result", case._replace(roll=None)) == "roll-missing"
    assert theirs.says("check_result", case._replace(archive=b"", roll=None)) == ""


@pytest.mark.parametrize("name", changed_results())
def test_both_judge_the_amendments_of_a_final_result(theirs: Verifier, name: str) -> None:
    case, (code, alone, _) = results()[name], changed_results()[name]
    assert theirs.says("check_result", case) == code
    assert theirs.says("check_result", case._replace(archive=b"", roll=None)) == alone
    assert (result_code(case.data, right_result()), result_code(case.data, None)) == (code, alone)


def result_code(data: bytes, right: FinalResult | None) -> str:
    try:
        check_result(decode_result(data), None, right)
    except NotProven as error:
        return error.code
    return ""
