"""Every file, page and section that a page names exists, and the site of the documentation has every page."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
FILES = {
    "/" + path.relative_to(PROJECT).as_posix()
    for folder in ("src", "tests", "bench", "docs", "csrc", "verifier", "examples", "deploy", ".ci")
    for path in (PROJECT / folder).rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}
NAMED = re.compile(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|c|h|sh|md|svg))(?:::\w+)?`")
SECTION = re.compile(r"\]\(([\w.-]*\.md)?#([^)]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
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


def _anchor(heading: str) -> str:
    """The anchor of a heading in the site, as Python-Markdown makes it."""
    text = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", text).strip().lower())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_section_that_a_page_links_to_exists(page: Path) -> None:
    for name, anchor in SECTION.findall(page.read_text(encoding="utf-8")):
        target = page.parent / name if name else page
        headings = HEADING.findall(target.read_text(encoding="utf-8"))
        assert anchor in map(_anchor, headings), f"{page.name} links to {name}#{anchor}"


def test_the_site_names_every_page() -> None:
    nav = (PROJECT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    listed = set(re.findall(r"([\w-]+\.md)$", nav, re.MULTILINE))
    missing = {page.name for page in (PROJECT / "docs").glob("*.md")} - listed
    assert not missing, f"give each a line in mkdocs.yml, under nav: {sorted(missing)}"
