"""Lines of the bootstrap port: the reference bytes, votenet's own, and garbage."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.core.keys import SigningKey
from votenet.errors import Rejected, RemoteProtocolError, VotenetError
from votenet.protocol.bootstrap.bootstrap_messages import (
    MAX_ANSWER_LINE,
    MAX_PAGE,
    MAX_SAMPLE,
    GetPage,
    GetSample,
    KnownPeer,
    ListPeers,
    PeerPage,
    RegisterAddress,
    RegisterSigned,
    RemoveAddress,
    RemoveSigned,
    Request,
    decode_peers,
    decode_request,
    decode_stats,
    decode_text,
    encode_notice,
    encode_page,
    encode_plain,
    encode_request,
)
from votenet.protocol.bootstrap.peer_record import sign_record, sign_removal

KEY = SigningKey(bytes(32))
RECORD = sign_record(KEY, "a:1", "00" * 32, sequence=1, expires=2)
REMOVAL = sign_removal(KEY, "a:1", sequence=2)

UNDERSTOOD = {
    b'{"type":"REGISTER","payload":"localhost:3000"}': Request(RegisterAddress("localhost:3000")),
    b' {"payload":"a:1" , "type":"REGISTER"}\t': Request(RegisterAddress("a:1")),
    b'{"type":"REMOVE","payload":"localhost:3000","extra":[1,{"a":null}]}': Request(
        RemoveAddress("localhost:3000")
    ),
    b'{"type":"GET_PEERS"}': Request(ListPeers()),
    b'{"type":"GET_PEERS","payload":""}': Request(ListPeers()),
    b'{"type":"GET_PEERS","payload":null}': Request(ListPeers()),
    b'{"type":"GET_PEERS","payload":"ignored as in Go"}': Request(ListPeers()),
    b'{"type":"GET_PEERS","payload":{}}': Request(GetPage(MAX_PAGE, 0)),
    b'{"type":"GET_PEERS","payload":{"limit":5,"after":7},"keep_open":true}': Request(GetPage(5, 7), True),
    b'{"type":"GET_PEERS","payload":{"limit":999999}}': Request(GetPage(MAX_PAGE, 0)),
    b'{"type":"GET_PEERS","payload":{"sample":8}}': Request(GetSample(8)),
    b'{"type":"GET_PEERS","payload":{"sample":99999}}': Request(GetSample(MAX_SAMPLE)),
    encode_request("REGISTER", RECORD): Request(RegisterSigned(RECORD)),
    encode_request("REMOVE", REMOVAL, keep_open=True): Request(RemoveSigned(REMOVAL), True),
}

REFUSED = {
    b"": "bad-json",
    b"\0": "bad-json",
    b"garbage": "bad-json",
    b"[]": "bad-json",
    b'"REGISTER"': "bad-json",
    b"null": "bad-json",
    b'{"type":"REGISTER","payload":"a:1"': "bad-json",
    b'{"type":"REGISTER","payload":"a:1"} trailing': "bad-json",
    b'{"type":"REGISTER","payload":"\xff"}': "bad-json",
    # deeper than any Python lets JSON nest; over the line limit, but that is the transport's to say
    b'{"type":"REGISTER","payload":' + b"[" * 200_000 + b"]" * 200_000 + b"}": "bad-json",
    b'{"type":"REGISTER","payload":"\\ud800"}': "bad-json",
    b"GET / HTTP/1.1": "bad-json",
    b"{}": "bad-message",
    b'{"payload":"a:1"}': "bad-message",
    b'{"type":5,"payload":"a:1"}': "bad-message",
    b'{"type":null}': "bad-message",
    b'{"type":"REGISTER"}': "bad-message",
    b'{"type":"REGISTER","payload":5}': "bad-message",
    b'{"type":"REGISTER","payload":null}': "bad-message",
    b'{"type":"REGISTER","payload":["a:1"]}': "bad-message",
    b'{"type":"REGISTER","payload":{"address":"a:1"}}': "bad-message",
    b'{"type":"REMOVE","payload":true}': "bad-message",
    b'{"type":"GET_PEERS","payload":5}': "bad-message",
    b'{"type":"GET_PEERS","payload":[]}': "bad-message",
    b'{"type":"GET_PEERS","payload":{"limit":0}}': "bad-message",
    b'{"type":"GET_PEERS","payload":{"after":-1}}': "bad-message",
    b'{"type":"GET_PEERS","payload":{"after":9223372036854775808}}': "bad-message",
    b'{"type":"GET_PEERS","payload":{"sample":"all"}}': "bad-message",
    b'{"type":"GET_PEERS","keep_open":1}': "bad-message",
    b'{"type":"register","payload":"a:1"}': "unknown-type",
    b'{"type":"DROP TABLE","payload":5}': "unknown-type",
    b'{"type":"","payload":""}': "unknown-type",
}


@pytest.mark.parametrize("line", UNDERSTOOD, ids=repr)
def test_a_request_is_understood(line: bytes) -> None:
    assert decode_request(line) == UNDERSTOOD[line]


@pytest.mark.parametrize("line", REFUSED, ids=lambda line: repr(line[:60]))
def test_anything_else_is_refused_with_a_code(line: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_request(line)
    assert caught.value.code == REFUSED[line]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
TYPES = st.sampled_from(["REGISTER", "REMOVE", "GET_PEERS"]) | JSON
FIELDS = st.fixed_dictionaries({"type": TYPES, "payload": JSON}, optional={"keep_open": JSON})
LINES = (
    st.binary(max_size=200)
    | JSON.map(lambda value: json.dumps(value).encode())
    | FIELDS.map(lambda value: json.dumps(value).encode())
)


@given(LINES)
def test_any_line_is_understood_or_refused_with_a_documented_code(line: bytes) -> None:
    try:
        decode_request(line)
    except RemoteProtocolError as error:
        code = error.code
    else:
        code = ""
    assert code in {"", "bad-json", "bad-message", "unknown-type"}


def test_the_request_bytes_of_the_reference_client() -> None:
    assert encode_request("REGISTER", "localhost:3000") == b'{"type":"REGISTER","payload":"localhost:3000"}'
    assert encode_request("GET_PEERS") == b'{"type":"GET_PEERS","payload":""}'


def test_the_answer_bytes_of_the_reference_server() -> None:
    assert encode_plain([]) == b"[]"
    assert encode_plain(["a:1", "b:2"]) == b'[{"address":"a:1"},{"address":"b:2"}]'


def test_a_notice_is_laid_out_as_go_does() -> None:
    assert encode_notice("new_peer_joined", "localhost:3001") == (
        b'{"type":"new_peer_joined","data":"bG9jYWxob3N0OjMwMDE="}'
    )
    assert base64.b64decode("bG9jYWxob3N0OjMwMDE=") == b"localhost:3001"


def test_pages_and_lists_are_read_back() -> None:
    peers = [KnownPeer("a:1"), KnownPeer("b:2", "11" * 32, "22" * 32)]
    assert decode_peers(encode_page(peers, 9)) == PeerPage(peers, 9)
    assert b"node_key" not in encode_page(peers[:1], None)
    assert decode_peers(encode_plain(["a:1"])) == PeerPage([KnownPeer("a:1")], None)


def test_a_page_of_the_longest_entries_fits_one_answer() -> None:
    longest = KnownPeer("x" * 262, "11" * 32, "22" * 32)
    assert len(encode_page([longest] * MAX_PAGE, 2**53)) <= MAX_ANSWER_LINE


def test_an_error_line_is_raised_with_its_code_and_details() -> None:
    line = b'{"error":{"code":"still-alive","message":"no","kind":"permanent","self":1,"expires":5}}'
    with pytest.raises(Rejected) as caught:
        decode_text(line)
    assert (caught.value.code, caught.value.details) == ("still-alive", {"expires": 5})
    with pytest.raises(VotenetError) as unknown:
        decode_peers(b'{"error":{"code":"from-the-future","message":"hm"}}')
    assert unknown.value.code == "from-the-future"


@pytest.mark.parametrize(
    "line", [b"", b"HTTP/1.1 400", b'{"error":5}', b'{"error":', b"[1]", b"\xff", b"[" * 9000]
)
def test_a_malformed_answer_is_a_protocol_error_of_the_server(line: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_text(line)
    with pytest.raises(RemoteProtocolError):
        decode_peers(line)


def test_malformed_addresses_of_a_list_are_dropped_and_the_rest_is_kept() -> None:
    """Anybody may have registered it with the reference server."""
    line = json.dumps(
        [{"address": text} for text in ("a:1", "x\n:2", "\x1b[2J:3", "", "é:4", "b:5")]
    ).encode()
    assert [peer.address for peer in decode_peers(line).peers] == ["a:1", "b:5"]
    with pytest.raises(RemoteProtocolError):
        decode_peers(b'[{"address":"a:1","node_key":"\\u001b[2J"}]')


def test_texts_of_a_server_hold_nothing_that_steers_a_terminal() -> None:
    with pytest.raises(Rejected) as caught:
        decode_text(b'{"error":{"code":"busy","message":"a\\nb\\u001b[2J","seconds":5,"a b":1}}')
    assert (caught.value.message, caught.value.details) == ("a?b?[2J", {"seconds": 5})
    with pytest.raises(RemoteProtocolError):
        decode_text(b'{"error":{"code":"a\\nb","message":"m"}}')
    with pytest.raises(VotenetError) as new:
        decode_text(b'{"error":{"code":"new","message":"m","next_step":"\\u202ex"}}')
    assert new.value.next_step == "?x"
    for stats in ({"a\nb": 1}, {"a": "\x1b"}, {"a": {"b": ["\u202e"]}}):
        with pytest.raises(RemoteProtocolError):
            decode_stats(json.dumps({"stats": stats}).encode())
    assert decode_stats(b'{"stats":{"a":{"b":1}}}') == {"a": {"b": 1}}


def test_msgspec_encodes_the_signed_forms_as_documented() -> None:
    fields = msgspec.json.decode(encode_request("REGISTER", RECORD))
    assert list(fields) == ["type", "payload"]
    assert set(fields["payload"]) == {"record", "signature"}
