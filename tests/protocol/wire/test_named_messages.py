"""Bounds of what named nodes say."""

from __future__ import annotations

import json

import msgspec
import pytest

from support.message_samples import LIE, PRECOMMIT, SEEN, refusal
from votenet.core.limits import MAX_NAMED_NODES
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.messages import decode_message, encode_message
from votenet.protocol.wire.named_messages import (
    MAX_LIES,
    MAX_STATEMENTS,
    ConsensusState,
    ConsensusVotes,
    EvidenceMessage,
    HandedOnVotes,
    QuorumMessage,
)


@pytest.mark.parametrize(
    "message",
    [
        ConsensusVotes(votes=()),
        ConsensusVotes(votes=(PRECOMMIT,) * (MAX_STATEMENTS + 1)),
        QuorumMessage(votes=()),
        QuorumMessage(votes=(PRECOMMIT,) * (MAX_NAMED_NODES + 1)),
        ConsensusState(height=1, quorums=((),)),
        ConsensusState(height=1, proposals=(msgspec.structs.replace(SEEN, valid_round=-2),)),
        ConsensusState(height=1, votes=(msgspec.structs.replace(PRECOMMIT, kind="proposal"),)),
        HandedOnVotes(votes=()),
        EvidenceMessage(lies=(LIE,) * (MAX_LIES + 1)),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_line_out_of_bounds_is_a_bad_message(message: Message) -> None:
    assert refusal(encode_message(message)) == "bad-message"


def test_as_many_statements_as_a_line_may_have_are_read() -> None:
    full = ConsensusVotes(votes=(PRECOMMIT,) * MAX_STATEMENTS)
    assert decode_message(encode_message(full)) == full
    assert len(json.loads(encode_message(full))["votes"]) == MAX_STATEMENTS
