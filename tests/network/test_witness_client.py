"""Pushing checkpoints to a witness of another make, and to servers that are none. Real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from support.checkpoints import LogOfTests, log_of_five
from support.elections import key_of
from support.foreign_witness import foreign_witness
from votenet.core.log.signed_note import (
    COSIGNATURE_V1,
    MAX_NOTE_SIZE,
    SignedNote,
    VerifierKey,
    parse_key,
    verified_keys,
)
from votenet.core.log.witness import WitnessSize
from votenet.errors import NotProven, Unreachable, VotenetError
from votenet.network.witness_client import push_checkpoint

LOG = log_of_five()
ORIGIN = LOG.keys.origin
KEY = VerifierKey("witness.example/w1", COSIGNATURE_V1, key_of("witness").public)


def push(
    url: str, key: VerifierKey, size: int, *, log: LogOfTests = LOG, signed_by: int = 0, old: int = 0
) -> SignedNote | WitnessSize:
    note = log.note(size, logs=(signed_by,))
    return asyncio.run(push_checkpoint(url, key, note, log.prover(size), old, 60.0))


# -- witness-log ---------------------------------------------------------------------------------------


def test_a_witness_of_another_make_cosigns_our_checkpoints_and_their_growth() -> None:
    with foreign_witness([(ORIGIN, str(LOG.keys.log_keys[0]))]) as (url, vkey, _):
        key = parse_key(vkey)
        for size, old in ((10, 0), (10, 10), (300, 10), (390, 5)):  # the last is corrected by a 409
            note = push(url, key, size, old=old)
            assert isinstance(note, SignedNote)
            assert note.text == LOG.note(size).text
            assert list(verified_keys(note, [key])) == [key]
        assert push(url, key, 20) == WitnessSize(390)


def test_a_witness_of_another_make_refuses_both_kinds_of_split_view() -> None:
    with foreign_witness([(ORIGIN, str(LOG.keys.log_keys[0]))]) as (url, vkey, _):
        key = parse_key(vkey)
        push(url, key, 20)
        other = LogOfTests(LOG.election, "another history", fork=15)
        for size in (20, 30):
            with pytest.raises(NotProven, match="422") as refused:
                push(url, key, size, log=other, old=20)
            assert refused.value.code == "witness-refused"
        assert isinstance(push(url, key, 30), SignedNote)


def test_a_witness_of_another_make_takes_one_log_key_for_an_origin() -> None:
    """witness-log knows one key a log: the first stays, and only the node that has it is heard."""
    with foreign_witness([(ORIGIN, str(key)) for key in LOG.keys.log_keys]) as (url, vkey, taken):
        key = parse_key(vkey)
        assert taken == [True, False, False, False, False]
        assert isinstance(push(url, key, 10, signed_by=0), SignedNote)
        with pytest.raises(NotProven, match="403"):
            push(url, key, 20, signed_by=1)
        both = LOG.note(20, logs=range(5))  # lines of keys that it does not know do no harm
        note = asyncio.run(push_checkpoint(url, key, both, LOG.prover(20), 10, 60.0))
        assert isinstance(note, SignedNote)


# -- servers that are none -----------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def answering(answer: bytes, *, closes: bool = True) -> AsyncIterator[str]:
    ended: list[asyncio.Event] = []

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(asyncio.Event())
        own = ended[-1]
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            if not closes:
                await reader.read()
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()
        own.set()

    server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/prefix/"
        for event in ended:
            await event.wait()


def outcome(answer: bytes, *, closes: bool = True, seconds: float = 60.0) -> str:
    async def run() -> str:
        async with answering(answer, closes=closes) as url:
            try:
                return repr(await push_checkpoint(url, KEY, LOG.note(10), LOG.prover(10), 0, seconds))
            except VotenetError as error:
                return error.code

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "unreachable"),
        (b"220 mail.example\r\n", "unreachable"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", "unreachable"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "bad-note"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + bytes(MAX_NOTE_SIZE + 1), "unreachable"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, "unreachable"),
        (b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n", "witness-refused"),
        (b"HTTP/1.1 409 Conflict\r\nContent-Length: 3\r\n\r\n20\n", repr(WitnessSize(20))),
        (b"HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n5\n", repr(WitnessSize(5))),  # again and again
    ],
)
def test_what_a_server_answers_that_is_no_witness(answer: bytes, code: str) -> None:
    assert outcome(answer) == code


def test_a_server_that_stays_silent_is_left() -> None:
    assert outcome(b"HTTP/1.1 200 OK\r\n", closes=False, seconds=0.2) == "unreachable"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "ftp://127.0.0.1/x", "http://", "http://127.0.0.1:no"])
def test_an_address_where_nothing_answers(url: str) -> None:
    with pytest.raises(Unreachable):
        push(url, KEY, 10)
