"""The message tables are complete, every message survives its line, and no line is a surprise."""

from __future__ import annotations

import dataclasses
import json
import typing

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node_support import HandNode
from support import make_election, make_vote
from votenet.core.outcome import Outcome, Round
from votenet.errors import RemoteProtocolError
from votenet.protocol import messages
from votenet.protocol.messages import (
    MAX_BLOCKS_ASKED,
    MAX_HEADERS,
    MAX_IDS_IN_LINE,
    REPLIES,
    SENDERS,
    BlockchainUpdate,
    Hello,
    HelloProof,
    Message,
    Ping,
    RequestBlockchain,
    decode_data,
    decode_message,
    encode_data,
    encode_message,
    split_ids,
    work_to_hex,
)

TYPES: tuple[type, ...] = typing.get_args(Message)
VOTE = make_vote(make_election(), "Ünïcode \U0001f5f3").vote
HASH, PROOF, SEED, HEADER = "ab" * 32, "cd" * 64, "ef" * 8, "01" * 80
HELLO = Hello(challenge=HASH, height=0, network_id=HASH, node_key=HASH, seed=SEED, version=1, work="0")

SAMPLES: list[Message] = [
    RequestBlockchain(),
    RequestBlockchain(data=""),
    BlockchainUpdate(data="QQ=="),
    messages.NewPeerJoined(data="bG9jYWxob3N0OjMwMDA="),
    messages.ShutdownPeer(data="bG9jYWxob3N0OjMwMDA="),
    msgspec.structs.replace(HELLO, height=3, work="ff", listen="a:1"),
    msgspec.structs.replace(HELLO, proof=PROOF),
    HelloProof(proof=PROOF),
    messages.Votes(votes=(VOTE, VOTE)),
    messages.Votes(votes=(), id=1),
    messages.HaveVotes(ids=bytes(range(16))),
    messages.GetVotes(ids=b""),
    messages.GetVotes(ids=b"8 bytes.", id=3),
    messages.CompactBlock(header=bytes(80), ids=bytes(16)),
    messages.Neighbours(keys=bytes(16)),
    messages.GetBlockVotes(hash=HASH, positions=(0, 7)),
    messages.BlockVotes(hash=HASH, votes=(VOTE,)),
    messages.GetHeaders(locator=(HASH,)),
    messages.Headers(headers=(HEADER,)),
    messages.GetBlocks(hashes=(HASH,)),
    messages.BlockMessage(header=HEADER, votes=(VOTE,)),
    messages.NoBlock(hash=HASH),
    messages.Peers(addresses=("[::1]:3000",), bootstraps=("b:4000",), id=1),
    messages.NotReached(address="[::1]:3000", seen="10.0.0.5"),
    Ping(),
    Ping(id=2**53 - 1),
    messages.Pong(id=0),
    messages.GetPeers(id=5),
    messages.GetElection(),
    messages.ElectionInfo(definition=msgspec.Raw(b'{"title":"x"}'), network_id=HASH, id=1),
    messages.SubmitVotes(votes=(VOTE,), id=9),
    messages.VotesTaken(outcomes=(messages.VoteOutcome(vote_id=HASH, error={"code": "x"}),), id=9),
    messages.GetVoteStatus(voter_id="v"),
    messages.VoteStatus(voter_id="v", state="in_block", block=HASH, height=4, confirmations=1),
    messages.GetProof(voter_id="v", id=1),
    messages.Proof(id=1),
    messages.Proof(
        vote=VOTE, header=HEADER, height=2, position=1, size=2, path=(HASH,), headers=(HEADER, HEADER)
    ),
    messages.GetResults(),
    messages.Results(
        title="t", method="plurality", counts=(("Alice", 2),), votes=2, waiting=0, height=1, tip=HASH,
        network_id=HASH,
    ),
    messages.Results(
        title="t", method="instant-runoff", counts=(("Alice", 2),), votes=2, waiting=0, height=1, tip=HASH,
        network_id=HASH, opens=1, closes=2, registered=3, outcome=Outcome(
            state="won", winners=("Alice",),
            rounds=(Round(number=1, counts=(("Alice", 2),), eliminated=("Bob",), tied=("Bob",)),),
        ),
    ),
    messages.GetStatus(),
    messages.NodeStatus(
        name="n", version="1", node_key=HASH, network_id=HASH, listen="a:1", height=1, tip=HASH, work="1",
        bits=1, votes=0, waiting=0, peers=0, known_peers=0, synced=True, mining=False, kernel="k", uptime=1,
    ),
]  # fmt: skip


