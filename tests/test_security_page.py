"""docs/security.md names a test for every line, or says that there is none; all that it names exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "security.md").read_text(encoding="utf-8")
FILE = re.compile(r"`(?:tests/)?([\w/]*test_\w+\.py)(?:::(test_\w+))?`")
FUNCTION = re.compile(r"`(test_\w+)`")
ANY = re.compile(r"`([^`]+)`")


def _adversaries() -> set[str]:
    """The names under which adversaries are played, and the files that they are in."""
    found = {path.name for path in (TESTS / "adversary").glob("*.py")}
    for path in (TESTS / "adversary").glob("[!t_]*.py"):
        module = importlib.import_module(f"adversary.{path.stem}")
        found |= {*getattr(module, "CODES", ()), *getattr(module, "CASES", ())}
    return found


ADVERSARIES = _adversaries()


def _section(heading: str) -> str:
    return PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]


def _rows(heading: str) -> list[list[str]]:
    lines = [line for line in _section(heading).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def _defines(path: Path, function: str) -> bool:
    text = path.read_text(encoding="utf-8")
    return re.search(rf"^(?:async )?def {function}\b", text, re.MULTILINE) is not None


def _tests(text: str) -> list[str]:
    """What is wrong with the tests that a text names: missing ones; and whether there are any."""
    files = [
        (name[0], [path for path in TESTS.rglob(Path(name[1]).name) if str(path).endswith(name[1])], name[2])
        for name in FILE.finditer(text)
    ]
    for shown, paths, function in files:
        assert paths, f"there is no {shown}"
        assert function is None or any(_defines(path, function) for path in paths), f"there is no {shown}"
    functions = FUNCTION.findall(text)
    for function in functions:
        assert _defines(TESTS / "test_not_protected.py", function), f"there is no {function}"
    others = FILE.sub("", text)  # a file of adversaries may be named as a test, too
    adversaries = [name for name in ANY.findall(others) if name in ADVERSARIES]
    return [*(shown for shown, _, _ in files), *functions, *adversaries]


def test_every_row_names_tests_and_nothing_else() -> None:
    headings = ("What this does not protect", "Open without named nodes", "Threats")
    rows = [row for heading in headings for row in _rows(heading)]
    assert len(rows) > 40
    for row in rows:
        named = _tests(row[-1])
        assert named, f"no test is named for: {row[0]}"
        assert len(named) == len(ANY.findall(row[-1])), f"not all of it exists: {row[-1]}"


def test_every_point_names_a_test_or_says_that_there_is_none() -> None:
    points = [
        point
        for heading in ("Who is who", "Limits of these defences")
        for point in re.split(r"^- ", _section(heading), flags=re.MULTILINE)[1:]
    ]
    assert len(points) > 8
    for point in points:
        assert _tests(point) or re.search(r"no\s+test\b", point), point
