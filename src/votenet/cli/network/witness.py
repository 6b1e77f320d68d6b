"""`votenet witness`: cosign the checkpoints of an election from outside."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

import click

from votenet.cli import ui
from votenet.cli.logging_setup import start_logging
from votenet.cli.network.foreground import beat_until, run_server, stop_event
from votenet.cli.options import address_or_any_port, log_level_option
from votenet.core.election.definition import Election
from votenet.core.log.signed_note import parse_key
from votenet.core.log.witness import WatchedLog, WitnessPolicy
from votenet.errors import ConfigError, NotProven
from votenet.network.beat import until_beat
from votenet.network.notify import HEARTBEAT_SECONDS, notify
from votenet.protocol.wire.address import Address
from votenet.storage.genesis_file import read_genesis
from votenet.storage.key_store import load_or_make_key
from votenet.storage.witness_store import WitnessStore, opened_witness

KEY_FILE: Final = "witness.key"
KEY_OWNER: Final = "witness"

log = logging.getLogger("votenet.witness")


@click.command()
@click.option(
    "--genesis",
    "genesis_files",
    envvar="VOTENET_WITNESS_GENESIS",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Genesis file of an election with named nodes; may be repeated.",
)
@click.option(
    "--log",
    "log_keys",
    envvar="VOTENET_WITNESS_LOG",
    metavar="VKEY",
    multiple=True,
    help="Key of another C2SP log, name+id+key; several keys of one name are of one log.",
)
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:4100",
    show_default=True,
    callback=address_or_any_port,
    help="Where to answer HTTP; port 0 takes any free one.",
)
@click.option(
    "--data-dir",
    metavar="DIR",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the key and of what was cosigned.",
)
@click.option(
    "--name",
    metavar="NAME",
    help="Name of the key, a URL without https://.  [default: votenet-witness/ and the start of the key]",
)
@click.option(
    "--show-key", is_flag=True, help="Print the key, made now if there is none, and end: for the definition."
)
@log_level_option
def witness(
    genesis_files: tuple[Path, ...],
    log_keys: tuple[str, ...],
    listen: Address,
    data_dir: Path,
    name: str | None,
    show_key: bool,
    log_level: str,
) -> None:
    """Cosign the checkpoints of elections, as an outsider who keeps their nodes from rewriting the past.

    It speaks C2SP tlog-witness and cosigns a checkpoint only if a quorum of the named nodes did, and if it
    extends the one that it cosigned before. It keeps no votes. Its key comes first, because organisers put it
    into the definition:

    \b
      votenet witness --show-key --data-dir /var/lib/votenet/witness
      votenet witness --genesis genesis.json --listen 0.0.0.0:4100 --data-dir /var/lib/votenet/witness

    The folder must never go back to an older state: a witness that forgets can be shown another history.
    Stop it with Ctrl-C, TERM or (not under nohup) HUP.
    """
    start_logging(log_level, as_json=False)
    logs = {} if show_key else _watched(genesis_files, log_keys)
    with opened_witness(data_dir) as store:
        key = load_or_make_key(data_dir / KEY_FILE, KEY_OWNER)
        policy = WitnessPolicy(name or f"votenet-witness/{key.public_hex[:16]}", key, logs)
        try:
            parse_key(str(policy.verifier))
        except NotProven as error:
            raise click.BadParameter(error.message, param_hint="--name") from None
        if show_key:
            ui.echo(str(policy.verifier))
            return
        run_server(_serve(listen, policy, store))


def _watched(genesis_files: tuple[Path, ...], log_keys: tuple[str, ...]) -> dict[str, WatchedLog]:
    """The logs by their origins. Raises ConfigError, UsageError."""
    elections = [_of_election(read_genesis(path)) for path in genesis_files]
    watched = {log.keys[0].name: log for log in elections}
    for text in log_keys:
        try:
            key = parse_key(text)
        except NotProven as error:
            raise click.BadParameter(error.message, param_hint="--log") from None
        if key.name in {log.keys[0].name for log in elections}:
            raise click.BadParameter(f"{key.name} is the log of a genesis file", param_hint="--log")
        known = watched.get(key.name, WatchedLog(()))
        watched[key.name] = WatchedLog((*known.keys, key))
    if not watched:
        raise click.UsageError("Name at least one log: --genesis FILE or --log VKEY.")
    return watched


def _of_election(election: Election) -> WatchedLog:
    if not election.definition.nodes:
        raise ConfigError(
            f"the election {election.definition.title!r} has no named nodes, so nothing in it is final",
            code="no-named-nodes",
            next_step="Witness an election whose definition names its nodes.",
        )
    keys = election.named_keys
    return WatchedLog(keys.log_keys, keys)


async def _serve(address: Address, policy: WitnessPolicy, store: WitnessStore) -> None:
    from votenet.network.witness_server import serve_witness  # only here: it brings an HTTP server

    stop = stop_event(log)
    async with serve_witness(address, policy, store) as where:
        ui.echo(f"key {policy.verifier}")
        ui.echo(f"listening on http://{where}")
        for origin in policy.logs:
            ui.echo(f"watching {origin}")
        notify(READY=1, STATUS=f"listening on {where}")
        await beat_until(stop, heartbeat())
    log.info("event=stopped")


async def heartbeat() -> None:
    """From the main loop, so that silence means it hangs."""
    while True:
        notify(WATCHDOG=1)
        await asyncio.sleep(until_beat(HEARTBEAT_SECONDS))
