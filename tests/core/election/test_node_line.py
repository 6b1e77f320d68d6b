"""The line of a node: what was handed in is what was printed, or it is refused."""

from __future__ import annotations

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.elections import named_nodes
from votenet.core.election.node_line import node_line, read_node_line
from votenet.errors import ConfigError

NODE = named_nodes(1)[0]
LINE = node_line(NODE)


def test_a_line_is_the_node_again_also_broken_by_mail() -> None:
    assert read_node_line(LINE) == NODE
    assert "\n" not in LINE
    assert LINE.startswith(f"{NODE.name}:")
    middle = len(LINE) - 80
    assert read_node_line(f"  {LINE[:middle]}\r\n   {LINE[middle:]}\n") == NODE


@given(
    place=st.integers(0, len(LINE) - 1), other=st.sampled_from(string.ascii_letters + string.digits + "-_:")
)
def test_another_character_anywhere_is_found(place: int, other: str) -> None:
    changed = LINE[:place] + other + LINE[place + 1 :]
    if changed == LINE:
        return
    with pytest.raises(ConfigError) as refused:
        read_node_line(changed)
    assert refused.value.code == "bad-node-line"


@given(start=st.integers(0, len(LINE)), count=st.integers(1, 40))
def test_a_part_of_a_line_is_no_line(start: int, count: int) -> None:
    cut = LINE[:start] + LINE[start + count :]
    if cut != LINE:
        with pytest.raises(ConfigError):
            read_node_line(cut)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "it has no name"),
        ("north", "it has no name"),
        (":" + LINE.rpartition(":")[2], "is empty"),
        (LINE.rpartition(":")[2], "it has no name"),
        (f"no\u202erth:{LINE.rpartition(':')[2]}", "has"),
        (f"other:{LINE.rpartition(':')[2]}", "another than was printed"),
        (LINE[:-1], "175 characters behind its name, a whole line has 176"),
        (LINE[:-1] + "é", "that no line has"),
        (LINE[:-4] + "ab=c", "that no line has"),
    ],
)
def test_a_wrong_line_says_what_is_wrong(line: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_node_line(line)
    assert said in refused.value.message
    assert "votenet node init" in str(refused.value.next_step)


@pytest.mark.parametrize(
    ("line", "name"), [(f"south:{LINE.rpartition(':')[2]}", "south"), ("south:short", "south"), (":", "NAME")]
)
def test_the_next_step_names_the_node_of_the_line(line: str, name: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_node_line(line)
    assert str(refused.value.next_step).endswith(f"votenet node init --name {name}")


def test_keys_that_cannot_sign_are_refused() -> None:
    import hashlib

    keys = bytes([1]) + bytes(31) + bytes(96)
    check = hashlib.sha256(b"votenet/node-line/1\nnorth\n" + keys).digest()[:4]
    with pytest.raises(ConfigError, match="no key that can sign"):
        read_node_line(f"north:{base64.urlsafe_b64encode(keys + check).decode()}")
