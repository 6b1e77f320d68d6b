"""Lines out of bytes, however the bytes are cut, and the limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.errors import RemoteProtocolError
from votenet.protocol.wire.framing import LineReader


def lines_of(reader: LineReader) -> list[bytes]:
    lines = []
    while (line := reader.next_line()) is not None:
        lines.append(line)
    return lines


def code_of(reader: LineReader) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        reader.next_line()
    return caught.value.code


@given(
    st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"").rstrip(b"\r")), max_size=8), st.data()
)
def test_lines_do_not_depend_on_how_the_bytes_arrive(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + data.draw(st.sampled_from([b"\n", b"\r\n"])) for line in lines)
    reader, found = LineReader(100), []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        reader.feed(stream[:cut])
        stream = stream[cut:]
        found += lines_of(reader)
    assert found == lines
    assert reader.pending == 0
    reader.finish()


def test_only_one_carriage_return_belongs_to_the_ending() -> None:
    reader = LineReader(100)
    reader.feed(b"a\r\r\n\r\n\n")
    assert lines_of(reader) == [b"a\r", b"", b""]


def test_the_longest_line_passes_and_one_byte_more_does_not() -> None:
    reader = LineReader(5)
    reader.feed(b"12345\n123456\n")
    assert reader.next_line() == b"12345"
    assert code_of(reader) == "line-too-long"


def test_a_long_line_is_refused_before_it_ends() -> None:
    reader = LineReader(5)
    reader.feed(b"12345")
    assert reader.next_line() is None
    reader.feed(b"6")
    assert code_of(reader) == "line-too-long"


def test_the_limit_can_be_raised_for_a_line_that_has_begun() -> None:
    reader = LineReader(5)
    reader.feed(b"1234")
    assert reader.next_line() is None
    reader.max_line = 10
    reader.feed(b"567890\n")
    assert reader.next_line() == b"1234567890"


def test_half_a_line_at_the_end_is_incomplete() -> None:
    reader = LineReader(5)
    reader.feed(b"a\nb")
    assert lines_of(reader) == [b"a"]
    assert reader.pending == 1
    with pytest.raises(RemoteProtocolError) as caught:
        reader.finish()
    assert caught.value.code == "incomplete-line"


def test_cleared_bytes_are_gone() -> None:
    reader = LineReader(100)
    reader.feed(b"one\ntwo")
    reader.clear()
    assert reader.pending == 0
    assert reader.next_line() is None
    reader.finish()
    reader.feed(b"three\n")
    assert reader.next_line() == b"three"
