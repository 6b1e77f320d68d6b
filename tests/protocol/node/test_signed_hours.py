"""What was signed for one closing time is not forgotten when another one is in force."""

from __future__ import annotations

import hashlib

import pytest

from support.elections import key_of
from votenet.core.ledger.closing import sign_list
from votenet.protocol.node.signed_hours import SavedHours, SignedHours, join_list, split_list

IDS = tuple(sorted(hashlib.sha256(b"%d" % number).digest() for number in range(3)))
LIST = sign_list(key_of("node"), network_hex="ab" * 32, node=0, closes=100, height=1, vote_ids=IDS)


def test_each_closing_time_has_its_own_and_all_of_it_is_saved() -> None:
    signed = SignedHours(b"")
    assert signed.of(100) == SavedHours(100)
    signed.put(SavedHours(200, hour=True))
    again = SignedHours(signed.put(SavedHours(100, True, LIST, join_list(IDS))))
    assert again.of(200) == SavedHours(200, hour=True)
    assert (again.of(100).list, again.of(100).listed) == (LIST, IDS)
    assert again.of(None) == SavedHours(0)


def test_ids_are_split_as_they_were_joined_and_rubbish_is_refused() -> None:
    assert split_list(b"".join(IDS)) == IDS
    with pytest.raises(ValueError, match=r"."):
        SignedHours(b"{}")
