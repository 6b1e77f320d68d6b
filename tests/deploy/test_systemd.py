"""The units of deploy/systemd: judged by systemd's own tools."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from support.unit_files import (
    DEPLOY,
    UNITS,
    environment_of,
    read_environment,
    read_unit,
)

EXPOSURE = 25
"""Tenths: the most that `systemd-analyze security` may find exposed."""
TARGETS = ("basic", "multi-user", "network", "network-online", "shutdown", "sysinit")
NAMES = [path.name for path in UNITS]


@pytest.fixture
def analyze() -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze on this machine: install the Debian package systemd")
    return program


def test_the_units_are_those_of_the_documentation() -> None:
    assert NAMES == [
        "votenet-bootstrap.service",
        "votenet-node@.service",
        "votenet-web.service",
        "votenet-witness.service",
    ]


def verified(analyze: str, folder: Path, name: str, text: str) -> subprocess.CompletedProcess[str]:
    """What `systemd-analyze verify` says of a unit, in a root folder that has the program and the targets."""
    units, programs = folder / "etc/systemd/system", folder / "usr/local/bin"
    for made in (units, programs):
        made.mkdir(parents=True, exist_ok=True)
    for target in TARGETS:
        (units / f"{target}.target").write_text("[Unit]\nDescription=a target\n")
    (programs / "votenet").write_text("#!/bin/sh\n")
    (programs / "votenet").chmod(0o755)
    unit = units / name.replace("@.", "@north.")
    unit.write_text(text)
    return subprocess.run(
        [analyze, f"--root={folder}", "--man=no", "verify", str(unit)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_systemd_accepts_each_unit_without_a_word(analyze: str, name: str, tmp_path: Path) -> None:
    done = verified(analyze, tmp_path, name, (DEPLOY / "systemd" / name).read_text())
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


def test_systemd_says_what_is_wrong_with_a_unit(analyze: str, tmp_path: Path) -> None:
    """An unknown key alone leaves the exit code at 0: silence is what is asked for."""
    text = (DEPLOY / "systemd/votenet-web.service").read_text()
    wrong = verified(analyze, tmp_path, "votenet-web.service", text.replace("WatchdogSec", "WatchdgSec"))
    assert "WatchdgSec" in wrong.stderr
    gone = verified(analyze, tmp_path, "votenet-web.service", text.replace("bin/votenet", "bin/votenot"))
    assert gone.returncode != 0


@pytest.mark.parametrize("name", NAMES)
def test_little_of_the_machine_is_exposed_to_each_program(analyze: str, name: str, tmp_path: Path) -> None:
    copy = tmp_path / name.replace("@.", "@north.")
    shutil.copy(DEPLOY / "systemd" / name, copy)
    done = subprocess.run(
        [analyze, "security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", str(copy)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_each_program_is_watched_and_no_wrong_setting_is_tried_again(name: str) -> None:
    unit = read_unit(DEPLOY / "systemd" / name, "north")
    assert unit["Type"] == ["notify"]
    assert int(unit["WatchdogSec"][0]) >= 10
    assert {"64", "78"} <= set(unit["RestartPreventExitStatus"][0].split())
    assert unit["DynamicUser"] == ["yes"]
    kept = unit["StateDirectory"][0]
    assert f"/var/lib/private/{kept}" in " ".join(unit["ExecStart"] + unit["Environment"]), (
        "no link leads there"
    )


@pytest.mark.parametrize("name", NAMES)
def test_no_program_can_make_root_read_a_file_for_it(name: str, tmp_path: Path) -> None:
    """systemd reads environment files as root, through links: none may be where a program writes."""
    unit = read_unit(DEPLOY / "systemd" / name, "north")
    secret, etc = tmp_path / "secret.env", tmp_path / "etc/votenet"
    secret.write_text("PASSWORD=of-root\n")
    etc.mkdir(parents=True)
    for kind in ("web", "witness"):
        (etc / f"{kind}.env").touch()
    (tmp_path / "var/lib/votenet/north").mkdir(parents=True)
    (tmp_path / "var/lib/votenet/north/node.env").symlink_to(secret)
    assert "of-root" not in environment_of(unit, tmp_path).values()
    for path in unit.get("EnvironmentFile", []):
        assert path.removeprefix("-").startswith("/etc/votenet/")


def test_environment_files_are_read_by_systemds_rules() -> None:
    text = "# a comment\n; another\n\nA=1\n B = two words\nC=\"x y\" \nD='$HOME'\nE=#5\nno line\nF=a\\\nb\n"
    assert read_environment(text) == {
        "A": "1", "B ": "two words", "C": "x y", "D": "$HOME", "E": "#5", "F": "ab",
    }  # fmt: skip


def test_the_environment_files_shown_set_options_that_exist(tmp_path: Path) -> None:
    from votenet.cli.main import main

    for kind in ("bootstrap", "web", "witness"):
        text = (DEPLOY / f"systemd/{kind}.env").read_text()
        names = read_environment(text.replace("# VOTENET_", "VOTENET_"))
        command = main.get_command(main.make_context("votenet", ["--help"], resilient_parsing=True), kind)
        assert command is not None
        options = (max(param.opts, key=len).lstrip("-") for param in command.params)
        known = {f"VOTENET_{kind}_{option}".upper().replace("-", "_") for option in options}
        known |= {str(param.envvar) for param in command.params if param.envvar}
        assert set(names) <= known, set(names) - known
