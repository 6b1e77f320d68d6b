"""docs/security.md names a test for every line, and every test that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

from adversary.adversaries import CODES

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "security.md").read_text(encoding="utf-8")
NAME = re.compile(r"`([\w/]+\.py::)?(test_\w+)`|`((?:tests/)?[\w/]*test_\w+\.py)`|`([a-z_]+)`")


def _functions(text: str) -> set[str]:
    return set(re.findall(r"^(?:async )?def (test_\w+)", text, re.MULTILINE))


def _rows(heading: str) -> list[list[str]]:
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def _exists(name: re.Match[str]) -> bool:
    file, function, whole_file, adversary = name.groups()
    if whole_file:
        path = whole_file.removeprefix("tests/")
        return any(True for _ in TESTS.rglob(path))
    if function:
        path = TESTS / (file.removesuffix("::").removeprefix("tests/") if file else "test_not_protected.py")
        return function in _functions(path.read_text(encoding="utf-8"))
    return adversary in CODES


def test_every_line_names_tests_and_all_of_them_exist() -> None:
    rows = _rows("What this does not protect") + _rows("Threats")
    assert len(rows) > 25
    for row in rows:
        names = list(NAME.finditer(row[-1]))
        assert names, f"no test is named for: {row[0]}"
        missing = [name[0] for name in names if not _exists(name)]
        assert not missing, f"{row[0]}: there is no {missing}"
        assert not NAME.sub("", row[-1]).strip(", "), row[-1]
