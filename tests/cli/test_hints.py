"""Commands that messages name, made right for another instance."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import click
import pytest

from votenet.cli.hints import WITH_INSTANCE, for_instance
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
