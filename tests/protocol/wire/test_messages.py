"""The message tables are complete, every message survives its line, and no line is a surprise."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.message_samples import FORGED, SAMPLES, refusal
from support.nodes import HandNode
from support.secret_definitions import SecretSetup
from votenet.errors import RemoteProtocolError
from votenet.protocol.wire import client_messages, messages, peer_messages
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.messages import decode_message, encode_message
from votenet.protocol.wire.peer_messages import (
    MAX_BLOCKS_ASKED,
    MAX_HEADERS,
    MAX_IDS_IN_LINE,
    Hello,
    HelloProof,
    Ping,
)

TYPES = tuple(messages.MESSAGES.values())


def over(size: int) -> bytes:
    """Base64 of a little more than so many bytes."""
    return b"A" * (4 * (size // 3 + 2))


def listed(text: bytes, times: int) -> bytes:
    return b",".join([b'"%s"' % text] * times)


# -- the tables ------------------------------------------------------------------------------------


def test_the_core_handles_exactly_the_allowed_messages_outside_the_handshake() -> None:
    sendable = {kind for kind in TYPES if kind.senders}
    secret = SecretSetup(nodes=1).election  # it has every part
    assert set(HandNode(secret).core.handlers) == sendable - {Hello, HelloProof}


def test_the_samples_cover_every_message() -> None:
    assert {type(sample) for sample in SAMPLES} == set(TYPES)


# -- lines -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", SAMPLES, ids=lambda message: type(message).__name__)
def test_a_message_survives_its_line(message: Message) -> None:
    line = encode_message(message)
    assert b"\n" not in line
    assert decode_message(line) == message
    assert json.loads(line)["type"] == message.__struct_config__.tag


@given(
    line=st.sampled_from([encode_message(message) for message in SAMPLES]),
    at=st.floats(0, 1),
    cut=st.integers(0, 3),
    put=st.sampled_from(
        [b"", b"{", b"}", b'"', b",", b"null", b"1e9", b"[", b"\xff", b'"type":"ping",', b'"x":1,']
    ),
)
def test_a_line_is_read_alike_whatever_its_first_bytes(line: bytes, at: float, cut: int, put: bytes) -> None:
    """A line that begins as `encode_message` writes it is read by the decoder of its type."""
    place = int(at * len(line))
    changed = line[:place] + put + line[place + cut :]
    assert _read(changed) == _read(b" " + changed)


def _read(line: bytes) -> Message | tuple[str, str]:
    try:
        return decode_message(line)
    except RemoteProtocolError as error:
        return error.code, re.sub(r"byte \d+", "", str(error))


@pytest.mark.parametrize(
    "line",
    [
        b"", b" ", b"hello", b"{", b'{"type":"ping"', b'{"type":"ping"} {}', b'{"type":"ping"}\x00',
        b'\xef\xbb\xbf{"type":"ping"}', b'{"type":"get_vote_status","voter_id":"\xff\xfe"}',
        b'{"type":"get_vote_status","voter_id":"\\ud800"}',
        b'{"type":"get_vote_status","voter_id":"\\udc00\\ud800"}',
        b'{"type":"get_vote_status","voter_id":"a\nb"}', b"{'type':'ping'}", b'{"type":"ping","id":NaN}',
        b'{"type":"ping","x":' + b"[" * 100_000, b'{"type":"ping","x":' + b'{"x":' * 100_000,
        b'{"type":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda line: line[:40],
)  # fmt: skip
def test_invalid_json_is_bad_json(line: bytes) -> None:
    assert refusal(line) == "bad-json"


@pytest.mark.parametrize(
    "line",
    [
        b"null", b"5", b'"ping"', b'[{"type":"ping"}]', b"{}", b'{"Type":"ping"}', b'{"type":5}',
        b'{"type":null}', b"[" * 100_000, b'{"type":"ping","id":"1"}', b'{"type":"ping","id":1.5}',
        b'{"type":"ping","id":-1}', b'{"type":"ping","id":9007199254740992}', b'{"type":"ping","id":1e400}',
        b'{"type":"ping","id":' + b"9" * 5000 + b"}", b'{"type":"ping","id":true}',
        b'{"type":"submit_votes"}', b'{"type":"submit_votes","votes":[]}',
        b'{"type":"submit_votes","votes":{}}',
        b'{"type":"submit_votes","votes":[null]}', b'{"type":"submit_votes","votes":[{"voter_id":"x"}]}',
        b'{"type":"get_vote_status","voter_id":""}', b'{"type":"get_vote_status","voter_id":[]}',
        b'{"type":"get_blocks","hashes":["' + b"AB" * 32 + b'"]}',
        b'{"type":"get_blocks","hashes":["' + b"ab" * 32 + b'\\n"]}',
        b'{"type":"get_blocks","hashes":[' + listed(b"ab" * 32, MAX_BLOCKS_ASKED + 1) + b"]}",
        b'{"type":"headers","headers":[' + listed(b"ab" * 80, MAX_HEADERS + 1) + b"]}",
        b'{"type":"headers","headers":["00"]}', b'{"type":"have_votes","ids":["00"]}',
        b'{"type":"have_votes","ids":"?"}',
        b'{"type":"have_votes","ids":"' + over(16 * MAX_IDS_IN_LINE) + b'"}',
        b'{"type":"get_votes","ids":"' + b"A" * 10_668 + b'"}', b'{"type":"compact_block","ids":""}',
        b'{"type":"compact_block","header":"' + b"0" * 160 + b'","ids":"' + over(8 * MAX_IDS_IN_LINE) + b'"}',
        b'{"type":"get_block_votes","hash":"' + b"ab" * 32 + b'","positions":[]}',
        b'{"type":"get_block_votes","hash":"' + b"ab" * 32 + b'","positions":[-1]}',
        b'{"type":"get_block_votes","hash":"' + b"ab" * 32 + b'","positions":[' + b"1," * MAX_IDS_IN_LINE
        + b"1]}",
        b'{"type":"get_block_votes","hash":"x","positions":[1]}', b'{"type":"block_votes","votes":[]}',
        b'{"type":"peers","addresses":[""]}', b'{"type":"request_blockchain","data":5}',
        b'{"type":"hello_proof","proof":"' + b"0" * 127 + b'"}',
    ],
    ids=lambda line: line[:40],
)  # fmt: skip
def test_json_that_is_no_message_is_a_bad_message(line: bytes) -> None:
    assert refusal(line) == "bad-message"


@pytest.mark.parametrize("kind", ["", "PING", "vote", "REGISTER", "ping ", "node_status2"])
def test_a_type_that_is_not_in_the_table_is_named_so(kind: str) -> None:
    assert refusal(json.dumps({"type": kind}).encode()) == "unknown-type"


def test_fields_that_are_not_known_are_passed_over_so_that_messages_can_grow() -> None:
    assert decode_message(b'{"from":"next year","type":"ping","id":3,"x":[{}]}') == Ping(id=3)


def only_a_message_or_a_refusal(line: bytes) -> None:
    try:
        message = decode_message(line)
    except RemoteProtocolError as error:
        code = error.code
        error.message.encode()  # what goes into the error line can be encoded
    else:
        code = ""
        assert decode_message(encode_message(message)) == message
    assert code in ("", "bad-json", "unknown-type", "bad-message")


@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_a_refusal(line: bytes) -> None:
    only_a_message_or_a_refusal(line)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.just("ab" * 32),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = sorted({field for kind in TYPES for field in kind.__struct_fields__})


@given(
    st.sampled_from(sorted(messages.MESSAGES)),
    st.dictionaries(st.sampled_from(_FIELDS), _VALUES, max_size=6),
)
def test_any_fields_of_any_type_give_a_message_or_a_refusal(kind: str, fields: dict[str, object]) -> None:
    only_a_message_or_a_refusal(json.dumps({**fields, "type": kind}).encode())


@given(st.sampled_from(SAMPLES), st.data())
def test_a_damaged_message_gives_a_message_or_a_refusal(message: Message, data: st.DataObject) -> None:
    line = bytearray(encode_message(message))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(line) - 1))
        line[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        if not line:
            return
    only_a_message_or_a_refusal(bytes(line))


# -- texts of others -------------------------------------------------------------------------------


@pytest.mark.parametrize("text", FORGED)
@pytest.mark.parametrize(
    ("sample", "member"),
    [
        (peer_messages.Hello, "listen"),
        (peer_messages.Peers, "addresses"),
        (peer_messages.Peers, "bootstraps"),
        (peer_messages.NotReached, "address"),
        (peer_messages.NotReached, "seen"),
        (client_messages.NodeStatus, "name"),
        (client_messages.NodeStatus, "version"),
        (client_messages.NodeStatus, "listen"),
        (client_messages.NodeStatus, "kernel"),
        (client_messages.NodeStatus, "work"),
        (client_messages.Results, "title"),
        (client_messages.VoteStatus, "voter_id"),
        (client_messages.VoteStatus, "state"),
    ],
    ids=str,
)
def test_a_text_that_steers_a_terminal_or_forges_a_line_is_a_bad_message(
    sample: type, member: str, text: str
) -> None:
    message = next(one for one in SAMPLES if isinstance(one, sample))
    fields = json.loads(encode_message(message))
    fields[member] = [text] if member in ("addresses", "bootstraps") else text
    assert refusal(json.dumps(fields).encode()) == "bad-message"
