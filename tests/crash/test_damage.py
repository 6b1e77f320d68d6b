"""Damaged files are refused in words, or cost nothing; a few places of each file, `make crash` has more."""

from __future__ import annotations

from pathlib import Path

import pytest

from crash.damage import AT_REST, DAMAGES, Rest


@pytest.mark.parametrize("workload", ["first start", "named node"])
@pytest.mark.parametrize("state", AT_REST)
def test_damage_is_named_or_harmless_and_the_next_step_helps(
    state: str, workload: str, tmp_path: Path
) -> None:
    rest = Rest(tmp_path, workload)
    outcomes = [rest.experiment(state, name, way, seed=1) for name in rest.files(state) for way in DAMAGES]
    outcomes += [rest.loss(state, name) for name in rest.files(state) if not name.endswith(".key")]
    assert [outcome for outcome in outcomes if outcome.problem] == []
    refused = {outcome.operation.split()[0] for outcome in outcomes if outcome.refused}
    harmless = {outcome.operation.split()[0] for outcome in outcomes} - refused
    assert {"chain.db", "node.key"} <= refused
    assert {"lock", "chain.db-commits"} <= harmless
