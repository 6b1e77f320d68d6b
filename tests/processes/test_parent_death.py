"""A program's half of dying with its supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from votenet.processes import parent_death


def child(parent: str) -> subprocess.CompletedProcess[str]:
    code = "from votenet.processes import parent_death; print(parent_death.arm(), flush=True)"
    env = {**os.environ, parent_death.PARENT_VARIABLE: parent}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)


def test_not_asked() -> None:
    assert parent_death.PARENT_VARIABLE not in os.environ
    assert parent_death.arm() is False


@pytest.mark.parametrize("value", ["", "soon", "-1"])
def test_nonsense_is_ignored(value: str) -> None:
    assert child(value).stdout == "False\n"


def test_armed_under_the_right_parent() -> None:
    found = child(str(os.getpid()))
    assert (found.stdout, found.returncode) == ("True\n", 0)


def test_a_parent_that_died_meanwhile_ends_us_at_once() -> None:
    assert child("1").returncode == -signal.SIGTERM
