"""`votenet help` and `votenet version`: what people type before they know the options."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import click

from votenet import __version__
from votenet.cli import ui

SCHEMES = (sysconfig.get_default_scheme(), "posix_user")
"""Where pip may have put what came with the package: the environment, or the home of a user."""


@click.command(
    epilog="""\b
Examples:
  votenet help
  votenet help vote
  votenet help peers ban"""
)
@click.argument("command", nargs=-1)
@click.pass_context
def help(ctx: click.Context, command: tuple[str, ...]) -> None:
    """Show the help of votenet, or of one COMMAND."""
    assert ctx.parent is not None
    shown = ctx.parent
    for name in command:
        group = shown.command
        found = group.get_command(shown, name) if isinstance(group, click.Group) else None
        if found is None:
            known = ", ".join(group.list_commands(shown)) if isinstance(group, click.Group) else "none"
            raise click.UsageError(f"{shown.command_path} has no command {name!r}. It has: {known}", ctx)
        shown = click.Context(found, info_name=name, parent=shown)
    for line in shown.get_help().splitlines():
        ui.echo(line)


@click.command()
def version() -> None:
    """Print the version, and the folder of the pages that are named docs/…"""
    ui.echo(f"votenet, version {__version__}")
    if (folder := documents()) is not None:
        ui.echo(f"documents: {folder}")


def documents() -> Path | None:
    """The folder with `docs`, `verifier`, `deploy` and `examples`: the source's, or the installation's."""
    source = Path(__file__).parents[3]
    installed = (Path(sysconfig.get_path("data", scheme)) for scheme in SCHEMES)
    folders = (source, *(folder / "share/doc/votenet" for folder in installed))
    return next((folder for folder in folders if (folder / "docs/trust.md").is_file()), None)