def refusal(line: bytes) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_message(line)
    return caught.value.code


def over(size: int) -> bytes:
    """Base64 of a little more than so many bytes."""
    return b"A" * (4 * (size // 3 + 2))


def listed(text: bytes, times: int) -> bytes:
    return b",".join([b'"%s"' % text] * times)


# -- the tables ------------------------------------------------------------------------------------


def test_every_message_has_its_senders_and_nothing_else_has() -> None:
    assert set(SENDERS) == set(TYPES)


def test_every_request_and_every_reply_is_a_message() -> None:
    assert set(REPLIES) <= set(TYPES)
    assert {reply for replies in REPLIES.values() for reply in replies} <= set(TYPES)


def test_whatever_nobody_may_send_to_a_node_answers_something() -> None:
    answers = {reply for replies in REPLIES.values() for reply in replies}
    assert {kind for kind, senders in SENDERS.items() if not senders} <= answers


def test_the_core_handles_exactly_what_somebody_may_send_and_the_handshake_leaves_over() -> None:
    sendable = {kind for kind, senders in SENDERS.items() if senders}
    assert set(HandNode().core.handlers) == sendable - {Hello, HelloProof}


def test_the_samples_cover_every_message() -> None:
    assert {type(sample) for sample in SAMPLES} == set(TYPES)


# -- lines -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", SAMPLES, ids=lambda message: type(message).__name__)
def test_a_message_survives_its_line(message: Message) -> None:
    line = encode_message(message)
    assert b"\n" not in line
    assert decode_message(line) == message
    assert json.loads(line)["type"] == message.__struct_config__.tag


@pytest.mark.parametrize(
    "kind", ["request_blockchain", "blockchain_update", "new_peer_joined", "shutdown_peer"]
)
@pytest.mark.parametrize("data", ["", ',"data":null', ',"data":""'])
def test_s08_go_writes_an_empty_slice_as_null(kind: str, data: str) -> None:
    message = decode_message(f'{{"type":"{kind}"{data}}}'.encode())
    assert decode_data(message.data) == b""  # type: ignore[union-attr]


def test_s08_data_is_base64_with_padding_as_go_writes_it() -> None:
    assert encode_data(b"localhost:3000") == "bG9jYWxob3N0OjMwMDA="
    assert decode_data("bG9jYWxob3N0OjMwMDA=") == b"localhost:3000"


@pytest.mark.parametrize("data", ["?", "QQ", "QQ=", "QQ==\n", "QQ-_", "é", "\U0001f5f3===", "Q Q ="])
def test_what_is_not_base64_is_refused(data: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_data(data)
    assert caught.value.code == "bad-message"


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
def test_what_is_not_json_is_bad_json(line: bytes) -> None:
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


@pytest.mark.parametrize("work", ["", "g", "-1", "F", "0x1", "1\n", " 1", "1" * 65])
def test_work_in_hello_is_a_plain_hexadecimal_number(work: str) -> None:
    hello = Hello(challenge=HASH, height=0, network_id=HASH, node_key=HASH, version=1, work=work, seed=SEED)
    assert refusal(encode_message(hello)) == "bad-message"
    assert work_to_hex(2**70) == "4" + "0" * 17


@pytest.mark.parametrize(
    "seed", ["", "0" * 15, "0" * 17, "G" * 16, "A" * 16, "-" + "0" * 15, "0" * 15 + "\n"]
)
def test_the_seed_in_hello_is_sixteen_hexadecimal_digits(seed: str) -> None:
    hello = Hello(challenge=HASH, height=0, network_id=HASH, node_key=HASH, version=1, work="1", seed=seed)
    assert refusal(encode_message(hello)) == "bad-message"


def test_short_ids_are_split_and_a_cut_one_is_a_bad_message() -> None:
    assert split_ids(b"", 8) == []
    assert split_ids(b"11111111" + b"22222222", 8) == [b"11111111", b"22222222"]
    for length in (1, 8, 15, 17):
        with pytest.raises(RemoteProtocolError) as caught:
            split_ids(bytes(length), 16)
        assert caught.value.code == "bad-message"


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


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_a_refusal(line: bytes) -> None:
    only_a_message_or_a_refusal(line)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.just("ab" * 32),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = sorted({field for kind in TYPES for field in kind.__struct_fields__})  # type: ignore[attr-defined]


@settings(deadline=None)
@given(
    st.sampled_from([kind.__struct_config__.tag for kind in TYPES]),  # type: ignore[attr-defined]
    st.dictionaries(st.sampled_from(_FIELDS), _VALUES, max_size=6),
)
def test_any_fields_of_any_type_give_a_message_or_a_refusal(kind: str, fields: dict[str, object]) -> None:
    only_a_message_or_a_refusal(json.dumps({**fields, "type": kind}).encode())


@settings(deadline=None)
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

FORGED = ("a\nb", "\x1b[2Jx", "\u202ex", "x\u200b", "\x9b31m", "a\u2028b", "\x7f")
"""A forged line, an escape sequence, a turned order of letters, what cannot be seen."""


@pytest.mark.parametrize("text", FORGED)
@pytest.mark.parametrize(
    ("sample", "member"),
    [
        (messages.Hello, "listen"),
        (messages.Peers, "addresses"),
        (messages.Peers, "bootstraps"),
        (messages.NotReached, "address"),
        (messages.NotReached, "seen"),
        (messages.NodeStatus, "name"),
        (messages.NodeStatus, "version"),
        (messages.NodeStatus, "listen"),
        (messages.NodeStatus, "kernel"),
        (messages.NodeStatus, "work"),
        (messages.Results, "title"),
        (messages.Results, "method"),
        (messages.VoteStatus, "voter_id"),
        (messages.VoteStatus, "state"),
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


@pytest.mark.parametrize("text", FORGED)
def test_texts_inside_of_others_are_checked_too(text: str) -> None:
    results = next(one for one in SAMPLES if isinstance(one, messages.Results))
    fields = json.loads(encode_message(results)) | {"counts": [[text, 1]]}
    assert refusal(json.dumps(fields).encode()) == "bad-message"
    status = next(one for one in SAMPLES if isinstance(one, messages.NodeStatus))
    for warning in ({"code": text, "message": "m"}, {"code": "c", "message": text}):
        fields = json.loads(encode_message(status)) | {"warnings": [warning]}
        assert refusal(json.dumps(fields).encode()) == "bad-message"


def test_texts_are_bounded_and_may_be_of_any_script() -> None:
    status = next(one for one in SAMPLES if isinstance(one, messages.NodeStatus))
    for name in ("Zoë", "बूथ १", "投票所", "n" * messages.MAX_LABEL):
        assert decode_message(encode_message(msgspec.structs.replace(status, name=name)))
    long = msgspec.structs.replace(status, name="n" * (messages.MAX_LABEL + 1))
    assert refusal(encode_message(long)) == "bad-message"


def test_an_absent_address_may_be_written_as_an_empty_one() -> None:
    hello = next(one for one in SAMPLES if isinstance(one, messages.Hello))
    fields = json.loads(encode_message(hello)) | {"listen": ""}
    assert decode_message(json.dumps(fields).encode()) == msgspec.structs.replace(hello, listen="")


def test_a_sentence_is_made_fit_for_the_wire() -> None:
    assert messages.as_line("a\nb\x1b\u202ec") == "a?b??c"
    assert len(messages.as_line("x" * 5000)) == messages.MAX_TEXT
    assert messages.as_line("\ud800") == "?"


def test_what_a_node_says_of_itself_is_fit_for_the_wire_whatever_it_is_called() -> None:
    node = HandNode()
    node.state.info = dataclasses.replace(node.info, name="n\n" * 200)
    assert decode_message(encode_message(node.core.status(node.now)))
