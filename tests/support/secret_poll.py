"""A whole election with secret ballots from a seed: its file, its secrets, Belenios' archive of it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

import msgspec

from support.elections import key_of
from support.forged_ballots import FORGED_QUESTIONS
from support.named_files import Json, record_id
from support.secret_definitions import code_of, contest
from support.secret_elections import SampleElection
from support.secret_files import SecretFile, setup_of_files
from votenet.core.encoding import canonical
from votenet.secret.credentials import credential_of_code, public_credential
from votenet.secret.decryption_share import make_share
from votenet.secret.definition import SecretElection, read_election, write_election
from votenet.secret.documents import encode
from votenet.secret.group import Point
from votenet.secret.tally import EncryptedTally
from votenet.secret.trustees import read_trustees

POLL: Final = setup_of_files(
    contests=(
        contest("Wakil", ("Alice", "Bob", "Çelik"), method="approval", max=2, id="1"),
        contest("Ketua", ("Dora", "Emil"), blank=True, id="2"),
    ),
    weights=(1, 2, 1, 4, 1),
    seed=18,
)
"""Contests of the shape of `FORGED_QUESTIONS`."""
CHOICES: Final[dict[str, list[list[int]]]] = {
    "voter-1": [[1, 0, 1], [0, 1, 0]],
    "voter-2": [[0, 1, 0], [1, 0, 0]],
    "voter-4": [[0, 1, 1], [0, 0, 1]],
}
"""Of those who vote; the last of them in the closing."""


class Poll(SampleElection):
    """The election of `POLL` as those see it who know every secret."""

    def __init__(self) -> None:
        super().__init__(random.Random(18), FORGED_QUESTIONS)

    def __post_init__(self) -> None:
        file = SecretFile(POLL)
        self.uuid = file.definition["uuid"]
        self.election = read_election(file.definition["belenios"].encode())
        self.secrets = list(POLL.shares)
        self.trustees = POLL.trustees_file
        self.groups = read_trustees(self.trustees)
        self.credentials = [credential_of_code(code_of(voter), self.uuid) for voter in POLL.voters]
        public = [public_credential(one, self.uuid) for one in self.credentials]
        self.roll: dict[Point, int] = dict(zip(public, POLL.weights, strict=True))
        self.ballots = [self.ballot_of(POLL.voters.index(voter), CHOICES[voter]) for voter in CHOICES]

    def define(self, **changed: object) -> SecretElection:
        return write_election(msgspec.structs.replace(self.election.definition, **changed))

    def ballot(self, voter: str) -> str:
        """The one that a voter of `CHOICES` has cast."""
        return self.ballots[list(CHOICES).index(voter)].decode()

    def voter_credential(self, number: int) -> str:
        """The public credential of the voter with this number, from 0 on, as a ballot names it."""
        return list(self.roll)[number].written()

    def share(
        self, place: int, tally: EncryptedTally | None = None, *, secret: int | None = None, seed: int = 0
    ) -> str:
        """A trustee's share of this tally, by default the right one, with this private key."""
        own = self.secrets[place - 1] if secret is None else secret
        made = make_share(
            self.election, tally or self.tally, place, own, random.Random(place + 16 * seed).randbytes
        )
        return encode(made).decode()


@cache
def poll() -> Poll:
    return Poll()


class PollFile(SecretFile):
    """The file of this election, which grows by blocks."""

    def __init__(self) -> None:
        super().__init__(POLL)

    def ballot_vote(self, voter: str, ballot: str | None = None, **fields: Any) -> Json:
        """A signed vote with this ballot, by default the right one."""
        given = poll().ballot(voter) if ballot is None else ballot
        return self.vote(voter, **{"choices": [], "ballot": given, **fields})

    def vote_all(self, instead: Mapping[str, Json] | None = None) -> PollFile:
        """Every vote of `CHOICES` with the closing; `instead` are other ones, by voter."""
        votes = {voter: self.ballot_vote(voter) for voter in CHOICES} | dict(instead or {})
        *early, late = votes.values()
        for vote in early:
            self.cast(vote)
        ids = [record_id(late)]
        self.close([ids, ids, [], []])
        self.end([late])
        return self

    def packed(self, shares: Iterable[str] = ()) -> bytes:
        """The archive with these shares."""
        texts = list(shares)
        return self.pack(**{"shares": texts} if texts else {})


@cache
def voted() -> PollFile:
    """The whole election, honest. Not to be changed."""
    return PollFile().vote_all()


def signed(file: PollFile, voter: str, vote: Json) -> Json:
    """A changed vote with a signature by its voter."""
    unsigned = {name: value for name, value in vote.items() if name != "signature"}
    signature = key_of(voter).sign(b"votenet/vote/2\n" + canonical(unsigned)).hex()
    return {**unsigned, "signature": signature}


def edited(change: Any, shares: Iterable[str] = ()) -> bytes:
    """The whole archive with a change to its lines; nothing is signed or mined again."""
    lines = [msgspec.json.decode(line) for line in voted().packed(shares).splitlines()]
    change(lines)
    return b"".join(canonical(line) + b"\n" for line in lines)
