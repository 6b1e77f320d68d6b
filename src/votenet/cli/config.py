"""`votenet config`: which settings hold, and where each comes from."""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from votenet.cli import config_files, ui
from votenet.cli.options import json_option

if TYPE_CHECKING:
    from votenet.cli.config_files import ConfigFile
    from votenet.cli.config_trust import Untrusted


@click.group()
def config() -> None:
    """Show settings and where they come from.

    \b
    An option of a command can be set in a TOML file, in the table of that command:
      [up]
      nodes = 7
      candidate = ["Ann", "Bo"]

    \b
    Strongest first: flag; environment (VOTENET_UP_NODES=7); votenet.toml in the working folder;
    votenet.toml of the user; default. --config FILE is read instead of both files.

    A file counts only if it, and every folder and link on the way to it, belongs to you or to root and
    cannot be written by others. No file sets down --purge or --yes.

    \b
    Examples:
      votenet config show --origin
      votenet --config board.toml config show up
    """


@config.command(
    epilog="""\b
Examples:
  votenet config show                   what `up` would take
  votenet config show down --origin     and where each setting of `down` comes from
  votenet config show --json

\b
Exit codes: 0 ok, 2 no such command, 78 a file is wrong: it says where and how."""
)
@click.argument("command", default="up")
@click.option("--origin", is_flag=True, help="Also where each setting comes from, and the files there are.")
@json_option
@click.pass_context
def show(ctx: click.Context, /, command: str, origin: bool, as_json: bool) -> None:
    """Show the settings of COMMAND [up]; checks every table of every file."""
    root = ctx.find_root()
    group = root.command
    assert isinstance(group, click.Group)
    found = group.get_command(root, command)
    if found is None or (isinstance(found, click.Group) and not found.invoke_without_command):
        raise click.BadParameter(f"no command {command!r} with settings of its own", ctx)
    left_out: dict[Path, Untrusted] = {}
    files = config_files.read_files(root.params["config"], left_out.__setitem__)
    for file in files:
        config_files.check_tables(file, group.list_commands(root))
        for name, table in file.tables.items():
            other = group.get_command(root, name)
            assert other is not None
            config_files.checked(file, f"[{name}]", table, other)
    its_context = click.Context(found, parent=root, info_name=command)
    settings = list(config_files.origins(found, its_context, command, files))
    if as_json:
        listed = [{"name": name, "value": value, "origin": where} for name, value, where in settings]
        ignored = [{"path": str(path), **error.as_dict()} for path, error in left_out.items()]
        found_files = {"files": [str(file.path) for file in files], "not_read": ignored}
        ui.echo_json({**found_files, "settings": listed})
        return
    for path, error in left_out.items():
        config_files.say_left_out(path, error)
    if origin:
        for path in config_files.places() if root.params["config"] is None else (root.params["config"],):
            ui.echo(f"# {path}: {_fate(path, files, left_out)}")
    ui.echo(f"[{command}]")
    for name, value, where in settings:
        ui.echo(_line(name, value, where if origin else ""))


def _fate(path: Path, files: Sequence[ConfigFile], left_out: Container[Path]) -> str:
    if path in left_out:
        return "not read: others can have written it"
    return "read" if any(path == file.path for file in files) else "not there"


def _line(name: str, value: Any, where: str) -> str:
    """As a line of the file; settings that are not set stand in a comment."""
    unset = value is None or value == ()
    text = f"# {name} =" if unset else f"{name} = {json.dumps(value, ensure_ascii=False)}"
    return f"{text:<40} # {where}" if where else text
