"""Fixtures: real nodes to ask."""

from __future__ import annotations

from tests.cli.conftest import cli, named_node, node

__all__ = ["cli", "named_node", "node"]
