"""Every file that a page names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
FILES = {
    "/" + path.relative_to(PROJECT).as_posix()
    for folder in ("src", "tests", "bench", "docs", "csrc", "verifier", "examples", ".ci")
    for path in (PROJECT / folder).rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}
NAMED = re.compile(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|c|h|sh|md|svg))(?:::\w+)?`")
LINKED = re.compile(r"\]\(([^)#:]+)\)")
NOT_FILES = {"a/b.py", "tests/a/test_b.py"}
"""Patterns."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(NAMED.findall(text)) - NOT_FILES
    missing = [name for name in sorted(named) if not any(file.endswith(f"/{name}") for file in FILES)]
    assert not missing, f"{page.name} names files that are not there: {missing}"
    broken = [name for name in sorted(set(LINKED.findall(text))) if not (page.parent / name).exists()]
    assert not broken, f"{page.name} links to files that are not there: {broken}"
