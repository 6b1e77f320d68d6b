"""Files of ballots that are signed beforehand, for one election.

The first line is a header, `{"votenet_presigned":1,"network_id":…,"votes":N}`; N lines follow, each the
canonical JSON of a signed vote (docs/protocol.md) as it goes into a request, so that sending encodes nothing.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from votenet.ballots.paper import Ballot
from votenet.core.election.definition import Election
from votenet.core.encoding import Hex32
from votenet.core.ledger.vote import Vote, check_vote, sign_vote
from votenet.core.limits import MAX_RECORD_BYTES
from votenet.errors import Command, ConfigError, NextStep, Rejected
from votenet.lab.voter_keys import VoterKeys
from votenet.storage.input_file import READ_ERRORS, InputFile
from votenet.storage.output_file import written

MARK: Final = b'{"votenet_presigned":'
_SIGN: Final = Command("replay", "FILE", "--presign", "OUT")
_SIGN_AGAIN: Final = NextStep("Sign the ballots again: {}", _SIGN)
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


def sign_ballot(ballot: Ballot, election: Election, keys: VoterKeys) -> SignedBallot:
    """The vote of a ballot.

    Raises:
        Rejected: no node would take it; a request that contains it would be refused whole.
    """
    hashed = sign_vote(
        keys.key(ballot.voter_id),
        network_hex=election.network_hex,
        voter_id=ballot.voter_id,
        choices=ballot.choices,
        time=election.definition.created,  # the same record again when a replay is resumed
    )
    check_vote(hashed, election)
    return SignedBallot(ballot.line, hashed.record)


def write_presigned(
    path: Path,
    election: Election,
    ballots: Iterable[Ballot],
    keys: VoterKeys,
    report: Callable[[int], None] = lambda _: None,
) -> int:
    """Sign ballots into a new file at `path`; returns how many. `report` is called after each.

    Ballots that no node would take are passed over.

    Raises:
        ConfigError: code bad-presigned-file; it cannot be written.
    """
    return write_signed(path, election, _records(election, ballots, keys), report)


def _records(election: Election, ballots: Iterable[Ballot], keys: VoterKeys) -> Iterator[bytes]:
    for ballot in ballots:
        with contextlib.suppress(Rejected):
            yield sign_ballot(ballot, election, keys).record


def write_signed(
    path: Path,
    election: Election,
    records: Iterable[bytes],
    report: Callable[[int], None] = lambda _: None,
) -> int:
    """Write the canonical records of signed votes into a new file at `path`, as `write_presigned` does.

    Raises:
        ConfigError: code bad-presigned-file; it cannot be written.
    """
    votes = 0
    step = "Name a file in a folder that you may write to, on a disk with room."
    what, code = f"cannot write {path}", "bad-presigned-file"
    with ConfigError.of_os_errors(what, code=code, next_step=step), written(path) as file:
        if not file.seekable():
            raise OSError(errno.ESPIPE, "it must be a file: how many votes it has is written last")
        start = file.tell()
        file.write(_header(election, 0))
        for record in records:
            file.write(record + b"\n")
            votes += 1
            report(votes)
        file.seek(start)
        file.write(_header(election, votes))
    return votes


def _header(election: Election, votes: int) -> bytes:
    return b'%s1,"network_id":"%s","votes":%*d}\n' % (
        MARK,
        election.network_hex.encode(),
        _COUNT_DIGITS,
        votes,
    )


def is_presigned(source: Path | InputFile) -> bool:
    """Whether the file begins as `write_presigned` begins it. Raises ConfigError."""
    opened = source if isinstance(source, InputFile) else _opened(source)
    try:
        return opened.stream().read(len(MARK)) == MARK
    except READ_ERRORS:
        return False  # a damaged file, whatever is in it: the reader of ballots says so


class PresignedFile:
    """A file of signed votes; `votes` in it, of the election `network_id`."""

    def __init__(self, source: Path | InputFile) -> None:
        """Read the header.

        Raises:
            ConfigError: code bad-presigned-file.
        """
        self.input = source if isinstance(source, InputFile) else _opened(source)
        try:
            header = msgspec.json.decode(self.input.stream().readline(512), type=_Header)
        except (msgspec.DecodeError, *READ_ERRORS) as error:
            raise self._unusable(f"its header is not valid ({error})") from error
        self.network_id, self.votes = header.network_id, header.votes

    def check(self) -> None:
        """Every line: a vote of this election, and as many as the header says. A microsecond each.

        Raises:
            ConfigError: code bad-presigned-file, with the line that is wrong.
        """
        decoder, votes = msgspec.json.Decoder(Vote), 0
        for ballot in self.ballots():
            votes += 1
            try:
                same = decoder.decode(ballot.record).network_id == self.network_id
            except msgspec.DecodeError as error:
                raise self._unusable(f"line {ballot.line} is not a vote ({error})") from error
            if not same:
                raise self._unusable(f"the vote in line {ballot.line} is of another election")
        if votes != self.votes:
            raise self._unusable(f"its header says {self.votes:,} votes, but it has {votes:,}")

    def check_election(self, election: Election) -> None:
        """Raises ConfigError, code wrong-election, when the votes were signed for another one."""
        if election.network_hex != self.network_id:
            raise ConfigError(
                f"{self.input.name} was signed for another election ({self.network_id[:16]}…, "
                f"not {election.network_hex[:16]}…)",
                code="wrong-election",
                next_step=NextStep("Sign the ballots again for this network: {}", _SIGN),
            )

    def ballots(self) -> Iterator[SignedBallot]:
        """Every vote in order. Raises ConfigError, code bad-presigned-file."""
        file = self.input.stream()
        line = 1
        try:
            file.readline(512)
            while raw := file.readline(MAX_RECORD_BYTES + 1):
                line += 1
                if not raw.endswith(b"\n"):
                    raise self._unusable(f"line {line} is too long, or cut")
                yield SignedBallot(line, raw[:-1])
        except READ_ERRORS as error:
            raise self._unusable(str(error)) from error

    def _unusable(self, why: str) -> ConfigError:
        return ConfigError(
            f"cannot use {self.input.name}: {why}", code="bad-presigned-file", next_step=_SIGN_AGAIN
        )


def _opened(path: Path) -> InputFile:
    return InputFile(path, code="bad-presigned-file", next_step=_SIGN_AGAIN)
