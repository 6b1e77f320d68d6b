"""The demonstration with its defaults: its counts, and every reader of the files that it leaves."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Votenet
from tests.e2e.test_readers import Readers

from votenet.lab.demo_page import browser
from votenet.lab.demo_run import PAGE_VOTER
from votenet.lab.demo_secret import secret_counts

pytestmark = pytest.mark.e2e


def counts_are_those_by_hand(mayor: Any, motion: Any, secret: Any, votes: int) -> None:
    assert mayor["decided"].startswith("BETSY HODGES, in round ")
    assert motion["decided"] == "carried"
    assert sum(line["votenet"] for line in motion["counts"]) == votes
    assert {line["candidate"]: line["votenet"] for line in secret["counts"]} == secret_counts()
    assert all(
        line["votenet"] == line["by_hand"] for one in (mayor, motion, secret) for line in one["counts"]
    )


@pytest.mark.long
@pytest.mark.timeout(900)  # 5,000 votes on five nodes, six times over: half a minute on an idle machine
def test_every_reader_accepts_files_of_a_default_demo(votenet: Votenet, tmp_path: Path) -> None:
    done = votenet("demo", "--keep", "--json", exit_code=None, seconds=600)
    home, secret_home = map(Path, re.findall("chains and logs are in (.+)", done.stderr))
    user = Votenet(home)
    try:
        report = json.loads(done.stdout)
        assert report["passed"], done.stdout
        user("up", "--detach")
        readers = Readers(user, tmp_path)
        on_the_page = [check["check"] for check in report["checks"]].count("a vote on the page is final")
        assert (len(report["checks"]), on_the_page) == ((17, 0) if browser() is None else (18, 1))
        assert readers.results["votes"] == 5000 + on_the_page
        counts_are_those_by_hand(*report["contests"], votes=5000 + on_the_page)
        if on_the_page:
            assert user.json("status", "--voter", PAGE_VOTER)["state"] == "final"
        readers.all_of_them("mpls-000001")
    finally:
        user("down", exit_code=None)
        left = user.left_over()
        for folder in (home, secret_home):
            shutil.rmtree(folder, ignore_errors=True)
    assert left == []
