"""Which pages of headers are taken from a node."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from support.elections import TRIVIAL_BITS, commit_of, make_election, mine_block, mine_header, named_nodes
from votenet.client.header_pages import check_page
from votenet.core.election.definition import Election
from votenet.core.ledger.block import Header
from votenet.errors import Rejected

EASIER = 0x2100FFFF
HARDER = 0x207FFFFE
OPEN = make_election(bits=TRIVIAL_BITS)
NAMED = make_election(bits=TRIVIAL_BITS, nodes=named_nodes(4))


def chain(election: Election, *bits: int) -> list[Header]:
    headers: list[Header] = []
    for one in bits:
        headers.append(mine_block(election, headers[-1] if headers else None, bits=one).header)
    return headers


def refusal(election: Election, headers: Sequence[Header], decided: Header | None, height: int = 3) -> str:
    """The code with which the page is refused."""
    commit = None if decided is None else commit_of(NAMED, decided, 3)
    with pytest.raises(Rejected) as refused:
        check_page(election, headers, height, commit)
    return refused.value.code


def test_a_page_that_holds_gives_its_hashes() -> None:
    page = chain(OPEN, TRIVIAL_BITS, HARDER, TRIVIAL_BITS)
    assert check_page(OPEN, page, 3, None) == [header.hash for header in page]
    decided = chain(NAMED, *[TRIVIAL_BITS] * 3)
    commit = commit_of(NAMED, decided[-1], 3)
    assert check_page(NAMED, decided, 3, commit) == [header.hash for header in decided]
    assert check_page(NAMED, [], 0, None) == []


def test_headers_that_are_easier_to_find_than_those_of_the_election_are_refused() -> None:
    assert refusal(OPEN, chain(OPEN, TRIVIAL_BITS, EASIER), None) == "bad-bits"


def test_named_nodes_never_change_the_difficulty() -> None:
    headers = chain(NAMED, TRIVIAL_BITS, HARDER, TRIVIAL_BITS)
    assert refusal(NAMED, headers, headers[-1]) == "bad-bits"


def test_a_page_that_named_nodes_have_not_decided_is_refused() -> None:
    headers = chain(NAMED, *[TRIVIAL_BITS] * 3)
    assert refusal(NAMED, headers, None) == "bad-commit"
    assert refusal(NAMED, headers, headers[1]) == "bad-commit"
    assert refusal(NAMED, headers, headers[-1], height=4) == "bad-commit"


def test_headers_without_a_link_or_without_work_are_refused() -> None:
    first, second = chain(OPEN, *[TRIVIAL_BITS] * 2)
    assert refusal(OPEN, [second, first], None) == "broken-chain"
    assert refusal(OPEN, [mine_header(first)._replace(bits=0x03000001)], None) == "bad-work"
