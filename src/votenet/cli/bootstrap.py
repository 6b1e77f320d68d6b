"""`votenet bootstrap`: run the bootstrap server.

What lives here: its options, the start and the clean end of the program, `--stats` of one that runs. What
must not: the service itself (`network/bootstrap_server.py`).
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
from click.core import ParameterSource

from votenet.cli.logging_setup import LEVELS, start_logging
from votenet.cli.options import instance_option
from votenet.cli.output import echo, echo_json
from votenet.cli.peers import instance_bootstrap
from votenet.cli.stop_signals import leave_orphans_to_the_kernel, stop_signals
from votenet.config import DEFAULT_BOOTSTRAP_PORT, BootstrapConfig, instance_dirs
from votenet.errors import NotRunning, Rejected, Unreachable, votenet_error_in
from votenet.network.bootstrap_client import get_stats
from votenet.network.bootstrap_policy import Policy
from votenet.network.bootstrap_server import BootstrapServer, serve_bootstrap
from votenet.network.metrics import serve_metrics
from votenet.network.notify import HEARTBEAT_SECONDS, notify
from votenet.protocol.address import Address, parse_address
from votenet.protocol.bootstrap import is_loopback
from votenet.storage.peer_store import FILE_NAME, PeerStore, read_peers_file
from votenet.storage.store_choice import opened

DESCRIPTORS: Final = 4096
"""Open files asked for: MAX_LINKS connections, the workers' dials, the database, and room."""

log = logging.getLogger("votenet.bootstrap")


@click.command()
@click.option(
    "--host",
    "hosts",
    multiple=True,
    default=("127.0.0.1",),
    show_default=True,
    help="Address to listen on, may be repeated; 0.0.0.0 for all, :: for all of IPv6 and IPv4.",
)
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
    "--store",
    metavar="STORE",
    help="Where the registry is kept: sqlite:PATH, or redis://HOST:PORT/DB for several servers over one"
    " registry.  [default: a SQLite file in the data folder]",
)
@click.option(
    "--import-peers",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help='Add the peers of a peers.json, [{"address":"host:port"}], before serving: all or none.',
)
@click.option(
    "--trust-loopback/--no-trust-loopback",
    default=True,
    show_default=True,
    help="Whether clients on this machine may speak for any address: not behind a proxy on it.",
)
@click.option(
    "--genesis",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Take only signed records of this election's network.  [default: of any]",
)
@click.option(
    "--metrics",
    metavar="HOST:PORT",
    help="Answer GET /metrics for Prometheus there, on loopback; port 0 takes any free one.",
)
@click.option("--stats", is_flag=True, help="Print the numbers of the server that runs there, and end.")
@click.option("--name", default="bootstrap", show_default=True, help="Name in logs.")
@click.option(
    "--log-level",
    type=click.Choice(LEVELS),
    default="info",
    show_default=True,
    help="What is worth a line on stderr.",
)
@click.option("--json", "as_json", is_flag=True, help="Log one JSON object a line; with --stats, print JSON.")
@instance_option
@click.pass_context
def bootstrap(
    ctx: click.Context,
    hosts: tuple[str, ...],
    port: int,
    data_dir: Path | None,
    store: str | None,
    import_peers: Path | None,
    trust_loopback: bool,
    genesis: Path | None,
    metrics: str | None,
    stats: bool,
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
      votenet bootstrap --stats

    Every registration it has acknowledged is on disk. Stop it with Ctrl-C, TERM or (not under nohup) HUP.
    """
    if stats:
        named = any(
            ctx.get_parameter_source(option) is not ParameterSource.DEFAULT for option in ("hosts", "port")
        )
        show_stats(Address(hosts[0], port) if named else instance_bootstrap(instance), as_json=as_json)
        return
    from votenet.processes import lifeline

    lifeline.arm()
    start_logging(log_level, as_json=as_json)
    _allow_descriptors()
    folder = data_dir if data_dir is not None else instance_dirs(instance).data_dir("bootstrap")
    run_bootstrap(
        BootstrapConfig(hosts[0], port, folder, name, hosts[1:]),
        store=store,
        import_peers=import_peers,
        metrics=None if metrics is None else metrics_address(metrics),
        policy=Policy(
            trusts=is_loopback if trust_loopback else lambda client: False,
            network=None if genesis is None else network_of(genesis),
        ),
    )


def run_bootstrap(
    config: BootstrapConfig,
    *,
    store: str | None = None,
    import_peers: Path | None = None,
    metrics: Address | None = None,
    policy: Policy | None = None,
) -> None:
    """Serve until one of `stop_signals`.

    Raises:
        Locked: another server uses the data folder, or the port is taken.
        ConfigError: the folder, the store, the file of peers or an address is unusable.
        StorageError: the registry cannot be opened.
    """
    addresses = read_peers_file(import_peers) if import_peers is not None else []
    with opened(store or f"sqlite:{config.data_dir / FILE_NAME}") as registry:
        try:
            asyncio.run(_serve(config, registry, addresses, metrics, policy))
        except BaseExceptionGroup as group:
            error = votenet_error_in(group)
            if error is None:
                raise
            raise error from None


def network_of(genesis: Path) -> str:
    """The network id of a genesis file. Raises ConfigError."""
    from votenet.cli.actions import read_genesis  # a long import, for those who want it

    return read_genesis(genesis).network_hex


def metrics_address(text: str) -> Address:
    """`host:port`, where the port may be 0. Raises click.BadParameter."""
    host, _, port = text.rpartition(":")
    try:
        return Address(host, 0) if port == "0" and host else parse_address(text)
    except Rejected as error:
        raise click.BadParameter(error.message, param_hint="--metrics") from None


async def _serve(
    config: BootstrapConfig,
    store: PeerStore,
    addresses: list[str],
    metrics: Address | None,
    policy: Policy | None,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        log.info("event=stopping signal=%s", number.name)
        for each in signals:  # the second one ends the program at once
            loop.remove_signal_handler(each)
        stop.set()

    leave_orphans_to_the_kernel()
    signals = stop_signals()
    for number in signals:
        loop.add_signal_handler(number, on_signal, number)
    async with contextlib.AsyncExitStack() as stack:
        where = Address(config.host, config.port)
        server = await stack.enter_async_context(
            serve_bootstrap(where, store, policy=policy, more_hosts=config.more_hosts)
        )
        if metrics is not None:
            shown = await stack.enter_async_context(serve_metrics(metrics, server.metrics))
            log.info("event=metrics address=%s", shown)
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


def show_stats(address: Address, *, as_json: bool) -> None:
    """Print the numbers of a running server. Raises NotRunning."""
    try:
        stats = asyncio.run(get_stats(address))
    except Unreachable as error:
        raise NotRunning(f"no bootstrap server answers at {address}") from error
    if as_json:
        echo_json(stats)
        return
    for name in ("peers", "connections", "waiting", "uptime_seconds"):
        echo(f"{name.removesuffix('_seconds'):<24} {stats.get(name, 0):>12,.0f}")
    echo(f"{'':<24} {'in all':>12} {'a second':>12}")
    rates = stats.get("rates", {})
    for kind, counts in stats.get("counts", {}).items():
        for label, count in sorted(counts.items()):
            rate = rates.get(kind, {}).get(label, 0.0)
            echo(f"{f'{kind} {label}':<24} {count:>12,} {rate:>12,.2f}")


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
