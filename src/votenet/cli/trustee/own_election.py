"""Whether an election is the one whose trustees made a key: asked by each of them before anybody votes."""

from __future__ import annotations

from pathlib import Path

from votenet.cli import targets
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


def own_election_lines(election: Election) -> list[str]:
    """What a trustee is told of an election that has the right keys."""
    return [
        f"{election.definition.title!r} has the keys of this ceremony. A vote is secret only where its voter"
        " sees this network id:",
        f"  {election.network_hex}",
    ]
