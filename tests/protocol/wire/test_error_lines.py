"""Error lines of the other side, readable or not."""

from __future__ import annotations

import pytest

from votenet.errors import Rejected, RemoteProtocolError, VotenetError
from votenet.protocol.wire.error_lines import decode_error, error_in


@pytest.mark.parametrize(
    "line",
    [
        b'{"error"',
        b'{"error":5}',
        b'{"error":{}}',
        b'{"error":{"code":"x"}}',
        b'{"error":' + b"[" * 100_000,
        b'{"error":{"code":"x","message":"\\ud800"}}',
        b'{"error":{"code":"a\\nb","message":"m"}}',
        b'{"error":{"code":"","message":"m"}}',
    ],
    ids=lambda line: line[:12],
)
def test_an_error_that_is_not_readable_is_the_other_sides_fault(line: bytes) -> None:
    refusal = error_in(line)
    assert isinstance(refusal, RemoteProtocolError)
    assert refusal.code == "bad-message"


def test_another_line_carries_no_error() -> None:
    for line in (b"[]", b"", b'{"type":"pong"}', b"Peer registered successfully"):
        assert error_in(line) is None


def test_a_known_code_is_a_refusal_with_its_details() -> None:
    error = decode_error({"code": "already-voted", "kind": "duplicate", "message": "m", "height": 7})
    assert isinstance(error, Rejected)
    assert (error.code, error.message, error.details) == ("already-voted", "m", {"height": 7})


def test_unknown_detail_names_are_left_out() -> None:
    error = decode_error({"code": "busy", "message": "m", "self": 1, "a b": 2, "\x1b[2J": 3})
    assert isinstance(error, Rejected)
    assert error.details == {}


def test_an_unknown_code_is_kept_with_its_advice() -> None:
    error = error_in(b'{"error":{"code":"from-next-year","message":"?","next_step":"Wait\\u001b."}}')
    assert error is not None
    assert type(error) is VotenetError
    assert (error.code, error.next_step) == ("from-next-year", "Wait?.")
