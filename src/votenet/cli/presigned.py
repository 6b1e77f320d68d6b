"""Ballots signed beforehand: one file for one election, ready to be sent.

What lives here: writing, checking and reading such files. What must not: sending, options.

The first line is a header, `{"votenet_presigned":1,"network_id":…,"votes":N}`; N lines follow, each the
canonical JSON of a signed vote (docs/protocol.md), just as it goes into a request: whoever sends them
encodes nothing. A file is written under another name and moved to its own when it is complete.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal

import msgspec

from votenet.cli.ballots import Ballot
from votenet.core.election import Election
from votenet.core.encoding import Hex32
from votenet.core.keys import SigningKey
from votenet.core.vote import MAX_VOTE_BYTES, Vote, sign_vote
from votenet.errors import ConfigError

MARK: Final = b'{"votenet_presigned":'
_COUNT_DIGITS: Final = 12
"""Room for the number of votes, which is known last."""


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    votenet_presigned: Literal[1]
    network_id: Hex32
    votes: int


@dataclass(frozen=True, slots=True)
class SignedBallot:
    """A vote as it is sent: its canonical record, and the line of the file that it came from."""

    line: int
    record: bytes


def sign_ballot(ballot: Ballot, election: Election, secret: bytes) -> SignedBallot:
    """The vote of a ballot. The key follows from `secret` (32 bytes) and the voter id."""
    seed = hmac.digest(secret, ballot.voter_id.encode(), hashlib.sha256)
    sealed = sign_vote(
        SigningKey(seed),
        network_hex=election.network_hex,
        voter_id=ballot.voter_id,
        choices=ballot.choices,
        time=election.definition.created,  # the same record again when a replay is resumed
    )
    return SignedBallot(ballot.line, sealed.record)


def write_presigned(
    path: Path,
    election: Election,
    ballots: Iterable[Ballot],
    secret: bytes,
    report: Callable[[int], None] = lambda _: None,
) -> int:
    """Sign ballots one by one into a new file at `path`; how many. `report` is told after each.

    Raises:
        ConfigError: code bad-presigned-file; it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    votes = 0
    try:
        with draft.open("xb") as file:
            file.write(_header(election, 0))
            for ballot in ballots:
                file.write(sign_ballot(ballot, election, secret).record + b"\n")
                votes += 1
                report(votes)
            file.seek(0)
            file.write(_header(election, votes))
        draft.replace(path)
    except OSError as error:
        raise ConfigError(
            f"cannot write {path}: {error.strerror or error}",
            code="bad-presigned-file",
            next_step="Name a file in a folder that you may write to, on a disk with room.",
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    return votes


def _header(election: Election, votes: int) -> bytes:
    return b'%s1,"network_id":"%s","votes":%*d}\n' % (
        MARK,
        election.network_hex.encode(),
        _COUNT_DIGITS,
        votes,
    )


def is_presigned(path: Path) -> bool:
    """Whether the file begins as `write_presigned` begins it."""
    try:
        with path.open("rb") as file:
            return file.read(len(MARK)) == MARK
    except OSError:
        return False


class PresignedFile:
    """A file of signed votes; `votes` in it, of the election `network_id`."""

    def __init__(self, path: Path) -> None:
        """Read the header.

        Raises:
            ConfigError: code bad-presigned-file.
        """
        self.path = path
        with self._open() as file:
            try:
                header = msgspec.json.decode(file.readline(512), type=_Header)
            except msgspec.DecodeError as error:
                raise self._unusable(f"its header is not valid ({error})") from error
        self.network_id, self.votes = header.network_id, header.votes

    def check(self) -> None:
        """Every line: a vote of this election, and as many as the header says. A microsecond each.

        Raises:
            ConfigError: code bad-presigned-file, with the line that is wrong.
        """
        decoder, found = msgspec.json.Decoder(Vote), 0
        for ballot in self.ballots():
            found += 1
            try:
                same = decoder.decode(ballot.record).network_id == self.network_id
            except msgspec.DecodeError as error:
                raise self._unusable(f"line {ballot.line} is not a vote ({error})") from error
            if not same:
                raise self._unusable(f"the vote in line {ballot.line} is of another election")
        if found != self.votes:
            raise self._unusable(f"its header says {self.votes:,} votes, but it has {found:,}")

    def check_election(self, election: Election) -> None:
        """Raises ConfigError, code wrong-election, when the votes were signed for another one."""
        if election.network_hex != self.network_id:
            raise ConfigError(
                f"{self.path} was signed for another election ({self.network_id[:16]}…, "
                f"not {election.network_hex[:16]}…)",
                code="wrong-election",
                next_step="Sign the ballots again for this network: votenet replay FILE --presign OUT",
            )

    def ballots(self) -> Iterator[SignedBallot]:
        """Every vote in order. Raises ConfigError, code bad-presigned-file."""
        with self._open() as file:
            file.readline(512)
            line = 1
            try:
                while raw := file.readline(MAX_VOTE_BYTES + 1):
                    line += 1
                    if not raw.endswith(b"\n"):
                        raise self._unusable(f"line {line} is too long, or cut")
                    yield SignedBallot(line, raw[:-1])
            except OSError as error:
                raise self._unusable(str(error)) from error

    def _open(self) -> IO[bytes]:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from error

    def _unusable(self, why: str) -> ConfigError:
        return ConfigError(
            f"cannot use {self.path}: {why}",
            code="bad-presigned-file",
            next_step="Sign the ballots again: votenet replay FILE --presign OUT",
        )
