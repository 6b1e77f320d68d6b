"""Texts and packed lists in fields: made fit for the wire, and refused when they are not."""

from __future__ import annotations

import pytest

from votenet.errors import RemoteProtocolError
from votenet.protocol.wire.fields import MAX_TEXT, as_line, decode_data, encode_data, split_ids


def test_data_is_base64_with_padding_as_go_writes_it() -> None:
    assert encode_data(b"localhost:3000") == "bG9jYWxob3N0OjMwMDA="
    assert decode_data("bG9jYWxob3N0OjMwMDA=") == b"localhost:3000"


@pytest.mark.parametrize("data", ["?", "QQ", "QQ=", "QQ==\n", "QQ-_", "é", "\U0001f5f3===", "Q Q ="])
def test_invalid_base64_is_refused(data: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_data(data)
    assert caught.value.code == "bad-message"


def test_short_ids_are_split_and_a_cut_one_is_a_bad_message() -> None:
    assert split_ids(b"") == []
    assert split_ids(b"11111111" + b"22222222") == [b"11111111", b"22222222"]
    for length in (1, 7, 15, 17):
        with pytest.raises(RemoteProtocolError) as caught:
            split_ids(bytes(length))
        assert caught.value.code == "bad-message"


def test_a_sentence_is_made_fit_for_the_wire() -> None:
    assert as_line("a\nb\x1b\u202ec") == "a?b??c"
    assert len(as_line("x" * 5000)) == MAX_TEXT
    assert as_line("\ud800") == "?"
