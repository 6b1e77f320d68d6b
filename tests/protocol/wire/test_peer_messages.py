"""Fields of the handshake, and of the reference client's messages."""

from __future__ import annotations

import json

import msgspec
import pytest

from support.message_samples import HASH, SAMPLES, SEED, refusal
from votenet.protocol.wire import peer_messages
from votenet.protocol.wire.fields import decode_data, work_to_hex
from votenet.protocol.wire.messages import decode_message, encode_message
from votenet.protocol.wire.peer_messages import Hello


@pytest.mark.parametrize(
    "kind", ["request_blockchain", "blockchain_update", "new_peer_joined", "shutdown_peer"]
)
@pytest.mark.parametrize("data", ["", ',"data":null', ',"data":""'])
def test_go_writes_an_empty_slice_as_null(kind: str, data: str) -> None:
    message = decode_message(f'{{"type":"{kind}"{data}}}'.encode())
    assert decode_data(message.data) == b""  # type: ignore[union-attr]


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


def test_an_absent_address_may_be_written_as_an_empty_one() -> None:
    hello = next(one for one in SAMPLES if isinstance(one, peer_messages.Hello))
    fields = json.loads(encode_message(hello)) | {"listen": ""}
    assert decode_message(json.dumps(fields).encode()) == msgspec.structs.replace(hello, listen="")
