"""The chain in the reference client's form: made once for a tip, freed later."""

from __future__ import annotations

import json

import pytest

from support.elections import make_election, make_votes
from support.nodes import HandNode
from votenet.errors import RemoteProtocolError
from votenet.network.node import reference_chain
from votenet.network.node.reference_chain import KEPT_SECONDS, ReferenceChain

ELECTION = make_election()


def test_the_line_is_made_once_for_a_tip_and_freed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    node = HandNode(ELECTION)
    chain = ReferenceChain(ELECTION, node.store)
    first = chain.begin(node.chain)()
    assert json.loads(first.line)["type"] == "blockchain_update"
    assert chain.begin(node.chain)().line is first.line
    chain.forget()
    assert chain.begin(node.chain)().line is first.line
    now = reference_chain.time.monotonic()
    monkeypatch.setattr(reference_chain.time, "monotonic", lambda: now + KEPT_SECONDS + 1)
    chain.forget()
    again = chain.begin(node.chain)().line
    assert again == first.line
    assert again is not first.line


def test_a_chain_too_long_for_one_line_is_refused_with_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_chain, "MAX_REFERENCE_VOTES", 2)
    node = HandNode(ELECTION)
    for vote in make_votes(ELECTION, 3):
        node.chain.tally.add([vote.vote.choices])
    with pytest.raises(RemoteProtocolError) as refusal:
        ReferenceChain(ELECTION, node.store).begin(node.chain)
    assert refusal.value.code == "response-too-large"
