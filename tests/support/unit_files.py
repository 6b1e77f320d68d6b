"""Unit files of systemd and their environment files, read by systemd's rules as far as ours use them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

DEPLOY: Final = Path(__file__).parent.parent.parent / "deploy"
UNITS: Final = sorted((DEPLOY / "systemd").glob("*.service"))

Unit = dict[str, list[str]]
"""By name of a setting its values, in their order; sections have no name in common here."""


def read_unit(path: Path, instance: str = "") -> Unit:
    """The settings of a unit. `instance` is what stands for `%i`."""
    found: Unit = {}
    for line in path.read_text().replace("\\\n", " ").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith(("#", ";", "[")):
            found.setdefault(name.strip(), []).append(value.strip().replace("%i", instance))
    return found


def read_environment(text: str) -> dict[str, str]:
    """The variables of an environment file: comments are whole lines, a value may stand in quotes.

    See EnvironmentFile= in systemd.exec(5): no variables are put in, no commands run.
    """
    lines = (line.strip() for line in text.replace("\\\n", "").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith(("#", ";")))
    return {name: " ".join(shlex.split(value, comments=False)) for name, equals, value in pairs if equals}


def environment_of(unit: Unit, place: Path) -> dict[str, str]:
    """What systemd gives the program of a unit, of which all absolute paths are below `place`.

    Raises:
        FileNotFoundError: an environment file that must be there is missing.
    """
    found = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/", "LANG": "C.UTF-8"}
    for line in unit.get("Environment", []):
        found |= dict(word.split("=", 1) for word in shlex.split(moved(line, place)))
    for name in unit.get("EnvironmentFile", []):
        path = place / name.removeprefix("-").lstrip("/")
        if path.exists() or not name.startswith("-"):
            found |= read_environment(path.read_text())
    return found


def command_of(unit: Unit, place: Path) -> list[str]:
    """The words of ExecStart, paths below `place`; the first is the program."""
    (line,) = unit["ExecStart"]
    return shlex.split(moved(line, place))


def moved(text: str, place: Path) -> str:
    """The text with the folders of the machine below `place`."""
    for folder in ("/var/lib/", "/etc/votenet"):
        text = text.replace(folder, f"{place}{folder}")
    return text
