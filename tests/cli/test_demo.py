"""The demonstration itself, smaller: real ballots, a kill -9 in the middle, counts compared."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.cli.conftest import Outcome

pytestmark = pytest.mark.e2e


def test_the_demo_passes_all_its_checks(cli: Callable[..., Outcome]) -> None:
    done = cli("demo", "--ballots", "2000", "--nodes", "3", "--json")
    found = json.loads(done.out)
    assert found["passed"], found["checks"]
    assert done.code == 0
    assert len(found["checks"]) == 8
    assert sum(line["votenet"] for line in found["counts"]) == 2000
    assert all(line["votenet"] == line["file"] for line in found["counts"])
