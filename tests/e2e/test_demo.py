"""The demonstration itself, smaller: real ballots, a kill -9 in the middle, counts compared."""

from __future__ import annotations

import pytest
from tests.e2e.conftest import Votenet

pytestmark = pytest.mark.e2e


def test_the_demo_passes_all_its_checks(votenet: Votenet) -> None:
    found = votenet.json("demo", "--ballots", "2000", "--nodes", "3")
    assert found["passed"], found["checks"]
    assert len(found["checks"]) == 8
    assert sum(line["votenet"] for line in found["counts"]) == 2000
    assert all(line["votenet"] == line["file"] for line in found["counts"])
