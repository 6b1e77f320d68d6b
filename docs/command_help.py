"""The help of every command, taken from click: for the pages of the site and for the man pages."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import click

from votenet.cli.main import GROUPS, main

KEPT: Final = "\b"
"""click's mark at the top of a paragraph whose line breaks are kept."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    text: str
    kept: bool
    """Its line breaks and blanks are kept: examples."""


@dataclass(frozen=True, slots=True)
class CommandHelp:
    """What `votenet help` says of one command. Line breaks are blanks, but in paragraphs that are kept."""

    name: str
    """All its words: votenet voters add."""
    summary: str
    usage: str
    description: tuple[Paragraph, ...]
    options: tuple[tuple[str, str], ...]
    """The spellings with the name of the value, and the sentence."""
    subcommands: tuple[CommandHelp, ...]
    epilog: tuple[Paragraph, ...]

    def each(self) -> Iterator[CommandHelp]:
        """This command and all below it."""
        yield self
        for one in self.subcommands:
            yield from one.each()


def groups() -> Iterator[tuple[str, list[CommandHelp]]]:
    """The headings of `votenet --help`, each with its commands."""
    above = _top_context()
    for heading, commands in GROUPS.items():
        found = []
        for name, (_, summary) in commands.items():
            command = main.get_command(above, name)
            assert command is not None
            found.append(_help_of(command, click.Context(command, above, name), summary))
        yield heading, found


def top() -> CommandHelp:
    """The command `votenet` itself, with all others below it."""
    known = tuple(one for _, commands in groups() for one in commands)
    return _help_of(main, _top_context(), "A voting network on your own machines.", known)


def _top_context() -> click.Context:
    return click.Context(main, info_name="votenet", **main.context_settings)


def _help_of(
    command: click.Command, ctx: click.Context, summary: str, known: tuple[CommandHelp, ...] = ()
) -> CommandHelp:
    below = known
    if isinstance(command, click.Group) and not known:
        below = tuple(
            _help_of(one, click.Context(one, ctx, name), _summary(one))
            for name, one in sorted(command.commands.items())
            if not one.hidden
        )
    records = (param.get_help_record(ctx) for param in command.get_params(ctx))
    return CommandHelp(
        name=ctx.command_path,
        summary=summary,
        usage=" ".join([ctx.command_path, *command.collect_usage_pieces(ctx)]),
        description=_paragraphs(command.help),
        options=tuple((names, _joined(text)) for names, text in filter(None, records) if text),
        subcommands=below,
        epilog=_paragraphs(command.epilog),
    )


def _summary(command: click.Command) -> str:
    """The first sentence of its help."""
    first = _paragraphs(command.help)[0].text
    return command.short_help or first.split(". ")[0].rstrip(".") + "."


def _paragraphs(text: str | None) -> tuple[Paragraph, ...]:
    parts = inspect.cleandoc(text or "").split("\f")[0].split("\n\n")
    found = []
    for part in parts:
        kept = part.startswith(KEPT)
        body = part.removeprefix(KEPT).strip("\n")
        if body.strip():
            found.append(Paragraph(body if kept else _joined(body), kept))
    return tuple(found)


def _joined(text: str) -> str:
    return " ".join(text.split())
