"""Addresses of the pages of a voter and of a vote."""

from __future__ import annotations

from urllib.parse import quote

from votenet.web.api.chain import HASH_DIGITS
from votenet.web.limits import NO_PATH
from votenet.web.templates import url


def vote_link(voter_id: str) -> str:
    """The page of a voter's vote. An id that no path holds, or that reads as a vote id, is in the query."""
    return url("/chain/vote", voter=voter_id) if is_hash(voter_id) else _link("/chain/vote", voter_id)


def voter_link(voter_id: str) -> str:
    """The page of a voter."""
    return _link("/chain/voter", voter_id)


def _link(page: str, voter_id: str) -> str:
    if NO_PATH.search(f"{page}/{voter_id}"):
        return url(page, voter=voter_id)
    return f"{page}/{quote(voter_id, safe='')}"


def is_hash(text: str) -> bool:
    """Whether these are the 64 digits of a hash."""
    return len(text) == HASH_DIGITS and set(text) <= set("0123456789abcdef")
