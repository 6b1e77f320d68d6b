"""The election of a network here, as far as its nodes can be asked."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from tests.client.test_amendments import Node

from support.amendments import amendable, amendment
from support.elections import key_of
from support.lying_node import lying_node
from support.ports import free_port
from votenet.cli import targets
from votenet.cli.election.in_force import amended_here, voters_here
from votenet.cli.election.roll import write_roll
from votenet.client.connection import NODE_ANSWER_SECONDS
from votenet.config import DEFAULT_INSTANCE, instance_dirs
from votenet.core.election.roll import Roll
from votenet.protocol.wire.address import Address


def test_the_roll_in_force_has_the_amendments_of_the_nodes_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path))
    assert voters_here(DEFAULT_INSTANCE) is None
    dirs, election = instance_dirs(), amendable("ann", closes=None)
    dirs.state.mkdir(parents=True)
    assert election.registered is not None
    write_roll(dirs.state / "roll.json", Roll(election.registered.items()))
    assert voters_here(DEFAULT_INSTANCE) == election.registered, "no genesis"
    dirs.genesis.write_bytes(election.to_file())
    assert voters_here(DEFAULT_INSTANCE) == election.registered, "nothing runs"
    assert amended_here(DEFAULT_INSTANCE, election) is election
    node = Node(amendment(election, "add-voter", "dan"))
    with lying_node(election, node.answers) as address:
        monkeypatch.setattr(targets, "node_addresses", lambda instance, node=None: [address])
        found = voters_here(DEFAULT_INSTANCE)
        assert found is not None
        assert dict(found) == dict(election.registered) | {"dan": key_of("new key of dan").public_hex}


def test_a_node_that_hears_and_never_answers_is_left_after_the_patience_of_the_caller(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path))
    election = amendable("ann", closes=None)
    with socket.create_server(("127.0.0.1", free_port())) as mute:
        silent = Address(*mute.getsockname())
        monkeypatch.setattr(targets, "node_addresses", lambda instance, node=None: [silent])
        began = time.monotonic()
        assert amended_here(DEFAULT_INSTANCE, election, answer_seconds=0.1) is election
        assert time.monotonic() - began < NODE_ANSWER_SECONDS
