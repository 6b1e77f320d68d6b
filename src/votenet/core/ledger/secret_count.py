"""The count of secret ballots: their sum under encryption, which anybody can make, and what opens it.

Blocks say nothing of the counts. Shares of the trustees are no records of the chain, which has ended when
they are made: each proves itself, and any threshold of them gives the same counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Final, NamedTuple

import msgspec
from nacl.exceptions import CryptoError

from votenet.core.election.definition import Election
from votenet.core.ledger.vote import HashedVote
from votenet.core.methods.tally import BLANK, Ballot, ElectionTally
from votenet.secret.decryption_share import check_share, read_share
from votenet.secret.elgamal import SumCiphertext
from votenet.secret.group import IDENTITY, Point, SumPoint, add, multiply
from votenet.secret.refusals import refusal
from votenet.secret.tally import EncryptedTally, PartialDecryption, decrypted_powers, result_of
from votenet.secret.trustees import TrusteeGroup, key_of_threshold


class _Pair(msgspec.Struct, frozen=True):
    alpha: str
    beta: str


class _Answer(msgspec.Struct, frozen=True):
    choices: tuple[_Pair, ...]


class _Ballot(msgspec.Struct, frozen=True):
    """What is summed of a ballot whose proofs have been checked before."""

    answers: tuple[_Answer, ...]


_ballot: Final = msgspec.json.Decoder(_Ballot)


class SecretSum:
    """The encrypted sums of all choices of counted votes; `votes` and `weight` are those of the votes."""

    def __init__(self, election: Election) -> None:
        assert election.secret is not None
        self._sums = [[(IDENTITY, IDENTITY)] * one.length for one in election.secret.questions]
        self.votes = self.weight = 0

    def add(self, votes: Sequence[HashedVote], election: Election) -> None:
        """Add counted votes, with the weights in force for them.

        Raises:
            ConfigError: roll-missing.
            NotProven: bad-document; a vote that nobody has checked has no such ballot, and the sum is lost.
        """
        weights = election.weights_of(hashed.voter_id for hashed in votes)
        for hashed, weight in zip(votes, repeat(1) if weights is None else weights, strict=False):
            try:
                self._add(hashed, weight)
            except (ValueError, msgspec.MsgspecError, RecursionError, CryptoError) as error:
                raise refusal("bad-document", f"the ballot of {hashed.voter_id!r}: {error}") from error

    def _add(self, hashed: HashedVote, weight: int) -> None:
        for row, answer in zip(self._sums, _ballot.decode(hashed.vote.ballot).answers, strict=True):
            for place, pair in enumerate(answer.choices):
                alpha, beta = row[place]
                row[place] = _plus(alpha, pair.alpha, weight), _plus(beta, pair.beta, weight)
        self.votes += 1
        self.weight += weight

    @property
    def tally(self) -> EncryptedTally:
        """Belenios' `encrypted_tally`."""
        return tuple(
            tuple(SumCiphertext(alpha=SumPoint(alpha), beta=SumPoint(beta)) for alpha, beta in row)
            for row in self._sums
        )


def _plus(total: SumPoint, written: str, weight: int) -> SumPoint:
    point = Point(bytes.fromhex(written)[::-1])
    return SumPoint(add(total, point if weight == 1 else multiply(point, weight)))


class EncryptedCount(NamedTuple):
    """All that must be known of the votes of a final result to check shares of it and to count."""

    tally: EncryptedTally
    votes: int
    weight: int

    @classmethod
    def of(cls, sums: SecretSum) -> EncryptedCount:
        return cls(sums.tally, sums.votes, sums.weight)


class CheckedShare(NamedTuple):
    """A trustee's share that belongs to a count; `text` is how it travels."""

    text: str
    place: int
    decryption: PartialDecryption


def checked_share(election: Election, counted: EncryptedCount, text: str) -> CheckedShare:
    """The share in this text, if it is one of this count.

    Raises:
        NotProven: bad-document, not-canonical, bad-point, bad-scalar, bad-decryption.
    """
    assert election.secret is not None
    share = read_share(text)
    decryption = check_share(election.secret, counted.tally, election.trustee_keys, share)
    return CheckedShare(text, share.place, decryption)


def open_count(
    election: Election, counted: EncryptedCount, decryptions: Mapping[int, PartialDecryption]
) -> ElectionTally | None:
    """The count that checked shares give; None while there are fewer of them than the threshold.

    Args:
        decryptions: by the place of the trustee.

    Raises:
        NotProven: bad-result; no honest voters and nodes can come to that.
    """
    trustees = election.definition.trustees
    assert trustees is not None
    if len(decryptions) < trustees.threshold:
        return None
    keys = election.trustee_keys
    group = TrusteeGroup(trustees.threshold, keys, key_of_threshold(keys, trustees.threshold))
    powers = decrypted_powers(counted.tally, [group], decryptions)
    rows = result_of(powers, counted.weight).result
    return _opened(election, counted, [[int(count) for count in row] for row in rows])


def _opened(election: Election, counted: EncryptedCount, rows: Iterable[Sequence[int]]) -> ElectionTally:
    """A tally with a ballot of one choice for each vote of a candidate: methods count no more of them.

    The number of blank ballots is not known where votes have weights, unless none or all are blank: their
    weight stands for it.
    """
    opened = ElectionTally(len(election.contests))
    opened.votes = counted.votes
    for contest, tally, row in zip(election.contests, opened.contests, rows, strict=True):
        has_blank = contest.definition.blank
        tally.ballots = Counter[Ballot](
            {(name,): count for name, count in zip(contest.names, row[has_blank:], strict=True) if count}
        )
        if has_blank and row[0]:
            tally.ballots[BLANK] = tally.blank = row[0]
        tally.votes, tally.weight = counted.votes, counted.weight
        if tally.blank == tally.weight:
            tally.blank = tally.votes
        else:
            tally.blank_weighed = tally.blank > 0 and tally.weight != tally.votes
    return opened
