"""Commands as votenet prints them: found in a text, looked up in the table of commands, run in a shell.

A command in a text begins at the word `votenet` and a command's name, and ends at the end of the line, at two
spaces, at a backtick, at `;` or `,` or `.` before a space or the end, or before ` (` or
` && `; quotes are a shell's. What follows `-m ` is how a process was started, and nothing to type.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator

import click

from votenet.cli.main import COMMANDS

_START = re.compile(
    r"(?:(?<=\s)|(?<=[`(])|^)(?<!-m )((?:[A-Z][A-Z_]*=(?:'[^']*'|\S+) )*votenet (?:-|[a-z]+\b))", re.MULTILINE
)
_QUOTED = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"|\\.")
_END = re.compile(r"\n|  |`|[;,.:](?=\s|$)| \(|\)| && | \| | > | # | then\b|…")


def commands_in(text: str) -> list[str]:
    """Every command line that the text names, as it stands there."""
    found = []
    for start in _START.finditer(text):
        line = text[start.start() : _end(text, start.end())].strip()
        if command_of(line) is not None:
            found.append(line)
    return found


def _end(text: str, at: int) -> int:
    while at < len(text):
        if quoted := _QUOTED.match(text, at):
            at = quoted.end()
        elif _END.match(text, at):
            return at
        else:
            at += 1
    return at


def command_of(line: str) -> tuple[str, click.Command, list[str]] | None:
    """The command that a line names: its full name, itself, and the words that follow."""
    words = line.split("votenet ", 1)[1].split(" ")
    if words[0].startswith("-"):
        return "votenet", importlib.import_module("votenet.cli.main").main, words
    if words[0] not in COMMANDS:
        return None
    command = getattr(importlib.import_module(COMMANDS[words[0]][0]), words[0])
    if isinstance(command, click.Group) and len(words) > 1 and words[1] in command.commands:
        return " ".join(words[:2]), command.commands[words[1]], words[2:]
    return words[0], command, words[1:]


def unknown_options(line: str) -> Iterator[str]:
    """Options of a line that its command does not have."""
    found = command_of(line)
    assert found is not None
    _, command, words = found
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help", "-h"}
    for word in words:
        if word == "--":
            return
        if word.startswith("--") or re.fullmatch(r"-[a-z]", word):
            name = word.split("=")[0]
            if name not in known:
                yield name
