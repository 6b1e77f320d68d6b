"""The corpus of tampered secret elections: product, second verifier and Belenios' own tool refuse it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.belenios_check import verify_archive
from support.belenios_tool import BeleniosTool, find_tool
from support.named_files import Json
from support.secret_poll import poll
from support.tampered_secret_files import Tampered, good_files, honest, tampered_files
from verifier.test_votenet_verifier import verifier
from votenet.errors import NotProven
from votenet.secret.belenios_archive import write_archive
from web.corpus_files import product_says, second_says, secret_case

KINDS = ("ballot", "count", "definition", "receipt", "roll", "share", "vote")


def of_kind(kind: str) -> dict[str, Tampered]:
    return {name: one for name, one in tampered_files().items() if name.startswith(kind + "/")}


def expressed() -> dict[str, Tampered]:
    """Those whose fault Belenios' archive can have."""
    return {name: one for name, one in tampered_files().items() if one.bel is not None}


@pytest.fixture(autouse=True, scope="module")
def _ballots_checked_once() -> Iterator[None]:
    """The verifier's check of a ballot that holds takes 0.2 s: the same one is not done again."""
    check, found = verifier.check_secret_ballot, dict[tuple[str, str, str], Any]()

    def remembering(vote: Json, election: Any) -> Any:
        key = (vote["voter_id"], vote["ballot"], election.definition["belenios"])
        if key not in found:
            found[key] = check(vote, election)
        return found[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verifier, "check_secret_ballot", remembering)
        yield


@pytest.mark.parametrize("kind", KINDS)
def test_product_and_second_verifier_refuse_each_with_its_code(kind: str, tmp_path: Path) -> None:
    cases = of_kind(kind)
    said = {}
    for name, one in cases.items():
        case = secret_case(name, one)
        said[name] = (product_says(case, tmp_path), second_says(case, tmp_path)[0])
    assert said == {name: (one.code, one.code) for name, one in cases.items()}
    assert "" not in {one.code for one in cases.values()}


@pytest.mark.parametrize("name", good_files())
def test_both_take_what_was_not_tampered_with(name: str, tmp_path: Path) -> None:
    case = secret_case(name, good_files()[name])
    assert (product_says(case, tmp_path), second_says(case, tmp_path)[0]) == ("", "")


def test_without_enough_shares_no_count_is_shown(tmp_path: Path) -> None:
    shown = {}
    for name in ("all shares", "enough shares", "a share too few", "no share"):
        shown[name] = second_says(secret_case(name, good_files()[name]), tmp_path)[1]["contests"]
    assert shown["all shares"] == shown["enough shares"]
    assert [one["counts"] for one in shown["all shares"]] == [
        [["Bob", 6], ["Çelik", 5], ["Alice", 1]],
        [["Emil", 4], ["Dora", 1]],
    ]
    assert (shown["a share too few"], shown["no share"]) == ([], [])


def test_the_corpus_has_every_kind_of_fault() -> None:
    assert sum(len(of_kind(kind)) for kind in KINDS) == len(tampered_files()) > 160
    assert len(expressed()) > 90
    assert len({one.code for one in tampered_files().values()}) > 24


def test_the_same_faults_in_an_archive_of_belenios_are_refused_here() -> None:
    assert verify_archive(write_archive(honest())).ballots == 3
    taken = []
    for name, one in expressed().items():
        assert one.bel is not None
        try:
            verify_archive(write_archive(one.bel))
        except NotProven:
            continue
        taken.append(name)
    assert taken == []


@pytest.fixture
def tool(tmp_path: Path) -> BeleniosTool:
    return find_tool(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_faults_are_refused_by_the_tool_of_belenios(kind: str, tool: BeleniosTool) -> None:
    """Asked with `verify-ballot`, `compute-encrypted-tally` and `compute-result`, too."""
    uuid = poll().uuid
    found = {name: one.bel for name, one in expressed().items() if name.startswith(kind + "/")}
    setup = honest()._replace(ballots=(), closed=False, encrypted_tally=None, decryptions=(), result=None)
    if kind == "ballot":  # the first one is forged
        taken = [
            name for name, bel in found.items() if bel and tool.accepts_ballot(setup, uuid, bel.ballots[0])
        ]
    else:
        taken = [name for name, bel in found.items() if bel and tool.proves(bel, uuid)]
    assert taken == []


def test_the_tool_of_belenios_proves_what_was_not_tampered_with(tool: BeleniosTool) -> None:
    assert tool.proves(honest(), poll().uuid)
