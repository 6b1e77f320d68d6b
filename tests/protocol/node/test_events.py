"""The records between core and shell: a Ready asks for nothing unless it was told to."""

from __future__ import annotations

import dataclasses

from votenet.protocol.node.events import Ready


def test_a_fresh_ready_asks_for_nothing_and_shares_nothing() -> None:
    one, other = Ready(), Ready()
    for field in dataclasses.fields(Ready):
        value = getattr(one, field.name)
        assert not value
        if isinstance(value, list):
            assert value is not getattr(other, field.name)


def test_a_ready_lists_saves_first() -> None:
    """The shell reads it from top to bottom: the order of the fields is the order of the acts."""
    names = [field.name for field in dataclasses.fields(Ready)]
    assert names.index("save") == 0
    assert names.index("send") < names.index("refuse") < names.index("mining_changed")
