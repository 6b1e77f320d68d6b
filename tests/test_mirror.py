"""Tests mirror sources: the tests of src/votenet/a/b.py are in tests/a/test_b.py."""

from __future__ import annotations

from pathlib import Path

import votenet

SOURCES = Path(votenet.__file__).parent
TESTS = Path(__file__).parent
NOT_MIRRORED = {"__init__.py", "__main__.py"}
MODULES = [
    path.relative_to(SOURCES) for path in sorted(SOURCES.rglob("*.py")) if path.name not in NOT_MIRRORED
]


def test_every_module_has_its_tests() -> None:
    for module in MODULES:
        twin = TESTS / module.parent / f"test_{module.name}"
        assert twin.is_file(), f"{module} has no {twin.relative_to(TESTS)}"
        assert "def test_" in twin.read_text(encoding="utf-8"), f"{twin.relative_to(TESTS)} tests nothing"
