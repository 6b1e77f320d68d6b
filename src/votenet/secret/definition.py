"""Belenios' `election` (specification 4.9, 4.10): contests, key, and the hash that is in every proof."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from votenet.secret.documents import Document, decode_loosely, encode, fingerprint
from votenet.secret.group import GROUP_NAME, Point
from votenet.secret.refusals import refusal

BELENIOS_VERSION: Final = 1
_UUID = re.compile(r"[1-9A-HJ-NP-Za-km-z]{14,}\Z")


class HomomorphicQuestion(Document, frozen=True, kw_only=True):
    """A contest with zero or one for each candidate (4.9.1): from `min` to `max` of them, or none at all."""

    answers: tuple[str, ...]
    blank: bool = False
    min: int
    max: int
    question: str

    @property
    def length(self) -> int:
        """How many choices an answer has: a leading one says whether the vote is blank (4.11.1)."""
        return len(self.answers) + self.blank

    @property
    def totals(self) -> range:
        """How many candidates a vote that is not blank may choose."""
        return range(self.min, self.max + 1)

    def allows(self, choices: list[int]) -> bool:
        """Whether these zeros and ones are an answer."""
        if len(choices) != self.length or not set(choices) <= {0, 1}:
            return False
        if self.blank and choices[0]:
            return sum(choices) == 1
        return sum(choices) in self.totals


class BeleniosElection(Document, frozen=True):
    """The specification's `election` (4.10)."""

    version: int
    description: str
    name: str
    group: str
    public_key: Point
    questions: tuple[HomomorphicQuestion, ...]
    uuid: str
    administrator: str | None = None
    credential_authority: str | None = None


class SecretElection(NamedTuple):
    """An election with the bytes that its hash is over: they stay as they were written."""

    raw: bytes
    definition: BeleniosElection
    fingerprint: str
    """The specification's phi (4.10)."""

    @property
    def key(self) -> Point:
        return self.definition.public_key

    @property
    def questions(self) -> tuple[HomomorphicQuestion, ...]:
        return self.definition.questions


def read_election(raw: bytes) -> SecretElection:
    """The election in these bytes. Raises NotProven."""
    definition = decode_loosely(raw, BeleniosElection, "the election")
    if definition.version != BELENIOS_VERSION or definition.group != GROUP_NAME:
        raise refusal("bad-election", f"the election is not of version {BELENIOS_VERSION} over {GROUP_NAME}")
    if not _UUID.match(definition.uuid):
        raise refusal("bad-election", "the uuid of the election is not 14 base58 characters or more")
    if not definition.questions:
        raise refusal("bad-election", "the election has no contest")
    for number, question in enumerate(definition.questions, start=1):
        if not question.answers or not 0 <= question.min <= question.max <= len(question.answers):
            raise refusal("bad-election", f"contest {number} allows totals that its candidates cannot have")
    return SecretElection(raw, definition, fingerprint(raw))


def write_election(definition: BeleniosElection) -> SecretElection:
    """The election with its bytes. Raises NotProven where `read_election` does."""
    return read_election(encode(definition))
