"""Parameters are read strictly, and names of files are safe."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.requests import Request

from votenet.errors import Rejected, VotenetError
from votenet.protocol.wire.address import Address
from votenet.web.api.requests import (
    address_parameter,
    file_name,
    flag_parameter,
    number_parameter,
    text_parameter,
    voter_parameter,
)


def asked(query: str) -> Request:
    return Request({"type": "http", "query_string": query.encode("latin-1"), "headers": [], "path": "/"})


def test_good_parameters_are_read() -> None:
    assert text_parameter(asked("q=a%20b"), "q") == "a b"
    assert voter_parameter(asked("voter=M%C3%BCller")) == "Müller"
    assert number_parameter(asked("count=7"), "count", 5) == 7
    assert number_parameter(asked(""), "count", 5) == 5
    assert address_parameter(asked("other_than=127.0.0.1:3000"), "other_than") == [Address("127.0.0.1", 3000)]
    assert address_parameter(asked(""), "other_than") == []
    assert flag_parameter(asked("received=1"), "received")
    assert not flag_parameter(asked("received=0"), "received")


@pytest.mark.parametrize(
    ("read", "query"),
    [
        (lambda request: text_parameter(request, "q"), ""),
        (lambda request: text_parameter(request, "q"), "q="),
        (lambda request: text_parameter(request, "q"), "q=1&q=2"),
        (lambda request: number_parameter(request, "n", 0), "n="),
        (lambda request: number_parameter(request, "n", 0), "n=-1"),
        (lambda request: number_parameter(request, "n", 0), "n=1.0"),
        (lambda request: number_parameter(request, "n", 0), "n=%D9%A1"),
        (lambda request: number_parameter(request, "n", 0), "n=" + "9" * 5000),
        (lambda request: number_parameter(request, "n", 0), "n=9007199254740992"),
        (lambda request: number_parameter(request, "n", 1, least=1, most=5), "n=6"),
        (lambda request: flag_parameter(request, "f"), "f=yes"),
        (lambda request: address_parameter(request, "a"), "a=localhost"),
    ],
)
def test_bad_parameters_are_refused(read: Callable[[Request], object], query: str) -> None:
    with pytest.raises(VotenetError) as refused:
        read(asked(query))
    assert refused.value.code == "bad-request"
    assert len(refused.value.message) < 200


def test_a_voter_id_that_no_voter_can_have_is_refused() -> None:
    for query in ("voter=" + "x" * 129, "voter=a%0Ab", "voter=%20a"):
        with pytest.raises(Rejected) as refused:
            voter_parameter(asked(query))
        assert refused.value.code == "bad-vote"


def test_names_of_files_have_no_strange_characters() -> None:
    assert file_name("receipt", 'a/../"ü\r\n') == "receipt-a_.._____"
    assert len(file_name("receipt", "x" * 500)) == 100
