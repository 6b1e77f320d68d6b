"""Definitions with one contest, as they are made without an election file, and fresh uuids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from votenet.core.election.definition import (
    UUID_LENGTH,
    Candidate,
    ChainParameters,
    Contest,
    ElectionDefinition,
    NamedNode,
    Witness,
)
from votenet.derive import BASE58

DEFAULT_CANDIDATES: Final = ("Alice", "Bob", "Charlie")
DEFAULT_TITLE: Final = "Election"


def simple_definition(
    *,
    title: str,
    candidates: Iterable[str],
    chain: ChainParameters,
    created: int,
    uuid: str,
    method: str = "plurality",
    max_choices: int = 1,
    opens: int | None = None,
    closes: int | None = None,
    roll_root: str | None = None,
    roll_size: int | None = None,
    authority_key: str | None = None,
    nodes: Sequence[NamedNode] = (),
    witnesses: Sequence[Witness] = (),
) -> ElectionDefinition:
    """The definition of an election with one contest, not checked yet. With a `roll_root` it has a roll."""
    contest = Contest(
        candidates=tuple(Candidate(name=name) for name in candidates),
        max=max_choices,
        method=method,
        title=title,
    )
    return ElectionDefinition(
        authority_key=authority_key,
        chain=chain,
        closes=closes,
        contests=(contest,),
        created=created,
        nodes=tuple(nodes),
        opens=opens,
        registration="open" if roll_root is None else "roll",
        roll_root=roll_root,
        roll_size=roll_size,
        title=title,
        uuid=uuid,
        witnesses=tuple(witnesses),
    )


def uuid_from(randomness: bytes) -> str:
    """The uuid that 16 random bytes give."""
    number, characters = int.from_bytes(randomness), ""
    while len(characters) < UUID_LENGTH:
        number, digit = divmod(number, len(BASE58))
        characters += BASE58[digit]
    return characters
