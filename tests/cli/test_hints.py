"""Commands that messages name, made right for another instance."""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Iterator

import click
import pytest

from votenet.cli.hints import WITH_INSTANCE, WITH_NODE, command_line, for_instance
from votenet.cli.main import COMMANDS, HIDDEN


def _commands() -> Iterator[tuple[str, click.Command]]:
    for name, (module, _) in COMMANDS.items():
        command = getattr(importlib.import_module(module), name)
        if isinstance(command, click.Group):
            yield from ((f"{name} {sub}", found) for sub, found in command.commands.items())
        elif name not in HIDDEN:
            yield name, command


def test_the_table_is_complete() -> None:
    found = {name for name, command in _commands() if any(one.name == "instance" for one in command.params)}
    assert found == WITH_INSTANCE
    nodes = {"node", "nodes"}
    found = {name for name, command in _commands() if any(one.name in nodes for one in command.params)}
    assert {name for name in found & WITH_INSTANCE if "peers" not in name} - {"up", "scale"} == WITH_NODE


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("delete it with: votenet down --purge", "delete it with: votenet down -i b --purge"),
        ("votenet ps, votenet logs node-1", "votenet ps -i b, votenet logs -i b node-1"),
        ("Look with: votenet ps.", "Look with: votenet ps -i b."),
        ("votenet up -i b --nodes 5", "votenet up -i b --nodes 5"),
        ("votenet peers remove HOST:PORT", "votenet peers remove -i b HOST:PORT"),
        ("check it with: votenet audit FILE", "check it with: votenet audit FILE"),
        ("the version of votenet that runs", "the version of votenet that runs"),
    ],
)
def test_the_instance_goes_in_once(text: str, wanted: str) -> None:
    assert for_instance(text, "b") == wanted
    assert for_instance(text, "default") == text


def test_what_is_quoted_is_a_name_and_stays_as_it_is() -> None:
    assert for_instance("Make one with: votenet keys make 'votenet down'", "b") == (
        "Make one with: votenet keys make -i b 'votenet down'"
    )


def test_the_node_that_was_named_goes_in_where_a_command_knows_it() -> None:
    text = "look with: votenet status; or: votenet ps"
    assert for_instance(text, "default", "h:1") == "look with: votenet status --node h:1; or: votenet ps"
    assert for_instance(text, "b", "[::1]:1") == (
        "look with: votenet status -i b --node '[::1]:1'; or: votenet ps -i b"
    )


@pytest.mark.parametrize(
    "operands", [("voter123",), ("a b; rm -rf ~",), ("-x", "it's"), ("$HOME", "`id`", "\\"), ("Zoë", "*")]
)
def test_a_command_line_is_taken_by_a_shell_as_it_was_meant(operands: tuple[str, ...]) -> None:
    shown = command_line("receipt", *operands, options=("-o", "my file"), instance="b", node="h:1")
    assert for_instance(shown, "b", "h:1") == shown, "it names its network already"
    words = shlex.split(shown)
    assert words[:6] == ["votenet", "receipt", "-i", "b", "--node", "h:1"]
    rest = words[6:]
    assert [word for word in rest if word not in ("-o", "my file", "--")] == list(operands)
    assert not operands[0].startswith("-") or rest.index("--") < rest.index(operands[0])
