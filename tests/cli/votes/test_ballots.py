"""`votenet ballots check`: with and without an election, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import CommandResult

from support.elections import make_election

FILES = Path(__file__).parents[2] / "data" / "ballots"


def test_a_file_is_checked_against_an_election_or_none(
    cli: Callable[..., CommandResult], tmp_path: Path
) -> None:
    done = cli("ballots", "check", str(FILES / "c17_write_in.csv"))
    assert (done.code, done.err) == (0, "")
    assert "compared with no election" in done.out
    genesis = tmp_path / "g.json"
    genesis.write_bytes(
        make_election(candidates=("Ann", "Bo", "Cy"), method="instant-runoff", max_choices=3).to_file()
    )
    asked = ("ballots", "check", str(FILES / "c17_write_in.csv"), "--genesis", str(genesis))
    done = cli(*asked)
    assert done.code == 1
    assert "line 3, column 2: 'Mickey Mouse' is no candidate" in done.out
    assert "--write-ins skip" in done.err
    assert cli(*asked, "--write-ins", "skip").code == 0
    told = json.loads(cli(*asked, "--json").out)
    assert told["contests"][0]["no_candidates"] == {"Mickey Mouse": 1, "Donald Duck": 1, "Write-in": 1}
    assert told["faults"][0] == {"line": 3, "column": 2, "what": "'Mickey Mouse' is no candidate"}


def test_a_file_that_is_not_understood_is_refused_with_its_place(cli: Callable[..., CommandResult]) -> None:
    done = cli("ballots", "check", str(FILES / "c05c_latin1.csv"))
    assert (done.code, done.out) == (78, "")
    assert "line 3, column 2" in done.err
    assert cli("ballots", "check", str(FILES / "c05c_latin1.csv"), "--encoding", "latin-1").code == 0
