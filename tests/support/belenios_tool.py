"""Belenios' own command line tool, version 3.0, as a program of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from votenet.secret.belenios_archive import BeleniosArchive, hash_of, write_archive
from votenet.secret.documents import encode
from votenet.secret.tally import SizedTally

TOOL: Final = "BELENIOS_TOOL"
"""The variable that names the program where it is not on the PATH."""
INSTALLED: Final = Path(__file__).parents[2] / "build/belenios-tool/belenios-tool"
"""Where `.ci/belenios-tool` puts it."""


class BeleniosTool:
    """The tool with a folder of its own for the files of one election."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program, self.folder = program, folder

    def attempt(self, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        environment = {**os.environ, "BELENIOS_USE_URANDOM": "1"}
        return subprocess.run(
            [self._program, *words],
            cwd=self.folder,
            input=given,
            env=environment,
            capture_output=True,
            timeout=300,
            check=False,
        )

    def run(self, *words: str, given: bytes = b"") -> bytes:
        """What it prints. Fails the test where the tool fails."""
        done = self.attempt(*words, given=given)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.decode()}"
        return done.stdout

    def write(self, name: str, content: bytes | str) -> str:
        (self.folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return name

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def only(self, ending: str) -> str:
        """The one file with this ending."""
        (found,) = self.folder.glob(f"*{ending}")
        return found.name

    def record(self, kind: str, content: bytes = b"") -> None:
        """Add an event to the archive in the folder."""
        self.run("archive", "add-event", f"--type={kind}", given=content)

    def hold(self, archive: BeleniosArchive, uuid: str) -> None:
        """Make this the only archive in the folder."""
        for old in self.folder.glob("*.bel"):
            old.unlink()
        self.write(f"{uuid}.bel", write_archive(archive))

    def accepts(self, archive: BeleniosArchive, uuid: str) -> bool:
        """Whether `election verify` takes this archive. It ignores what its check of the ballots finds."""
        self.hold(archive, uuid)
        done = self.attempt("election", "verify")
        assert (done.returncode == 0) == (b"all checks passed" in done.stderr)
        return done.returncode == 0

    def accepts_ballot(self, archive: BeleniosArchive, uuid: str, ballot: bytes) -> bool:
        """Whether `election verify-ballot` takes a ballot that comes after those of this archive."""
        self.hold(archive, uuid)
        name = self.write("ballot.json", ballot)
        return self.attempt("election", "verify-ballot", "--ballot", name).returncode == 0

    def proves(self, archive: BeleniosArchive, uuid: str) -> bool:
        """Whether everything in an archive with a result is what the tool finds, too.

        That is: the archive as a whole, each ballot after those before it, the tally, the result.
        """
        setup = archive._replace(ballots=(), closed=False, encrypted_tally=None, decryptions=(), result=None)
        if not self.accepts(archive, uuid):
            return False
        for number, ballot in enumerate(archive.ballots):
            if not self.accepts_ballot(setup._replace(ballots=archive.ballots[:number]), uuid, ballot):
                return False
        self.hold(setup._replace(ballots=archive.ballots, closed=True), uuid)
        tally = self.attempt("election", "compute-encrypted-tally").stdout.splitlines()
        sized = SizedTally(
            num_tallied=archive.num_tallied,
            total_weight=archive.total_weight,
            encrypted_tally=hash_of(archive.encrypted_tally or b""),
        )
        if tally != [archive.encrypted_tally, encode(sized)]:
            return False
        self.hold(archive._replace(result=None), uuid)
        return self.attempt("election", "compute-result").stdout.splitlines() == [archive.result]


def tool_program() -> str | None:
    """The program of the tool; None where it is missing."""
    return os.environ.get(TOOL) or shutil.which("belenios-tool") or shutil.which(INSTALLED)


def find_tool(folder: Path) -> BeleniosTool:
    """The tool. Skips the test where it is missing."""
    program = tool_program()
    if program is None:
        pytest.skip("no belenios-tool on this machine: .ci/belenios-tool installs it")
    return BeleniosTool(program, folder)
