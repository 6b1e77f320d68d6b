"""Files of ballots as a command names them: a path, standard input, or a record that comes with votenet."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

from votenet.storage.input_file import InputFile

SHIPPED: Final = {"minneapolis-2013": "minneapolis_2013_mayor_cvr.csv.xz"}
"""Records that come with votenet, by the name a user may give instead of a file."""
MAX_BALLOT_FILE: Final = 64 * 1024 * 1024
"""Bytes of a file of ballots, unpacked."""


def ballot_input(source: Path) -> InputFile:
    """A file of ballots by its path or its name as a shipped record, opened once. Raises ConfigError."""
    shipped = SHIPPED.get(str(source))
    if shipped is not None and not source.exists():
        source = Path(str(resources.files("votenet").joinpath("data", shipped)))
    return InputFile(
        source,
        code="bad-ballot-file",
        next_step="Give a file of ballots, - for standard input, or the name of a shipped record: "
        + ", ".join(SHIPPED),
    )


def read_ballot_file(source: Path | InputFile) -> bytes:
    """The content of a file of ballots, unpacked. Raises ConfigError: bad-ballot-file."""
    opened = source if isinstance(source, InputFile) else ballot_input(source)
    return opened.read(MAX_BALLOT_FILE)
