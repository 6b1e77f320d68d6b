"""docs/deployment.md: what it names is there, and all that is there is named."""

from __future__ import annotations

import re
import subprocess

from support.alert_rules import RULES
from support.unit_files import DEPLOY

PAGE = (DEPLOY.parent / "docs/deployment.md").read_text(encoding="utf-8")


def test_every_file_that_it_names_is_in_deploy() -> None:
    named = re.findall(r"\bdeploy/([\w./@-]*[\w/])", PAGE)
    assert len(named) > 5
    for name in named:
        assert (DEPLOY / name).exists(), name


def test_it_names_every_part_and_every_unit() -> None:
    for path in DEPLOY.iterdir():
        assert f"{path.name}/" in PAGE, path.name
    for path in (DEPLOY / "systemd").iterdir():
        assert path.name.replace("@.", "@NAME.") in PAGE or path.name in PAGE, path.name


def test_it_says_what_to_do_about_every_alert() -> None:
    told = set(re.findall(r"`(Votenet\w+)`", PAGE))
    assert told == set(re.findall(r"alert: (\w+)", RULES.read_text()))


def test_its_commands_are_read_by_a_shell() -> None:
    blocks = re.findall(r"^```\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 5
    for block in blocks:
        done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, ""), block


def test_it_and_the_page_of_backups_warn_of_snapshots() -> None:
    for page in (PAGE, (DEPLOY.parent / "docs/storage.md").read_text(encoding="utf-8")):
        assert "Never put back a snapshot of a named node's disk" in page
