"""Archives of elections with one fault each, and what each is refused for."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Final

from support.secret_elections import SampleElection
from votenet.secret.belenios_archive import BeleniosArchive, OwnedPart
from votenet.secret.credentials import write_public_credentials
from votenet.secret.definition import HomomorphicQuestion
from votenet.secret.documents import encode
from votenet.secret.group import BASE, Point, multiply
from votenet.secret.tally import decrypt_partially
from votenet.secret.trustees import prove_trustee_key, write_trustees

FORGED_QUESTION: Final = HomomorphicQuestion(answers=("a", "b"), blank=True, min=1, max=2, question="?")


@cache
def polled() -> SampleElection:
    """An election in which two of three voters have voted, one of them twice."""
    election = SampleElection(random.Random(18), [FORGED_QUESTION], voters=3)
    for voter in (0, 1, 0):
        election.vote(voter)
    return election


@cache
def whole() -> BeleniosArchive:
    """Its archive with the result."""
    return polled().archive()


def other_tally(archive: BeleniosArchive) -> BeleniosArchive:
    """The sum of the ballots but the last, decrypted honestly."""
    one = polled()
    shorter = SampleElection(random.Random(18), [FORGED_QUESTION], voters=3)
    shorter.ballots = one.ballots[:2]
    other = shorter.archive()
    return archive._replace(
        encrypted_tally=other.encrypted_tally, decryptions=other.decryptions, result=other.result
    )


def by_one_trustee(archive: BeleniosArchive) -> BeleniosArchive:
    """The trustees' keys are those of an intruder, who opens the tally alone."""
    return archive._replace(trustees=write_trustees([prove_trustee_key(5, random.randbytes)]))


def wrong_part(archive: BeleniosArchive) -> BeleniosArchive:
    one = polled()
    part = decrypt_partially(one.election, one.tally, one.secrets[0] + 1, random.randbytes)
    return archive._replace(decryptions=(OwnedPart(1, encode(part)), archive.decryptions[1]))


ELECTION_FORGERIES: Final[dict[str, tuple[Callable[[BeleniosArchive], BeleniosArchive], str]]] = {
    "another result": (lambda a: a._replace(result=b'{"result":[[0,0,0]]}'), "bad-result"),
    "a result of another shape": (lambda a: a._replace(result=b'{"result":[[0,0]]}'), "bad-result"),
    "another tally": (other_tally, "bad-tally"),
    "another number of ballots": (lambda a: a._replace(num_tallied=3), "bad-tally"),
    "another weight": (lambda a: a._replace(total_weight=3), "bad-tally"),
    "a ballot is left out": (lambda a: a._replace(ballots=a.ballots[:2]), "bad-tally"),
    "a ballot is there twice": (lambda a: a._replace(ballots=(*a.ballots, a.ballots[0])), "ballot-twice"),
    "a voter is left out": (
        lambda a: a._replace(credentials=write_public_credentials({Point(multiply(BASE, 9)): 1})),
        "unknown-credential",
    ),
    "other trustees": (by_one_trustee, "wrong-election-key"),
    "a wrong partial decryption": (wrong_part, "bad-decryption"),
    "owners change places": (
        lambda a: a._replace(
            decryptions=(OwnedPart(2, a.decryptions[0].raw), OwnedPart(1, a.decryptions[1].raw))
        ),
        "bad-decryption",
    ),
    "a trustee twice": (lambda a: a._replace(decryptions=a.decryptions[:1] * 2), "bad-decryption"),
    "an unknown trustee": (
        lambda a: a._replace(decryptions=(*a.decryptions, OwnedPart(4, a.decryptions[0].raw))),
        "bad-decryption",
    ),
    "too few trustees": (lambda a: a._replace(decryptions=a.decryptions[:1]), "too-few-decryptions"),
    "a result without a tally": (
        lambda a: a._replace(encrypted_tally=None, num_tallied=0, total_weight=0),
        "bad-tally",
    ),
    "another name": (lambda a: a._replace(election=polled().define(name="x").raw), "wrong-election"),
}
