"""Whether an election is the one whose trustees made a key: asked by each of them before anybody votes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from votenet.cli import targets, ui
from votenet.config import DEFAULT_INSTANCE
from votenet.core.election.ceremony_draft import check_made_of
from votenet.core.election.definition import Election
from votenet.errors import ConfigError, NotProven
from votenet.secret.ceremony.bulletin import Bulletin
from votenet.storage.genesis_file import read_genesis


def named_election(genesis: Path | None, node: str | None) -> Election | None:
    """The election in a genesis file, or that of a node; None where neither is named. Raises VotenetError."""
    if genesis is not None:
        return read_genesis(genesis)
    if node is None:
        return None
    with targets.connect(DEFAULT_INSTANCE, node) as election:
        return election.election


def check_own_election(election: Election, bulletin: Bulletin, folder: Path) -> None:
    """Check that an election has the trustees of a ceremony, with their keys, and is that of its draft.

    Raises:
        ConfigError: other-election, with what is not the same.
        NotProven: ceremony-incomplete.
    """
    try:
        check_made_of(election.definition, bulletin)
    except NotProven as error:
        if error.code == "ceremony-incomplete":
            raise
        raise ConfigError(
            f"this is not the election whose trustees met in {folder}: {error.message}",
            code="other-election",
            next_step="Name the folder of its own ceremony. If it is this one, tell the other trustees and"
            " the members: whoever has the keys of that election can read its votes.",
        ) from None


def own_election_facts(election: Election) -> dict[str, Any]:
    """What a program is told of an election that has the right keys."""
    definition = election.definition
    return {
        "network_id": election.network_hex,
        "nodes": [node.name for node in definition.nodes],
        "own_keys": True,
        "voters": definition.roll_size,
        "weighted": definition.weighted,
    }


def own_election_lines(election: Election) -> list[str]:
    """The same for people, with what the trustees have not agreed on: the organiser chose it alone."""
    definition = election.definition
    voters = ui.count_of(definition.roll_size or 0, "voter")
    nodes = ", ".join(node.name for node in definition.nodes)
    weights = [
        "  The votes have weights. A weight like no other's betrays its vote in the sums: look at the roll."
    ]
    return [
        f"{definition.title!r} has the keys of this ceremony. The organiser added {voters}, and these nodes:"
        f" {nodes}.",
        *(weights if definition.weighted else []),
        "A vote is secret only where its voter sees this network id:",
        f"  {election.network_hex}",
    ]
