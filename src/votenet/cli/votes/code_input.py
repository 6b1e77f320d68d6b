"""A voting code, asked for or read from a file, and the voter whose key follows from it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from votenet.cli import ui
from votenet.core.election.definition import Election
from votenet.core.election.roll import Roll
from votenet.core.election.voting_code import key_of_code, read_code
from votenet.core.keys import SigningKey
from votenet.errors import ConfigError, Rejected
from votenet.storage.input_file import STDIN, read_input

_LONGEST = 4096
"""Bytes of a file with a code."""


def is_typed(file: Path | None) -> bool:
    """Whether a person types the code: it is asked for at a terminal, when all else is known."""
    return file is None and sys.stdin.isatty()


def asked_code(file: Path | None) -> str:
    """The code in a file or on standard input; at a terminal it is asked for, and not shown.

    Raises:
        Rejected: bad-code.
        ConfigError: the file cannot be read.
    """
    if is_typed(file):
        return _typed_code()
    data = read_input(file or STDIN, _LONGEST, code="bad-code")
    return read_code(data.decode(errors="replace"))


def _typed_code() -> str:
    while True:
        typed: str = click.prompt("Code on the card (not shown)", hide_input=True, err=True)
        try:
            return read_code(typed)
        except Rejected as error:
            ui.say(f"{error.message.capitalize()}. {error.next_step}")


def need_roll(election: Election, roll: Roll | None) -> Roll:
    """The roll, without which nobody knows whose code it is.

    Raises:
        ConfigError: roll-missing, roll-not-used.
    """
    if election.definition.registration == "open":
        raise ConfigError(
            "this election is open to everybody: it has no voting codes",
            code="roll-not-used",
            next_step="Vote with an id of your own, without --code.",
        )
    if roll is None:
        raise ConfigError(
            "the roll of this election is not here, which says whose code this is",
            code="roll-missing",
            next_step="Take the roll file from the election's authority and give it with --roll FILE.",
        )
    return roll


def voter_of_code(code: str, election: Election, roll: Roll | None) -> tuple[str, SigningKey]:
    """The voter who has this code on the roll in force, and the voter's key.

    Args:
        election: in force, with its roll.
        roll: as the election began.

    Raises:
        Rejected: not-on-roll.
        ConfigError: roll-missing, roll-not-used.
    """
    roll = need_roll(election, roll)
    registered = roll.keys if election.registered is None else election.registered
    key = key_of_code(code, election.definition.uuid)
    voter_id = next((one for one, known in registered.items() if known == key.public_hex), None)
    if voter_id is not None:
        return voter_id, key
    if key.public_hex in roll.keys.values() or key.public_hex in election.given_keys.values():
        raise Rejected("not-on-roll", "this code was replaced by another one").advising(
            "Vote with the new card. Ask the election's authority if you have none."
        )
    raise Rejected("not-on-roll", "no voter of this election has this code").advising(
        "Use the card of this election; a code is worth nothing in another one."
    )
