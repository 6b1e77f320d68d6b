"""Secret elections as votenet's definitions have them: trustees, contests, nodes, all from a seed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import msgspec

from support.elections import CREATED, TRIVIAL_BITS, key_of, named_nodes
from support.secret_elections import KeyGeneration, generate_key
from votenet.core.election.definition import (
    Candidate,
    ChainParameters,
    Contest,
    Election,
    ElectionDefinition,
    Trustee,
    Trustees,
)
from votenet.core.election.roll import Roll, Voter, with_roll
from votenet.core.election.secret_rules import belenios_text
from votenet.core.election.voting_code import RANDOM_BYTES, code_from, key_of_code
from votenet.core.keys import SigningKey
from votenet.core.ledger.secret_count import EncryptedCount, SecretSum
from votenet.core.ledger.vote import HashedVote, sign_vote
from votenet.secret.ballot import make_ballot
from votenet.secret.credentials import credential_of_code, public_credential, secret_exponent
from votenet.secret.decryption_share import make_share
from votenet.secret.documents import encode
from votenet.secret.group import Point
from votenet.secret.trustees import key_of_threshold, write_trustees

CLOSES: Final = CREATED + 10_000
UUID: Final = "Hq5cCAzXZnbL1p"


def contest(title: str = "Ketua", names: Sequence[str] = ("Alice", "Bob", "Çelik"), **fields: Any) -> Contest:
    """Choose one of three, unless `fields` say otherwise."""
    return Contest(candidates=tuple(Candidate(name=name) for name in names), title=title, **fields)


def code_of(voter: str) -> str:
    """The code on a voter's card, without hyphens."""
    return code_from(hashlib.sha256(f"code of {voter}".encode()).digest()[:RANDOM_BYTES])


@dataclass
class SecretSetup:
    """A definition with secret ballots, and what only voters and trustees know. One seed gives one setup."""

    contests: Sequence[Contest] = (contest(),)
    threshold: int = 2
    trustees: int = 3
    nodes: int = 5
    seed: int = 1
    weights: Sequence[int] = (1, 1, 1, 1, 1)
    """Of voter-1, voter-2 and so on."""
    closes: int = CLOSES
    grace: int = 30
    """Seconds, as `grace_seconds` of the chain."""
    by_code: bool = False
    """Whether the voters' keys follow from their codes, as those on cards do; else from their names."""

    @cached_property
    def generation(self) -> KeyGeneration:
        return generate_key(self.threshold, self.trustees, random.Random(self.seed))

    @property
    def shares(self) -> list[int]:
        """The private key of each trustee, by place."""
        return self.generation.secrets

    @cached_property
    def trustees_file(self) -> bytes:
        """What `trustees.json` holds."""
        return write_trustees([self.generation.parameters])

    @cached_property
    def verification_keys(self) -> list[Point]:
        return [key.public_key for key in self.generation.parameters.verification_keys]

    @cached_property
    def voters(self) -> list[str]:
        return [f"voter-{number}" for number in range(1, 1 + len(self.weights))]

    @cached_property
    def roll(self) -> Roll:
        return Roll(
            Voter(voter, self.voter_key(voter).public_hex, weight, self.public_credential(voter))
            for voter, weight in zip(self.voters, self.weights, strict=True)
        )

    def voter_key(self, voter: str) -> SigningKey:
        return key_of_code(code_of(voter), UUID) if self.by_code else key_of(voter)

    def public_credential(self, voter: str) -> str:
        """As the roll has it."""
        return public_credential(credential_of_code(code_of(voter), UUID), UUID).written()

    @cached_property
    def election(self) -> Election:
        """With its roll."""
        return with_roll(Election(self.definition), self.roll)

    def ballot(self, voter: str, chosen: Sequence[Sequence[int]] = ((1, 0, 0),), seed: int = 0) -> str:
        """An encrypted ballot of a voter with zeros and ones for each contest."""
        election = self.election.secret
        assert election is not None
        secret = secret_exponent(credential_of_code(code_of(voter), UUID), UUID)
        entropy = random.Random(f"{self.seed} {voter} {seed}").randbytes
        return make_ballot(election, secret, chosen, entropy).decode()

    def vote(
        self,
        voter: str,
        chosen: Sequence[Sequence[int]] = ((1, 0, 0),),
        *,
        ballot: str | None = None,
        time: int = CREATED + 1,
        seed: int = 0,
    ) -> HashedVote:
        """A signed vote, with this ballot instead where one is given."""
        return sign_vote(
            self.voter_key(voter),
            network_hex=self.election.network_hex,
            voter_id=voter,
            choices=(),
            time=time,
            ballot=self.ballot(voter, chosen, seed) if ballot is None else ballot,
        )

    def counted(self, votes: Sequence[HashedVote]) -> EncryptedCount:
        """What shares of these counted votes are made from."""
        sums = SecretSum(self.election)
        sums.add(votes, self.election)
        return EncryptedCount.of(sums)

    def share(self, place: int, counted: EncryptedCount) -> str:
        """The share of the trustee at this place, from 1 on, as it travels."""
        election = self.election.secret
        assert election is not None
        entropy = random.Random(f"{self.seed} {place}").randbytes
        return encode(make_share(election, counted.tally, place, self.shares[place - 1], entropy)).decode()

    @cached_property
    def definition(self) -> ElectionDefinition:
        return self.define()

    def define(self, **changed: Any) -> ElectionDefinition:
        """The definition with members changed; `belenios` follows from them unless it is among them."""
        public = [
            Trustee(key=key.written(), name=f"Trustee {place}")
            for place, key in enumerate(self.verification_keys, start=1)
        ]
        record = hashlib.sha256(self.trustees_file).hexdigest()
        members: dict[str, Any] = {
            "authority_key": key_of("authority").public_hex,
            "chain": ChainParameters(bits=TRIVIAL_BITS, grace_seconds=self.grace),
            "closes": self.closes,
            "contests": tuple(self.contests),
            "created": CREATED,
            "nodes": named_nodes(self.nodes),
            "registration": "roll",
            "roll_root": self.roll.root_hex,
            "roll_size": len(self.weights),
            "secrecy": "secret",
            "title": "Pemilihan ketua",
            "trustees": Trustees(keys=tuple(public), record=record, threshold=self.threshold),
            "uuid": UUID,
            "weighted": self.roll.weighted,
        }
        made = ElectionDefinition(**{**members, **changed})
        if "belenios" in changed:
            return made
        key = Point(key_of_threshold(self.verification_keys, self.threshold))
        return msgspec.structs.replace(made, belenios=belenios_text(made, key))
