"""Reading a genesis file: the definition of an election."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from votenet.core.election.definition import TAKE_THE_GENESIS, Election, election_from_file
from votenet.storage.input_file import read_input

MAX_GENESIS: Final = 16 * 1024 * 1024
"""Bytes of a genesis file: a thousand candidates fill a few hundred thousand."""


def read_genesis(path: Path) -> Election:
    """The election in a genesis file. Raises ConfigError: bad-genesis."""
    data = read_input(
        path,
        MAX_GENESIS,
        code="bad-genesis",
        next_step=TAKE_THE_GENESIS,
    )
    return election_from_file(data)
