"""The files for people who come to the project: workflows and forms hold their schema, versions agree."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import votenet

PROJECT = Path(__file__).parent.parent
GITHUB = PROJECT / ".github"


@pytest.mark.parametrize(
    ("schema", "pattern", "at_least"),
    [
        ("vendor.github-workflows", "workflows/*.yml", 2),
        ("vendor.github-issue-forms", "ISSUE_TEMPLATE/[!c]*.yml", 2),
        ("vendor.github-issue-config", "ISSUE_TEMPLATE/config.yml", 1),
    ],
)
def test_workflows_and_forms_hold_the_published_schema(schema: str, pattern: str, at_least: int) -> None:
    pytest.importorskip("check_jsonschema", reason="no check-jsonschema: pip install 'votenet[dev]'")
    files = sorted(map(str, GITHUB.glob(pattern)))
    assert len(files) >= at_least
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *files],
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_version_is_the_same_everywhere() -> None:
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    released = re.findall(
        r"^## (\d+\.\d+\.\d+) - \d{4}-\d\d-\d\d$", (PROJECT / "CHANGELOG.md").read_text(), re.M
    )
    assert votenet.__version__ == declared == released[0]
    assert len(released) == len(set(released))
