"""Roll files: read, compared with an election, written."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

from votenet.config import InstanceDirs, instance_dirs
from votenet.core.election.definition import Election
from votenet.core.election.roll import Roll, roll_from_file, with_roll
from votenet.core.limits import MAX_RECEIPT
from votenet.errors import Command, ConfigError, NextStep
from votenet.storage.input_file import read_input
from votenet.storage.output_file import write_output

ROLL_NAME: Final = "roll.json"
"""Beside the genesis file."""


def read_roll(path: Path, *, for_new: bool = False) -> Roll:
    """The roll in a file.

    Args:
        for_new: an election is about to be made with it, so it may be that nobody has made the file yet. Of
            one that exists the organiser has the only right roll: nobody makes that a second time.

    Raises:
        ConfigError: roll-missing, there is no such file; bad-roll.
    """
    step: str = (
        "Ask the organiser of the election for its roll, a file roll.json. A node that has joined keeps a"
        " copy in its folder."
    )
    if for_new:
        make = Command("voters", "import", "VOTERS.csv", "-o", "roll.json")
        step = NextStep("The organiser of the election makes this file with: {}", make)
    try:
        data = read_input(path, MAX_RECEIPT, code="bad-roll", next_step=step)
    except ConfigError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            error.code = "roll-missing"
        raise
    return roll_from_file(data)


class KnownRoll:
    """Finds the roll of an election: that of a file, else that of the network here if it belongs to it.

    `path`: the file that was used; None while there is none.
    """

    def __init__(self, path: Path | None, instance: str) -> None:
        self.path, self._instance = path, instance
        self._given = None if path is None else read_roll(path)

    def __call__(self, election: Election) -> Roll | None:
        if self._given is not None:
            return self._given
        found = None
        with contextlib.suppress(ConfigError):  # a damaged file here is no fault of an election elsewhere
            found = roll_of(election, self._instance)
        if found is not None:
            self.path = roll_path(instance_dirs(self._instance))
        return found


def election_with_roll(election: Election, path: Path | None) -> Election:
    return with_roll(election, None if path is None else read_roll(path))


def write_roll(path: Path, made: Roll) -> None:
    write_output(path, made.to_file(), code="bad-roll")


def roll_path(dirs: InstanceDirs) -> Path:
    """Where an instance keeps the roll of its election, if it has one."""
    return dirs.genesis.with_name(ROLL_NAME)


def roll_here(instance: str) -> Roll | None:
    """The roll of the instance's election, if it has one. Raises ConfigError: it cannot be read."""
    path = roll_path(instance_dirs(instance))
    return read_roll(path) if path.exists() else None


def roll_of(election: Election, instance: str) -> Roll | None:
    """The roll of this election, where the instance has it."""
    found = roll_here(instance) if election.definition.registration == "roll" else None
    return found if found is not None and found.root_hex == election.definition.roll_root else None
