"""Amendments for tests: an election whose authority has a known key, and records that it signs."""

from __future__ import annotations

from typing import Any, Final

from support.elections import CREATED, key_of, make_election, named_nodes
from votenet.core.election.amendment import Action, Amendment, sign_amendment
from votenet.core.election.definition import Election
from votenet.core.election.roll import Roll, with_roll

AUTHORITY: Final = key_of("the authority")
CLOSES: Final = CREATED + 1000
"""Of the elections made here."""


def roll_of(*voters: str) -> Roll:
    """Each voter with the key of that name (`key_of`)."""
    return Roll((voter, key_of(voter).public_hex) for voter in voters)


def amendable(*voters: str, nodes: int = 4, closes: int | None = CLOSES, **fields: Any) -> Election:
    """An election with named nodes and an authority; with voters it has a roll of them, and that is here."""
    fields = {"nodes": named_nodes(nodes), "authority_key": AUTHORITY.public_hex, "closes": closes, **fields}
    if not voters:
        return make_election(**fields)
    roll = roll_of(*voters)
    return with_roll(make_election(roll=roll, **fields), roll)


def amendment(
    election: Election, action: Action, voter: str | None = None, *, by: Any = AUTHORITY, **members: Any
) -> Amendment:
    """The next amendment; of a voter with the key of the name `key` (by default "new key of <voter>")."""
    if voter is not None:
        members["key"] = key_of(members.get("key", f"new key of {voter}")).public_hex
        if action == "add-voter":
            members.setdefault("weight", 1)
    members = {"number": election.next_number, "network_hex": election.network_hex} | members
    return sign_amendment(by, action=action, voter_id=voter, **members)
