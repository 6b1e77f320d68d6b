"""`votenet backup` and `votenet restore`: a node in one file, and back again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from votenet.cli import ui
from votenet.cli.options import FilePath, FlagOnly, instance_option, json_option, network_option
from votenet.errors import Command, ConfigError


@click.command(
    epilog="""
Examples:

\b
  votenet backup north -o north.backup
  votenet backup node-3 -o node-3.backup
  votenet backup --data-dir /var/lib/votenet/north -o north.backup
  votenet backup north --final -o north.backup

The node may go on running. The file has its secret key: keep it as you keep the key. Anybody who has it can
sign as this node. With --final the node must be stopped, and its folder is closed for good: so it moves to
another machine. Exit codes: 0 ok, 74 no room, 75 the node still runs (--final), 78 no node is there.
"""
)
@click.argument("node", required=False)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Data folder of the node, in place of its name.",
)
@click.option(
    "--genesis", type=FilePath(), help="Genesis file  [that in the folder, or of the network here]."
)
@click.option("--roll", type=FilePath(), help="Roll file, where the election has one  [as the genesis file].")
@click.option("-o", "--output", type=FilePath(), required=True, help="File to write, with mode 0600.")
@click.option("--final", cls=FlagOnly, is_flag=True, help="The node moves: it never starts here again.")
@click.option("--force", cls=FlagOnly, is_flag=True, help="Replace the file if it is there.")
@instance_option
@json_option
def backup(
    node: str | None,
    data_dir: Path | None,
    genesis: Path | None,
    roll: Path | None,
    output: Path,
    final: bool,
    force: bool,
    instance: str,
    as_json: bool,
) -> None:
    """Write key, election, settings and chain of NODE into one file."""
    from votenet.storage.backup.node_backup import MOVED_NAME, back_up
    from votenet.storage.output_file import STDOUT, refuse_existing

    if (node is None) == (data_dir is None):
        raise click.UsageError("name the node, or its folder with --data-dir")
    if output == STDOUT:
        raise click.UsageError("a backup has a secret key, and needs a file: -o FILE")
    refuse_existing(output, force)
    if output.exists() and not output.is_file():
        raise ConfigError(
            f"{output} is no file, and a backup would take its place",
            code="output-failed",
            next_step="Name a file in a folder that you may write to, on a disk with room.",
        )
    folder = data_dir or _folder_of(str(node), instance)
    files = _files(folder, genesis, roll, instance)
    again = final and (folder / MOVED_NAME).exists()
    contents, digest = back_up(files, output, node or folder.absolute().name, final=final)
    size = output.stat().st_size
    if again:
        ui.say(
            "A final backup of this node was begun before. If it was restored somewhere, delete this one: two"
            " that sign with one key are a lie that others can prove."
        )
    if as_json:
        ui.print_json(
            {"file": str(output), "network_id": contents.network_id, "name": contents.name}
            | {"node_key": contents.node_key, "height": contents.height, "final": final}
            | {"bytes": size, "sha256": digest}
        )
        return
    ui.echo(f"Wrote {output}: {contents.name} up to block {contents.height:,}, {ui.size(size)}.")
    ui.echo(f"SHA-256 of its content: {digest}")
    ui.echo(
        "It has the secret key of the node. Restore it with: " + str(Command.calling("restore", str(output)))
    )
    if final:
        ui.echo(f"The node never starts in {folder} again.")


def _folder_of(node: str, instance: str) -> Path:
    """The data folder of a node: of the network here, or one that joined an election on several machines.

    Raises:
        ConfigError: no-node; there is neither.
    """
    from votenet.config import instance_dirs, node_dir
    from votenet.storage.key_store import NODE_KEY_NAME

    folders = instance_dirs(instance).data_dir(node), node_dir(node)
    for folder in folders:
        if (folder / NODE_KEY_NAME).exists():
            return folder
    raise ConfigError(
        f"there is no node {node} here, neither in {folders[0]} nor in {folders[1]}",
        code="no-node",
        next_step="Name its folder: --data-dir DIR",
    )


def _files(folder: Path, genesis: Path | None, roll: Path | None, instance: str) -> Any:
    """Where each file of the node is: in its folder, or beside it in the folder of the network here."""
    from votenet.cli.election.roll import ROLL_NAME
    from votenet.config import instance_dirs
    from votenet.storage.backup.node_backup import NodeFiles

    usual = instance_dirs(instance).genesis
    beside = folder if (folder / usual.name).exists() else usual.parent
    genesis = genesis or beside / usual.name
    found = roll or genesis.with_name(ROLL_NAME)
    return NodeFiles(folder, genesis, found if roll is not None or found.exists() else None)


@click.command(
    epilog="""
Examples:

\b
  votenet restore north.backup
  votenet restore north.backup --data-dir /var/lib/votenet/north
  votenet restore north.backup --network NETWORK_ID
  votenet restore north.backup --lost south

All of the file is checked before anything gets its name. The key may have signed after this backup. So a
named node says nothing until the others have decided two more blocks, for which they need a quorum without
it. At the end it signs no closing list if those of the others are enough: it may have forgotten votes.
After a final backup it goes on at once, unless it was silent when that was made. With --lost you give up
named nodes whose disks are lost, too: then the word of all the rest is enough. Exit codes: 0 ok, 74 no room,
75 a node runs in the folder, 78 the backup or the folder cannot be used; nothing was changed.
"""
)
@click.argument("backup_file", metavar="FILE", type=FilePath())
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Fresh data folder  [the usual one of a node with this name].",
)
@click.option(
    "--lost", multiple=True, metavar="NAME", help="A named node that is lost, too; may be repeated."
)
@network_option
@json_option
def restore(
    backup_file: Path, data_dir: Path | None, lost: tuple[str, ...], network_hex: str | None, as_json: bool
) -> None:
    """Make the data folder of a node out of its backup FILE."""
    from votenet.config import node_dir
    from votenet.storage.backup.node_backup import read_contents
    from votenet.storage.backup.node_backup import restore as put_back

    folder = data_dir or node_dir(read_contents(backup_file).name)
    made = put_back(backup_file, folder, network_hex=network_hex, lost=lost)
    contents = made.contents
    if as_json:
        ui.print_json(
            {"folder": str(folder), "network_id": contents.network_id, "name": contents.name}
            | {"node_key": contents.node_key, "height": contents.height, "final": contents.final}
            | {"silent": made.silent}
        )
        return
    ui.print_fields(
        f"Restored {contents.name} into {folder}.",
        [
            ("election", made.election.definition.title),
            ("network id", contents.network_id),
            ("backup of", ui.when(contents.created)),
            ("up to block", f"{contents.height:,}"),
        ],
    )
    if made.silent:
        ui.echo("It decides nothing until the other named nodes have decided two more blocks without it.")
    ui.echo(f"Start it with: {_start_command(made.joined, folder, usual=data_dir is None)}")


def _start_command(joined: bool, folder: Path, *, usual: bool) -> Command:
    if joined:
        place = ("--name", folder.name) if usual else ("--data-dir", str(folder))
        return Command.calling("node run", options=place)
    options = ["--data-dir", str(folder), "--genesis", str(folder / "genesis.json")]
    roll = folder / "roll.json"
    if roll.exists():
        options += ["--roll", str(roll)]
    return Command.calling("node", options=options)
