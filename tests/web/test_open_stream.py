"""A connection that carries a stream: what is sent, readers that do not read, and its end."""

from __future__ import annotations

import asyncio
from typing import cast
from unittest.mock import Mock

import pytest

from support.page import until
from votenet.web import open_stream
from votenet.web.limits import MAX_HEAD_BYTES
from votenet.web.open_stream import OpenStream


class Wire:
    """A stream on a transport that keeps what is written."""

    def __init__(self, *, chunked: bool = True) -> None:
        self.sent, self.is_closed, self.ends = b"", False, 0
        transport = Mock(is_closing=lambda: self.is_closed, write=self._write)
        transport.close = transport.abort = lambda: setattr(self, "is_closed", True)
        self.stream = OpenStream(cast(asyncio.Transport, transport), chunked=chunked, ended=self._ended)
        transport.set_protocol.assert_called_once_with(self.stream)

    def _write(self, data: bytes) -> None:
        self.sent += data

    def _ended(self, stream: OpenStream) -> None:
        assert stream is self.stream
        self.ends += 1


@pytest.mark.parametrize(
    ("chunked", "sent"),
    [(True, b"12\r\n: a line of text\n\n\r\n0\r\n\r\n"), (False, b": a line of text\n\n")],
)
def test_what_is_sent_and_its_end(chunked: bool, sent: bytes) -> None:
    wire = Wire(chunked=chunked)
    wire.stream.send(b": a line of text\n\n")
    wire.stream.shutdown()
    assert (wire.sent, wire.is_closed) == (sent, True)
    wire.stream.send(b"too late")
    wire.stream.shutdown()
    assert wire.sent == sent


def test_a_reader_that_does_not_read_gets_no_more_and_is_cut_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(open_stream, "UNREAD_SECONDS", 0.01)

    async def main() -> None:
        wire = Wire(chunked=False)
        wire.stream.pause_writing()
        assert wire.stream.is_full
        wire.stream.send(b"lost")
        wire.stream.resume_writing()
        wire.stream.send(b"the newest")
        assert (wire.sent, wire.stream.is_full) == (b"the newest", False)
        wire.stream.pause_writing()
        await until(lambda: wire.is_closed)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_who_wants_to_know_is_told_once_that_it_is_gone() -> None:
    wire, told = Wire(), Mock()
    wire.stream.when_ended(told)
    wire.stream.connection_lost(None)
    wire.stream.connection_lost(None)
    assert wire.ends == 1
    told.assert_called_once_with(wire.stream)


def test_what_the_reader_sends_is_dropped_and_too_much_of_it_ends_the_stream() -> None:
    wire = Wire()
    wire.stream.data_received(bytes(MAX_HEAD_BYTES))
    assert not wire.is_closed
    wire.stream.data_received(b"x")
    assert wire.is_closed
