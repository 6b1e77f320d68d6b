"""Fixtures for the client: a real node to talk to, and voters' keys of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import RunningNode, named_node, node_of

from support.elections import make_election

__all__ = ["named_node"]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """One `votenet node` that mines at an easy target, for all tests of a module."""
    election = make_election(created=int(time.time()))
    with node_of(election, tmp_path_factory.mktemp("node")) as running:
        yield running


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path / "home"))
