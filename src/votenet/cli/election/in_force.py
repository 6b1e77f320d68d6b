"""The election of a network here as it is in force: amended, where one of its nodes tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from votenet.cli import targets
from votenet.cli.election.roll import roll_here, roll_of
from votenet.client.answers import can_be_amended, fetch_amendments
from votenet.config import instance_dirs
from votenet.core.election.definition import Election
from votenet.core.election.roll import Roll, with_roll
from votenet.errors import VotenetError
from votenet.storage.genesis_file import read_genesis

if TYPE_CHECKING:
    from votenet.client.sync_client import ElectionClient


def amended_at(client: ElectionClient, election: Election) -> Election:
    """An election with the amendments of the node that a client asks. Raises as `fetch_amendments`."""
    return client.at_one_node(lambda node: fetch_amendments(node, election)).election


def amended_here(instance: str, election: Election, *, answer_seconds: float | None = None) -> Election:
    """The election with the amendments that the nodes of the instance have; as it is, if none answers.

    Args:
        answer_seconds: how long each node may take; without it as long as a busy one needs.
    """
    if not can_be_amended(election):
        return election
    try:
        with targets.connect(instance, answer_seconds=answer_seconds) as client:
            return amended_at(client, election)
    except VotenetError:
        return election


def in_force_here(election: Election, instance: str) -> Election:
    """An election with the roll and the amendments that are known here; that of another network as it is.

    Raises:
        ConfigError: the roll cannot be read.
    """
    genesis = instance_dirs(instance).genesis
    if not genesis.exists() or read_genesis(genesis).network_hex != election.network_hex:
        return election
    roll = roll_of(election, instance)
    return amended_here(instance, election if roll is None else with_roll(election, roll))


def voters_here(instance: str) -> Mapping[str, str] | None:
    """The keys of the voters on the roll of the instance, as it is in force; None without a roll.

    Raises:
        ConfigError: the roll cannot be read.
    """
    roll = roll_here(instance)
    return None if roll is None else _amended_roll(instance, roll)


def _amended_roll(instance: str, roll: Roll) -> Mapping[str, str]:
    try:
        election = with_roll(read_genesis(instance_dirs(instance).genesis), roll)
    except VotenetError:
        return roll.keys
    return amended_here(instance, election).registered or roll.keys
