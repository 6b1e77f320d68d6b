"""A recovery code, typed without being shown, or read from a file: never an argument."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from votenet.cli import ui
from votenet.core.election.recovery_code import read_recovery_code
from votenet.errors import Rejected
from votenet.secret.key_generation import TrusteeSeed
from votenet.storage.input_file import STDIN, read_input

_LONGEST = 4096
"""Bytes of a file with a code."""


def asked_seed(file: Path | None) -> TrusteeSeed:
    """The seed of the code in a file or on standard input; at a terminal it is asked for, and not shown.

    Raises:
        Rejected: bad-code, with the number of the wrong group.
        ConfigError: the file cannot be read.
    """
    if file is None and sys.stdin.isatty():
        return TrusteeSeed.parse(_typed())
    data = read_input(file or STDIN, _LONGEST, code="bad-code")
    return TrusteeSeed.parse(read_recovery_code(data.decode(errors="replace")))


def _typed() -> str:
    while True:
        typed: str = click.prompt("Code on the recovery card (not shown)", hide_input=True, err=True)
        try:
            return read_recovery_code(typed)
        except Rejected as error:
            ui.say(f"{error.message.capitalize()}. {error.next_step}")
