"""Fixtures of the commands' tests, for instruments that run against a node."""

from tests.cli.conftest import cli, node

__all__ = ["cli", "node"]
