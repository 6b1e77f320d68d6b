"""The rules about a definition with secret ballots, and the `election` of Belenios that follows from it.

Belenios hashes exact bytes into every proof, so the definition holds them. They follow from the rest of it:
a reader makes them again and compares. They hold its hash, too, so that no ballot and no decryption of one
election holds in another with the same contests and trustees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from votenet.core.encoding import DOMAIN_BELENIOS, canonical, domain_hash
from votenet.core.limits import MAX_RECORD_BYTES
from votenet.errors import NotProven
from votenet.secret.ballot_size import longest_ballot
from votenet.secret.credentials import MAX_TOTAL_WEIGHT
from votenet.secret.definition import (
    BELENIOS_VERSION,
    BeleniosElection,
    HomomorphicQuestion,
    SecretElection,
    write_election,
)
from votenet.secret.group import GROUP_NAME, IDENTITY, Point
from votenet.secret.trustees import key_of_threshold, keys_fit_threshold

if TYPE_CHECKING:
    from votenet.core.election.definition import Contest, ElectionDefinition, Trustees
    from votenet.core.election.definition_rules import Fault

SECRET_METHODS: Final = ("approval", "block", "motion", "plurality")
"""Those that need only the sum of the votes of each candidate."""
MAX_AROUND_BALLOT: Final = 1000
"""Bytes of the record of a vote but for its ballot: 512 of the voter id, 256 of keys and signature."""


def secret_faults(definition: ElectionDefinition) -> Iterator[Fault]:
    """(fault, what to change) for every broken rule that depends on whether ballots are secret."""
    if definition.secrecy == "public":
        if definition.belenios:
            yield "its ballots are public, but it has a definition for secret ones", "Leave `belenios` out."
        if definition.trustees is not None:
            yield "its ballots are public, but it has trustees", "Leave them out."
        return
    yield from draft_faults(definition)
    yield from _made_faults(definition)
    if definition.roll_size is not None and definition.roll_size > MAX_TOTAL_WEIGHT:
        yield f"secret ballots of more than {MAX_TOTAL_WEIGHT} voters cannot be counted", ""
    if definition.trustees is not None:
        yield from _trustee_faults(definition, definition.trustees)


def draft_faults(definition: ElectionDefinition) -> Iterator[Fault]:
    """The faults that are there before an election has its nodes and its trustees a key."""
    if definition.registration != "roll":
        yield "secret ballots need a roll: it holds the voters' credentials", "Give the election a roll."
    if definition.closes is None:
        yield "secret ballots are counted after closing, but it never closes", "Give it a closing time."
    if definition.results == "after-close":
        yield (
            "nobody can count secret ballots before closing: its results cannot be held back",
            "Leave `results` out.",
        )
    for contest in definition.contests:
        if contest.method not in SECRET_METHODS:
            yield (
                f"contest {contest.id!r} is counted by {contest.method}: ranked ballots need a verifiable"
                " shuffle, which this version does not have",
                f"Count by {', '.join(SECRET_METHODS[:-1])} or {SECRET_METHODS[-1]}, or vote in public.",
            )
    if (size := longest_vote(definition.uuid, definition.contests)) > MAX_RECORD_BYTES:
        yield (
            f"a secret vote may have {size} bytes, and {MAX_RECORD_BYTES} is the most",
            "Offer fewer candidates, let a vote have fewer different totals, or hold two elections.",
        )


def _made_faults(definition: ElectionDefinition) -> Iterator[Fault]:
    if not definition.nodes:
        yield (
            "secret ballots need named nodes: trustees decrypt only what is final",
            "Name the nodes that decide.",
        )
    if definition.trustees is None:
        yield "secret ballots need trustees, who decrypt the count", "Let its trustees make their keys first."
    if not definition.belenios:
        yield (
            "secret ballots need a definition for Belenios, and `belenios` is empty",
            "Take the one that follows from its contests and its trustees' keys.",
        )


def _trustee_faults(definition: ElectionDefinition, trustees: Trustees) -> Iterator[Fault]:
    count = len(trustees.keys)
    if trustees.threshold > count:
        yield f"{trustees.threshold} of {count} trustees is no threshold", "Ask for as many as there are."
        return
    try:
        keys = trustee_keys(trustees)
    except NotProven as error:
        yield f"the key of a trustee is not valid: {error.message}", "Take the keys of its key generation."
        return
    if not keys_fit_threshold(keys, trustees.threshold):
        yield (
            f"the keys of its trustees are not those of one key generation, {trustees.threshold} of {count}",
            "Take the keys of its key generation.",
        )
        return
    key = key_of_threshold(keys, trustees.threshold)
    if key == IDENTITY:
        yield "the key of its trustees hides nothing", "Let them make their keys again."
    elif definition.belenios and definition.belenios != belenios_text(definition, Point(key)):
        yield (
            "its definition for Belenios is not the one that follows from the rest of it",
            "Take the one that follows.",
        )


def trustee_keys(trustees: Trustees) -> list[Point]:
    """The verification keys in the order of their places, from 1 on. Raises NotProven, code bad-point."""
    return [Point.parse(trustee.key) for trustee in trustees.keys]


def with_belenios(definition: ElectionDefinition) -> ElectionDefinition:
    """The same with its text for Belenios, where it has trustees: all else must be complete by then.

    Raises NotProven, code bad-point.
    """
    trustees = definition.trustees
    if trustees is None:
        return definition
    key = Point(key_of_threshold(trustee_keys(trustees), trustees.threshold))
    return msgspec.structs.replace(definition, belenios=belenios_text(definition, key))


def belenios_text(definition: ElectionDefinition, key: Point) -> str:
    """Belenios' `election` for this definition, whatever its `belenios`, and this public key."""
    return belenios_election(definition, key).raw.decode()


def belenios_election(definition: ElectionDefinition, key: Point) -> SecretElection:
    """The same with its hash. Raises NotProven where Belenios could not hold the contests."""
    return write_election(
        BeleniosElection(
            version=BELENIOS_VERSION,
            description=description_of(definition),
            name=definition.title,
            group=GROUP_NAME,
            public_key=key,
            questions=questions_of(definition.contests),
            uuid=definition.uuid,
        )
    )


def description_of(definition: ElectionDefinition) -> str:
    """What Belenios reads as a description: the hash of all that the definition has but for `belenios`."""
    without = msgspec.structs.replace(definition, belenios="")
    return domain_hash(DOMAIN_BELENIOS, canonical(without)).hex()


def questions_of(contests: Sequence[Contest]) -> tuple[HomomorphicQuestion, ...]:
    """Belenios' question for each contest: its candidates in the order of the definition."""
    return tuple(
        HomomorphicQuestion(
            answers=tuple(candidate.name for candidate in contest.candidates),
            blank=contest.blank,
            min=contest.min,
            max=contest.max,
            question=contest.title,
        )
        for contest in contests
    )


def longest_vote(uuid: str, contests: Sequence[Contest]) -> int:
    """Bytes that the record of a secret vote on these contests has at most."""
    ballot = longest_ballot(uuid, questions_of(contests)).decode()
    return len(canonical(ballot)) + MAX_AROUND_BALLOT
