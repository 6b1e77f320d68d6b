"""Whether the command line takes arguments that stand in a file."""

from __future__ import annotations

import click

from support.printed_commands import command_of


def check_arguments(words: list[str]) -> None:
    """Raises click's UsageError, AssertionError where `votenet` with these words is no command of ours."""
    found = command_of(" ".join(["votenet", *words]))
    assert found is not None, words
    name, command, _ = found
    assert not isinstance(command, click.Group) or command.invoke_without_command, words
    command.make_context(name, words[len(name.split()) :])
