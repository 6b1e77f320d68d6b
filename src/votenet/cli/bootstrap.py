"""`votenet bootstrap`: run the bootstrap server.

What lives here: its options, the start and the clean end of the program. What must not: the service
itself (`network/bootstrap_server.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
from pathlib import Path
from typing import Final

import click

from votenet.cli.logging_setup import LEVELS, start_logging
from votenet.cli.options import instance_option
from votenet.config import DEFAULT_BOOTSTRAP_PORT, BootstrapConfig, instance_dirs
from votenet.errors import votenet_error_in
from votenet.network.bootstrap_server import BootstrapServer, serve_bootstrap
from votenet.network.notify import notify
from votenet.protocol.address import Address
from votenet.storage.database import lock_data_dir
from votenet.storage.peer_store import FILE_NAME, read_peers_file
from votenet.storage.sqlite_peer_store import SqlitePeerStore

DESCRIPTORS: Final = 4096
"""Open files asked for: MAX_LINKS connections, the workers' dials, the database, and room."""
HEARTBEAT_SECONDS: Final = 1.0
"""How often a supervisor hears that the main loop turns."""

log = logging.getLogger("votenet.bootstrap")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_BOOTSTRAP_PORT,
    show_default=True,
    envvar="BOOTSTRAP_PORT",
    show_envvar=True,
    help="Port to listen on; 0 takes any free one.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=True),
    help="Folder of the registry.  [default: that of the instance]",
)
@click.option(
    "--import-peers",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help='Add the peers of a peers.json, [{"address":"host:port"}], before serving: all or none.',
)
@click.option("--name", default="bootstrap", show_default=True, help="Name in logs.")
@click.option(
    "--log-level",
    type=click.Choice(LEVELS),
    default="info",
    show_default=True,
    help="What is worth a line on stderr.",
)
@click.option("--json", "as_json", is_flag=True, help="Log one JSON object a line.")
@instance_option
def bootstrap(
    host: str,
    port: int,
    data_dir: Path | None,
    import_peers: Path | None,
    name: str,
    log_level: str,
    as_json: bool,
    instance: str,
) -> None:
    """Run the bootstrap server, which introduces nodes to each other.

    `votenet up` starts one by itself. On its own machine:

    \b
      votenet bootstrap --host 0.0.0.0 --port 4000 --data-dir /var/lib/votenet/bootstrap
      printf '{"type":"REGISTER","payload":"localhost:3999"}\\n' | nc 127.0.0.1 4000

    Every registration it has acknowledged is on disk. Stop it with Ctrl-C or SIGTERM.
    """
    from votenet.processes import lifeline

    lifeline.arm()
    start_logging(log_level, as_json=as_json)
    _allow_descriptors()
    folder = data_dir if data_dir is not None else instance_dirs(instance).data_dir("bootstrap")
    run_bootstrap(BootstrapConfig(host, port, folder, name), import_peers)


def run_bootstrap(config: BootstrapConfig, import_peers: Path | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        Locked: another server uses the data folder.
        Locked: the port is taken (or, by lock_data_dir, the folder).
        ConfigError: the folder or the file of peers is unusable.
        StorageError: the registry cannot be opened.
    """
    addresses = read_peers_file(import_peers) if import_peers is not None else []
    with lock_data_dir(config.data_dir):
        store = SqlitePeerStore(config.data_dir / FILE_NAME)
        with contextlib.closing(store):
            try:
                asyncio.run(_serve(config, store, addresses))
            except BaseExceptionGroup as group:
                error = votenet_error_in(group)
                if error is None:
                    raise
                raise error from None


async def _serve(config: BootstrapConfig, store: SqlitePeerStore, addresses: list[str]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        log.info("event=stopping signal=%s", number.name)
        for each in (signal.SIGTERM, signal.SIGINT):  # the second one ends the program at once
            loop.remove_signal_handler(each)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    async with serve_bootstrap(Address(config.host, config.port), store) as server:
        if addresses:
            log.info("event=imported new=%d of=%d", server.import_addresses(addresses), len(addresses))
        log.info(
            "event=listening name=%s address=%s peers=%d data=%s",
            config.name,
            server.address,
            store.count(),
            config.data_dir,
        )
        notify(READY=1, STATUS=f"listening on {server.address}", X_PEERS=server.count())
        async with asyncio.TaskGroup() as tasks:
            beat = tasks.create_task(_heartbeat(server))
            await stop.wait()
            beat.cancel()
        notify(STOPPING=1, STATUS="stopping")
    log.info("event=stopped")


async def _heartbeat(server: BootstrapServer) -> None:
    """From the main loop, so that silence means it hangs."""
    while True:
        notify(WATCHDOG=1, X_PEERS=server.count())
        await asyncio.sleep(HEARTBEAT_SECONDS)


def _allow_descriptors() -> None:
    """The usual soft limit of 1,024 descriptors is below what MAX_LINKS and the notices may take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < DESCRIPTORS:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, hard), hard))
