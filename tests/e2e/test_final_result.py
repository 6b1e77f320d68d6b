"""Four named nodes close an amended election: its final result is one file, and two verifiers agree on it."""

from __future__ import annotations

import itertools
import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.e2e.conftest import Votenet

from support.amendments import amendment, roll_of
from support.elections import key_of, make_vote, make_votes
from support.named_programs import NAMED, NamedPrograms
from support.page import Page, play
from support.processes import PATIENCE
from votenet.core.records.final_result import check_result, decode_result

DAY = 86_400
VOTERS = [f"voter-{10 * index + one}" for index in range(NAMED) for one in (1, 2, 3)]
VERIFIER = Path(__file__).parents[2] / "verifier" / "votenet_verifier.py"


@pytest.fixture
def network(tmp_path: Path) -> Iterator[NamedPrograms]:
    made = NamedPrograms(tmp_path, closes=DAY, roll=roll_of(*VOTERS), results="after-close")
    try:
        for index in range(NAMED):
            made.start_named(index)
        yield made
    finally:
        made.end()


def amend(network: NamedPrograms) -> None:
    """Four amendments; two votes that only they allow."""
    election, closes = network.election, network.election.definition.closes or 0
    changes = [
        amendment(election, "add-voter", "late", key="late"),
        amendment(election, "replace-key", "voter-3", number=2, reason="card lost"),
        amendment(election, "extend", number=3, closes=closes + 60),
    ]
    for one in changes:
        assert network.submit_amendment(0, one)
    network.wait_for(lambda: all_amended(network, 3))
    network.kill(network.name(2))
    votes = [make_vote(election, "late"), make_vote(election, "voter-3", key=key_of("new key of voter-3"))]
    assert not network.submit(1, [make_vote(election, "voter-3")]), "the old key"
    assert network.submit(1, votes)
    notices = itertools.count(64, 8)
    network.wait_for(lambda: closes_soon(network, notices), 4 * PATIENCE)
    network.start_named(2)
    network.wait_for(lambda: all_amended(network, 4))


def closes_soon(network: NamedPrograms, notices: Iterator[int]) -> bool:
    """Whether the closing time has changed; a slow network may miss the minute of notice: then once more."""
    known = network.amendments(1)
    if known["count"] == 3 and 4 not in known.get("waiting", ()):
        closes = int(time.time()) + next(notices)
        network.submit_amendment(1, amendment(network.election, "close", number=4, closes=closes))
    return int(known["count"]) == 4


def all_amended(network: NamedPrograms, count: int) -> bool:
    return all(network.results(index).get("amendments", 0) == count for index in range(NAMED))


async def the_page_has_it(result: Path, page: Page) -> None:
    """The page's final result says what the command's file says; the signers may be others."""
    while page.view.snapshot.state != "final":
        await page.view.changed(page.view.snapshot)
    made = decode_result((await page.client.get("/api/v1/final-result")).content)
    check_result(made, page.view.snapshot.network_id, decode_result(result.read_bytes()))
    assert (await page.client.get("/api/v1/results")).json()["final"]


@pytest.mark.long
def test_the_final_result_of_a_real_network_is_one_file_that_proves_itself(
    network: NamedPrograms, tmp_path: Path
) -> None:
    votenet = Votenet(tmp_path / "home")
    node = ("--node", str(network.addresses[1]), "--network", network.election.network_hex)
    result, archive = tmp_path / "result.json", tmp_path / "election.jsonl"
    # 1. While voting goes on there is no final result.
    for index in range(NAMED):
        votes = make_votes(network.election, 2, first=10 * index + 1)
        network.wait_for(lambda at=index, cast=votes: network.submit(at, cast))  # type: ignore[misc]
    network.wait_for(lambda: network.all_count(8))
    early = votenet("results", "--final", *node, "-o", str(result), exit_code=1)
    assert "[not-final]" in early.stderr
    assert "Voting close" in early.stderr
    assert not result.exists()
    assert "Counts are shown after closing" in votenet("results", *node).stdout
    assert (network.results(1)["contests"], network.results(1)["votes"]) == ([], 8)
    provisional = json.loads(votenet("report", *node, "-o", "-", "--format", "json").stdout)
    assert (provisional["final"], provisional["counts_shown"], provisional["votes"]) == (False, False, 8)
    # 2. The authority adds a voter, replaces a key, changes the hours; a node that is killed follows.
    amend(network)
    network.wait_for(lambda: network.results(1).get("over"), 4 * PATIENCE)
    network.wait_for(lambda: network.all_count(10))
    done = votenet("results", "--final", *node, "-o", str(result))
    assert "final, signed by " in done.stdout
    play(partial(the_page_has_it, result), *network.addresses)
    # 3. Everybody who has the file sees who signed it; with the archive all of it is counted again.
    shown = votenet("verify", str(result), "--network", network.election.network_hex).stdout
    assert "The final result holds." in shown
    assert f"of {NAMED}: Node 0, Node 1" in shown
    told = json.loads(votenet("verify", str(result), "--json").stdout)
    assert (told["votes"], told["not_counted"]) == (10, [])
    votenet("export", *node, "-o", str(archive))
    compared = votenet("audit", str(archive), "--compare", str(result)).stdout
    assert "says the same" in compared
    command = [sys.executable, str(VERIFIER), "result", str(result), "--archive", str(archive)]
    other = subprocess.run(command, capture_output=True, text=True, check=False)
    assert other.returncode == 0, other.stdout + other.stderr
    assert "the archive gives the same counts" in other.stdout
    assert all(network.lies(index) == [] for index in range(NAMED))
    # 4. The minutes say the same in every form, and the commands that they name check it.
    minutes = {name: tmp_path / f"minutes.{name}" for name in ("html", "csv", "json")}
    for path in minutes.values():
        assert "The result is final." in votenet("report", *node, "-o", str(path)).stdout
    report = json.loads(minutes["json"].read_text())
    assert (report["final"], report["votes"], len(report["contests"])) == (True, 10, 1)
    assert sum(count["votes"] for count in report["contests"][0]["counts"]) == 10
    assert [one["number"] for one in report["amendments"]] == [1, 2, 3, 4]
    assert [name for name in ("Winner", "Tied") if f"{name}: " in minutes["html"].read_text()]
    assert "election,,,state,final" in minutes["csv"].read_text(encoding="utf-8-sig")
    folder = tmp_path / "a year later"
    folder.mkdir()
    shutil.copy(tmp_path / "roll.json", folder)
    for check in report["checks"]:
        program, *words = shlex.split(check["command"])
        script = [str(VERIFIER), *words[1:]] if program == "python3" else ["-m", "votenet", *words]
        run = subprocess.run(
            [sys.executable, *script],
            cwd=folder,
            env=votenet.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, (check, run.stdout, run.stderr)
