"""Every limit of the records stands once in the product; tests/verifier compares its readers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from votenet.core import limits, text

ROOT = Path(__file__).parents[2]
NAMES = {name for module in (limits, text) for name in vars(module) if name.isupper() and name[0] != "_"}
ELSEWHERE = [
    path
    for folder in ("src/votenet", "bench", "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.name not in ("limits.py", "text.py")
]


def assigned(source: str) -> Iterator[str]:
    """Names that a module assigns at its top."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def test_no_other_module_has_a_limit_of_its_own_under_the_same_name() -> None:
    perhaps = re.compile(rf"^(?:\w+ *[=,] *)*(?:{'|'.join(NAMES)})\b", re.MULTILINE)
    assert perhaps.search(f"OTHER = {min(NAMES)} = 1")
    for path in ELSEWHERE:
        source = path.read_text(encoding="utf-8")
        if perhaps.search(source):  # to parse every source takes seconds
            assert not NAMES.intersection(assigned(source)), path


def test_there_are_limits() -> None:
    assert len(NAMES) > 25


def test_the_c_core_has_the_same_sizes() -> None:
    header = (ROOT / "csrc" / "pow.h").read_text(encoding="utf-8")
    assert f"POW_HEADER_SIZE = {limits.HEADER_BYTES}," in header
