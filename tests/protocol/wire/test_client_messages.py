"""Texts in the answers that clients read."""

from __future__ import annotations

import dataclasses
import json

import msgspec
import pytest

from support.message_samples import FORGED, SAMPLES, refusal
from support.nodes import HandNode
from votenet.protocol.wire import client_messages
from votenet.protocol.wire.fields import MAX_LABEL
from votenet.protocol.wire.messages import decode_message, encode_message


@pytest.mark.parametrize("text", FORGED)
def test_texts_inside_of_others_are_checked_too(text: str) -> None:
    status = next(one for one in SAMPLES if isinstance(one, client_messages.NodeStatus))
    for warning in ({"code": text, "message": "m"}, {"code": "c", "message": text}):
        fields = json.loads(encode_message(status)) | {"warnings": [warning]}
        assert refusal(json.dumps(fields).encode()) == "bad-message"


def test_texts_are_bounded_and_may_be_of_any_script() -> None:
    status = next(one for one in SAMPLES if isinstance(one, client_messages.NodeStatus))
    for name in ("Zoë", "बूथ १", "投票所", "n" * MAX_LABEL):
        assert decode_message(encode_message(msgspec.structs.replace(status, name=name)))
    long = msgspec.structs.replace(status, name="n" * (MAX_LABEL + 1))
    assert refusal(encode_message(long)) == "bad-message"


def test_a_status_fits_the_wire_for_any_node_name() -> None:
    node = HandNode()
    node.state.info = dataclasses.replace(node.info, name="n\n" * 200)
    assert decode_message(encode_message(node.core.status(node.now)))


def test_nodes_and_clients_of_other_versions_understand_a_status() -> None:
    """What a version added is missing from the line of an older node; an older client passes over it."""
    status = next(one for one in SAMPLES if isinstance(one, client_messages.NodeStatus))
    old = json.loads(encode_message(status))
    assert not {"clock", "disk_free"} & old.keys()
    decoded = decode_message(json.dumps(old).encode())
    assert isinstance(decoded, client_messages.NodeStatus)
    assert (decoded.clock, decoded.disk_free) == (None, None)
    later = old | {"clock": 7, "disk_free": 8, "of_a_later_version": {"a": [1]}}
    decoded = decode_message(json.dumps(later).encode())
    assert isinstance(decoded, client_messages.NodeStatus)
    assert (decoded.clock, decoded.disk_free) == (7, 8)
