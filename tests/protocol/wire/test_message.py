"""Each class of messages says who may send it, and what answers it."""

from __future__ import annotations

from votenet.protocol.wire.messages import MESSAGES

TYPES = tuple(MESSAGES.values())


def test_messages_that_no_side_sends_to_a_node_are_answers() -> None:
    answers = {reply for kind in TYPES for reply in kind.replies}
    assert {kind for kind in TYPES if not kind.senders} <= answers <= set(TYPES)
