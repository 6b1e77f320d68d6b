"""Both verifiers on evidence and on final results, good ones and tampered ones."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest

from support.elections import CREATED
from support.named_files import LISTS_OF, Story, named_definition, whole_story
from support.tampered_evidence import (
    good_evidence,
    result_with,
    tampered_evidence,
    tampered_results,
)
from verifier.test_votenet_verifier import verifier
from votenet.core.election.definition import Election, ElectionDefinition
from votenet.core.ledger.closing import merge_lists
from votenet.core.methods.method import Condition
from votenet.core.records.archive import ArchiveCheck
from votenet.core.records.evidence import FinalChain, check_evidence, decode_evidence
from votenet.core.records.final_result import (
    FinalResult,
    ResultBuilder,
    check_result,
    decode_result,
    encode_result,
)
from votenet.errors import NotProven

NOW = CREATED + 100_000


def rebuilt(story: Story | None = None) -> FinalResult:
    """The final result that the product makes of the whole archive."""
    file = (story or whole_story()).file
    check = ArchiveCheck(io.BytesIO(file.pack()), NOW)
    builder = ResultBuilder(check.election)
    for entry, votes in check.blocks():
        builder.add(votes, entry.extras)
    tip = check.chain.tip
    return builder.result(
        height=tip.height,
        tip_hex=tip.hash.hex(),
        tally=check.chain.tally,
        certificate=file.certificate(),
    )


def final_chain() -> FinalChain:
    story = whole_story()
    listed = merge_lists(dict(zip(LISTS_OF, story.ballots.held(), strict=True)))
    voters = {vote["voter_id"] for line in story.file.lines for vote in line["votes"]}
    definition = msgspec.convert(story.file.definition, ElectionDefinition)
    return FinalChain(listed, voters, Election(definition))


class Says:
    """What the verifier and the product answer: the code of a fault, or nothing."""

    def __init__(self, folder: Path) -> None:
        self.path, self.archive = folder / "file", folder / "archive"
        self.archive.write_bytes(whole_story().file.pack())

    def evidence(self, data: bytes, *, alone: bool = False) -> tuple[str, str]:
        theirs = self._verifier("check_evidence", data, alone)
        try:
            check_evidence(decode_evidence(data), None, None if alone else final_chain())
        except NotProven as error:
            return theirs, error.code
        return theirs, ""

    def result(
        self, data: bytes, right: FinalResult | None = None, *, alone: bool = False
    ) -> tuple[str, str]:
        theirs = self._verifier("check_result", data, alone)
        try:
            check_result(decode_result(data), None, None if alone else right or rebuilt())
        except NotProven as error:
            return theirs, error.code
        return theirs, ""

    def _verifier(self, check: str, data: bytes, alone: bool) -> str:
        self.path.write_bytes(data)
        try:
            getattr(verifier, check)(str(self.path), None, NOW, None if alone else str(self.archive))
        except verifier.Fault as fault:
            return str(fault.code)
        return ""


@pytest.fixture
def says(tmp_path: Path) -> Says:
    return Says(tmp_path)


@pytest.mark.parametrize("name", good_evidence())
def test_both_take_good_evidence(says: Says, name: str) -> None:
    assert says.evidence(good_evidence()[name]) == ("", "")


@pytest.mark.parametrize("name", tampered_evidence())
def test_both_refuse_tampered_evidence(says: Says, name: str) -> None:
    code, data = tampered_evidence()[name]
    assert says.evidence(data) == (code, code)


def test_a_broken_acceptance_alone_is_no_evidence(says: Says) -> None:
    codes = {name: says.evidence(data, alone=True) for name, data in good_evidence().items()}
    assert codes.pop("broken-acceptance") == ("needs-archive", "needs-archive")
    assert set(codes.values()) == {("", "")}


@pytest.mark.parametrize("ended", [False, True])
def test_a_broken_acceptance_is_compared_with_a_final_archive(says: Says, ended: bool) -> None:
    story = Story().vote().close()
    says.archive.write_bytes(story.count().file.pack("") if ended else story.file.pack())
    data = good_evidence()["broken-acceptance"]
    assert says.evidence(data)[0] == "not-final", "no certificate, or late votes that are in no block"


def test_the_archive_is_of_the_same_election(says: Says) -> None:
    other = Story({**whole_story().file.definition, "title": "Another"}).vote().close().count()
    says.archive.write_bytes(other.file.pack())
    assert says.evidence(good_evidence()["broken-acceptance"])[0] == "network-mismatch"
    assert says.result(result_with())[0] == "network-mismatch"


def test_both_make_the_same_final_result_of_an_archive(says: Says) -> None:
    assert encode_result(rebuilt()) == result_with()
    assert says.result(result_with()) == ("", "")
    assert says.result(result_with(), alone=True) == ("", "")


def test_a_result_says_what_a_motion_and_a_transferable_vote_needed(says: Says) -> None:
    threshold = {"basis": "cast", "share": "two-thirds"}
    (one,) = named_definition()["contests"]
    contests = [
        one | {"id": "board", "method": "stv", "seats": 2},
        one | {"id": "bylaws", "title": "Bylaws", "method": "motion", "threshold": threshold},
    ]
    story = Story(named_definition(contests=contests)).vote().close().count()
    says.archive.write_bytes(story.file.pack())
    made = rebuilt(story)
    assert says.result(encode_result(made), made) == ("", "")
    board, bylaws = made.contests
    assert (board.quota, board.conditions, bylaws.quota) == (str(board.weight // 3 + 1), (), "")
    (condition,) = bylaws.conditions
    votes = dict(bylaws.counts)
    needed = -(-2 * (votes["Alice"] + votes["Bob"]) // 3)
    assert condition == Condition(
        name="threshold", needed=needed, got=votes["Alice"], met=votes["Alice"] >= needed
    )


@pytest.mark.parametrize("name", tampered_results())
def test_both_refuse_a_tampered_final_result(says: Says, name: str) -> None:
    code, data = tampered_results()[name]
    assert says.result(data) == (code, code)


def test_a_result_says_what_it_was_compared_with(tmp_path: Path) -> None:
    path, archive = tmp_path / "result", tmp_path / "archive"
    path.write_bytes(result_with())
    archive.write_bytes(whole_story().file.pack())
    alone = verifier.check_result(str(path), None, NOW)
    assert (alone["final"], "own word" in alone["finality"]) == (False, True)
    compared = verifier.check_result(str(path), None, NOW, str(archive))
    assert (compared["final"], "the archive gives the same counts" in compared["finality"]) == (True, True)


@pytest.mark.parametrize("kind", ["two-lists", "two-roots", "bad-growth", "two-precommits"])
def test_evidence_names_the_node_and_its_lie(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "lie"
    path.write_bytes(good_evidence()[kind])
    found = verifier.check_evidence(str(path), whole_story().file.network_hex, NOW)
    ours = check_evidence(decode_evidence(good_evidence()[kind]))
    assert (
        (found["node"], found["name"], found["kind"])
        == (ours.node, ours.name, ours.kind)
        == (2, "node 2", kind)
    )
    assert found["lie"].startswith("node 2 (node 2) ")
