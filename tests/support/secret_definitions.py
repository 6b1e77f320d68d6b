"""Secret elections as votenet's definitions have them: trustees, contests, nodes, all from a seed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from support.elections import CREATED, TRIVIAL_BITS, key_of, named_nodes
from support.secret_elections import KeyGeneration, generate_key
from votenet.core.election.definition import (
    Candidate,
    ChainParameters,
    Contest,
    ElectionDefinition,
    Trustee,
    Trustees,
)
from votenet.core.election.secret_rules import belenios_text
from votenet.secret.group import Point
from votenet.secret.trustees import key_of_threshold, write_trustees

CLOSES: Final = CREATED + 10_000
UUID: Final = "Hq5cCAzXZnbL1p"


def contest(title: str = "Ketua", names: Sequence[str] = ("Alice", "Bob", "Çelik"), **fields: Any) -> Contest:
    """Choose one of three, unless `fields` say otherwise."""
    return Contest(candidates=tuple(Candidate(name=name) for name in names), title=title, **fields)


@dataclass
class SecretSetup:
    """A definition with secret ballots, and what only voters and trustees know. One seed gives one setup."""

    contests: Sequence[Contest] = (contest(),)
    threshold: int = 2
    trustees: int = 3
    nodes: int = 5
    seed: int = 1

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
            "chain": ChainParameters(bits=TRIVIAL_BITS),
            "closes": CLOSES,
            "contests": tuple(self.contests),
            "created": CREATED,
            "nodes": named_nodes(self.nodes),
            "registration": "roll",
            "roll_root": "ab" * 32,
            "roll_size": 3,
            "secrecy": "secret",
            "title": "Pemilihan ketua",
            "trustees": Trustees(keys=tuple(public), record=record, threshold=self.threshold),
            "uuid": UUID,
        }
        made = ElectionDefinition(**{**members, **changed})
        if "belenios" in changed:
            return made
        key = Point(key_of_threshold(self.verification_keys, self.threshold))
        return ElectionDefinition(**{**members, **changed, "belenios": belenios_text(made, key)})
