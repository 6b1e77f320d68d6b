"""Values of a TOML file with their lines, and what is wrong with them in words."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from votenet.core.election.toml_table import (
    FaultList,
    FileFault,
    TomlTable,
    kind_fault,
    line_numbers,
    place_of,
)

TEXT = '''\
title = "x"
note = """
max = 1
[table]
"""
[[contests]]
  max = 2  # max = 3
[contests.threshold]
share = "simple"
[[contests]]
max = 4
[[contests.candidates]]
name = "Ann"
[[contests.candidates]]
name = "Bo"
'''


def test_every_table_and_key_has_its_line() -> None:
    found = line_numbers(TEXT)
    assert found == {
        ("title",): 1,
        ("note",): 2,
        ("contests", 1): 6,
        ("contests", 1, "max"): 7,
        ("contests", 1, "threshold"): 8,
        ("contests", 1, "threshold", "share"): 9,
        ("contests", 2): 10,
        ("contests", 2, "max"): 11,
        ("contests", 2, "candidates", 1): 12,
        ("contests", 2, "candidates", 1, "name"): 13,
        ("contests", 2, "candidates", 2): 14,
        ("contests", 2, "candidates", 2, "name"): 15,
    }


def test_a_fault_names_the_nearest_line_that_is_known() -> None:
    faults = FaultList(TEXT)
    faults.add(("contests", 2, "candidates", 3), "it is wrong")
    faults.add(("nodes", 1), "it is wrong")
    assert [str(fault) for fault in faults.found] == [
        "line 10, contest 2, candidate 3: it is wrong",
        "node 1: it is wrong",
    ]
    assert str(FileFault("", None, "it is wrong")) == "it is wrong"
    assert place_of(("witnesses", 2, "key")) == "witness 2, key"


def test_values_of_a_wrong_kind_are_named_and_the_usual_one_taken() -> None:
    faults = FaultList()
    table = TomlTable({"max": "3", "titel": "x", "blank": True}, (), faults, {"max": "max = 1"})
    assert (table.take("max", int, 7), table.take("blank", bool, False), table.take("min", int, 1)) == (
        7,
        True,
        1,
    )
    assert table.need("title", str, "none") == "none"
    table.end()
    assert [(fault.place, fault.wrong, fault.next_step) for fault in faults.found] == [
        ("max", "it is text, and must be a whole number", "Write it like this: max = 1"),
        ("", "title is missing", "Add it to this table."),
        ("titel", "the key 'titel' is not known", "Did you mean title?"),
    ]


def test_limits_are_told_in_words() -> None:
    short = Annotated[str, msgspec.Meta(max_length=3)]
    few = Annotated[int, msgspec.Meta(ge=1, le=5)]
    assert kind_fault("abcd", short) == "it has 4 characters, and must have at most 3"
    assert kind_fault(0, few) == "it is 0, and must be at least 1"
    assert kind_fault(6, few) == "it is 6, and must be at most 5"
    assert kind_fault(True, few) == "it is true or false, and must be a whole number"
    assert kind_fault("x", Literal["a", "b"]) == "it is 'x', and must be one of: a, b"
    assert "not written as it must be" in kind_fault("x", Annotated[str, msgspec.Meta(pattern="^y")])
    assert kind_fault(2**80, few)
    assert kind_fault("b", Literal["a", "b"]) == ""
