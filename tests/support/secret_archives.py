"""Archives of elections with secret ballots, from the first vote to the final result."""

from __future__ import annotations

import json
from collections.abc import Iterable

import msgspec

from support.named_files import CLOSES, Batch, Json, NamedFile, closing_of, keys_of
from support.secret_definitions import SecretSetup
from votenet.core.election.definition import ElectionDefinition, NamedNode
from votenet.core.encoding import canonical
from votenet.core.ledger.vote import HashedVote

NODES = 4


def named_nodes_of_files() -> tuple[NamedNode, ...]:
    """The named nodes whose keys `named_files` has."""
    return tuple(NamedNode(**keys_of(node).public(f"node {node}")) for node in range(NODES))


def archived_setup(**fields: object) -> SecretSetup:
    """A setup whose election ends as that of `named_files` does."""
    setup = SecretSetup(**fields)  # type: ignore[arg-type]
    setup.__dict__["definition"] = setup.define(nodes=named_nodes_of_files(), closes=CLOSES)
    return setup


def secret_archive(
    definition: ElectionDefinition, votes: Iterable[HashedVote], *, closed: bool = True, signed: bool = True
) -> bytes:
    """The archive with these votes in blocks of two."""
    file = NamedFile(json.loads(canonical(definition)))
    records: list[Json] = [msgspec.to_builtins(hashed.vote) for hashed in votes]
    for start in range(0, len(records), 2):
        file.block(Batch(records[start : start + 2]), node=1)
    if closed:
        held: list[list[bytes]] = [[]] * 3
        lists = [file.closing_list(node, own) for node, own in enumerate(held)]
        file.block(Batch((), lists, closing_of(held)), time=(definition.closes or CLOSES) + 40)
    return file.pack(file.certificate([0, 1, 2]) if signed else "")
