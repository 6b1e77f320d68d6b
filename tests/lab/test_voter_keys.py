"""Keys for the ballots of a file: the same for the same secret, or exactly the registered ones."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from support.elections import key_of
from votenet.errors import Rejected
from votenet.lab.voter_keys import DerivedKeys, StoredKeys, not_on_roll
from votenet.storage.key_store import KeyStore


def test_derived_keys_differ_by_secret_and_voter() -> None:
    keys = DerivedKeys(bytes(32))
    assert keys.key("ann").public == DerivedKeys(bytes(32)).key("ann").public
    others = (keys.key("bo"), DerivedKeys(bytes(31) + b"x").key("ann"))
    assert len({keys.key("ann").public, *(key.public for key in others)}) == 3
    assert keys.fault("anybody") is None


def test_stored_keys_are_those_of_the_roll_or_a_fault_says_which_is_missing(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    for voter in ("ann", "bo", "dee"):
        store.put(voter, key_of(voter))
    roll = {"ann": key_of("ann").public_hex, "bo": key_of("other").public_hex, "cy": key_of("cy").public_hex}
    keys = pickle.loads(pickle.dumps(StoredKeys(tmp_path, roll)))
    assert keys.key("ann").public == key_of("ann").public
    faults = {voter: keys.fault(voter) for voter in ("ann", "bo", "cy", "dee")}
    assert {voter: fault and fault[0] for voter, fault in faults.items()} == {
        "ann": None,
        "bo": "the key here is not the registered one for the voter id 'bo'",
        "cy": "there is no key for the voter id 'cy'",
        "dee": "the voter id 'dee' is not on the roll",
    }
    with pytest.raises(Rejected, match="no key for 'cy'"):
        keys.key("cy")
    unknown = StoredKeys(tmp_path, None)
    assert (unknown.fault("dee"), unknown.fault("cy") is None, not_on_roll(None, "x")) == (None, False, None)
