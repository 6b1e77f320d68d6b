"""`votenet node run`: a node that has joined an election, again, with what `join` wrote down."""

from __future__ import annotations

import os
from pathlib import Path

import click

from votenet.cli.network.node_init import folder_option
from votenet.errors import Command, ConfigError, NextStep
from votenet.storage.env_file import ENV_NAME, PREFIX, read_env_file


@click.command(
    short_help="Run a node that has joined.",
    epilog="""\b
Examples:
  votenet node run --name north
  votenet node run --data-dir /var/lib/votenet/north

\b
It reads node.env in the folder of the node, as systemd (EnvironmentFile=) and docker (--env-file) do; every
option of votenet node may stand there, as VOTENET_NODE_ and its name in capitals. What stands there counts
more than the environment; the folder is the one in which it stands. Other names do nothing. Exit codes: as
those of votenet node; 78 where the node has not joined.""",
)
@click.option("--name", metavar="NAME", help="Name of the node  [the only one of this user].")
@folder_option
@click.option("--json", "as_json", is_flag=True, help="Log one JSON object a line.")
def run(name: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Run a node that has joined, in the foreground, until Ctrl-C, TERM or (not under nohup) HUP."""
    run_joined(data_dir or _folder_of(name), name=None if data_dir else name, as_json=as_json)


def _folder_of(name: str | None) -> Path:
    """The folder of the node with this name; without one, of the only node of this user that has joined."""
    from votenet.config import node_dir, nodes_dir

    if name is not None:
        return node_dir(name)
    joined = sorted(path.parent for path in nodes_dir().glob(f"*/{ENV_NAME}"))
    if len(joined) == 1:
        return joined[0]
    here = ", ".join(folder.name for folder in joined) or "none that has joined"
    raise click.UsageError(f"which node? --name NAME, or --data-dir FOLDER. Here are: {here}")


def run_joined(folder: Path, *, name: str | None = None, as_json: bool = False) -> None:
    """Run the node of a folder, wherever that is now, with its settings.

    Args:
        name: by which the folder was found, for the commands that are named; None where it was given.

    Raises:
        ConfigError: no-key, not-joined, bad-env-file; and as the node.
    """
    from votenet.cli.network.node import node

    path = folder / ENV_NAME
    if not path.exists():
        raise _not_joined(folder, name)
    settings = {name: value for name, value in read_env_file(path).items() if name.startswith(PREFIX)}
    settings[f"{PREFIX}DATA_DIR"] = str(folder.absolute())
    before = dict(os.environ)
    os.environ |= settings
    try:
        node.main(
            ["--json"] if as_json else [],
            prog_name="votenet node",
            standalone_mode=False,
            auto_envvar_prefix=PREFIX.rstrip("_"),
        )
    finally:
        for name in settings:
            os.environ.pop(name)
        os.environ |= before


def _not_joined(folder: Path, name: str | None) -> ConfigError:
    """What comes first: a key is made, then the election with it, then the node joins."""
    from votenet.storage.key_store import NODE_KEY_NAME

    place = ("--data-dir", str(folder)) if name is None else ("--name", name)
    page, folder_only = "https://vote.example.org", () if name else place
    if not (folder / NODE_KEY_NAME).exists():
        return ConfigError(
            f"there is no key of a node in {folder}",
            code="no-key",
            next_step=NextStep(
                "Make one with: {}, and hand the line in. On a machine in place of a lost one: {}. A relay"
                " needs no key before: {}",
                Command.calling("node init", options=("--name", name or "NAME", *folder_only)),
                Command.calling("restore", "FILE", options=folder_only),
                Command.calling("node join", page, options=(*place, "--relay")),
            ),
        )
    return ConfigError(
        f"the node in {folder} has not joined an election: {folder / ENV_NAME} is not there",
        code="not-joined",
        next_step=NextStep(
            "Join with the page of the organiser: {}; or with the genesis file: {}",
            Command.calling("node join", page, options=place),
            Command.calling("node join", "genesis.json", options=(*place, "--bootstrap", "HOST:4000")),
        ),
    )
