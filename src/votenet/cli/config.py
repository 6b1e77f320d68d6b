"""`votenet config`: which settings hold, and where each comes from.

What lives here: options and output. What must not: reading files and their rules (`config_files.py`).
"""

from __future__ import annotations

import json
from typing import Any

import click

from votenet.cli.options import json_option


@click.group()
def config() -> None:
    """Show settings and where they come from.

    \b
    Every option of a command can be set in a TOML file, in the table of that command:
      [up]
      nodes = 7
      candidate = ["Ann", "Bo"]

    \b
    Strongest first: flag; environment (VOTENET_UP_NODES=7); votenet.toml in the working folder;
    votenet.toml of the user; default. --config FILE is read instead of both files.

    \b
    Examples:
      votenet config show --origin
      votenet --config board.toml config show up
    """


@config.command(
    epilog="""\b
Examples:
  votenet config show                   what votenet up would take
  votenet config show down --origin     and where each setting of votenet down comes from
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
    from votenet.cli import config_files

    root = ctx.find_root()
    group = root.command
    assert isinstance(group, click.Group)
    found = group.get_command(root, command)
    if found is None or isinstance(found, click.Group):
        raise click.BadParameter(f"no command {command!r} with settings of its own", ctx)
    files = config_files.read_files(root.params["config"])
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
        click.echo(json.dumps({"files": [str(file.path) for file in files], "settings": listed}, default=str))
        return
    if origin:
        for path in config_files.places() if root.params["config"] is None else (root.params["config"],):
            click.echo(f"# {path}: {'read' if any(path == file.path for file in files) else 'not there'}")
    click.echo(f"[{command}]")
    for name, value, where in settings:
        click.echo(_line(name, value, where if origin else ""))


def _line(name: str, value: Any, where: str) -> str:
    """As a line of the file; settings that are not set stand in a comment."""
    unset = value is None or value == ()
    text = f"# {name} =" if unset else f"{name} = {json.dumps(value, ensure_ascii=False, default=str)}"
    return f"{text:<40} # {where}" if where else text
