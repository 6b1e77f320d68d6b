"""`votenet bootstrap`: run the bootstrap server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource

from votenet.cli import ui
from votenet.cli.descriptors import allow_descriptors
from votenet.cli.logging_setup import start_logging
from votenet.cli.network.foreground import beat_until, run_server, stop_event
from votenet.cli.options import instance_option, log_level_option, metrics_option
from votenet.cli.targets import instance_bootstrap
from votenet.config import DEFAULT_BOOTSTRAP_PORT, BootstrapConfig, instance_dirs
from votenet.errors import NotRunning, Unreachable
from votenet.network.beat import until_beat
from votenet.network.bootstrap.server import BootstrapServer, serve_bootstrap
from votenet.network.bootstrap_client import get_stats
from votenet.network.metrics import serve_metrics
from votenet.network.notify import HEARTBEAT_SECONDS, notify
from votenet.protocol.bootstrap.server_core import AdmissionPolicy, is_loopback
from votenet.protocol.wire.address import Address
from votenet.storage.genesis_file import read_genesis
from votenet.storage.registry.peer_store import REGISTRY_FILE, PeerStore, opened, place_of, read_peers_file

DESCRIPTORS: Final = 4096
"""Open files asked for: MAX_LINKS connections, the workers' dials, the database, and room."""

log = logging.getLogger("votenet.bootstrap")


@click.command()
@click.option(
    "--host",
    "hosts",
    envvar="VOTENET_BOOTSTRAP_HOST",
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
@metrics_option
@click.option("--stats", is_flag=True, help="Print the numbers of the server that runs there, and end.")
@click.option("--name", default="bootstrap", show_default=True, help="Name in logs.")
@log_level_option
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
    metrics: Address | None,
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
        address = Address(hosts[0], port) if named else instance_bootstrap(instance)
        show_stats(address, named=named, as_json=as_json)
        return
    from votenet.processes import parent_death

    parent_death.arm()
    start_logging(log_level, as_json=as_json)
    allow_descriptors(DESCRIPTORS)
    folder = data_dir if data_dir is not None else instance_dirs(instance).data_dir("bootstrap")
    run_bootstrap(
        BootstrapConfig(hosts[0], port, folder, name, hosts[1:]),
        store=store,
        import_peers=import_peers,
        metrics=metrics,
        policy=AdmissionPolicy(
            trusts=is_loopback if trust_loopback else lambda client: False,
            network=None if genesis is None else read_genesis(genesis).network_hex,
        ),
    )


def run_bootstrap(
    config: BootstrapConfig,
    *,
    store: str | None = None,
    import_peers: Path | None = None,
    metrics: Address | None = None,
    policy: AdmissionPolicy | None = None,
) -> None:
    """Serve until one of `stop_signals`. Raises Locked, ConfigError, StorageError."""
    addresses = read_peers_file(import_peers) if import_peers is not None else []
    store = store or f"sqlite:{config.data_dir / REGISTRY_FILE}"
    with opened(store) as registry:
        log.info("event=registry place=%s peers=%d", place_of(store), registry.count())
        run_server(_serve(config, registry, addresses, metrics, policy))


async def _serve(
    config: BootstrapConfig,
    store: PeerStore,
    addresses: list[str],
    metrics: Address | None,
    policy: AdmissionPolicy | None,
) -> None:
    stop = stop_event(log)
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
        await beat_until(stop, heartbeat(server))
    log.info("event=stopped")


def show_stats(address: Address, *, named: bool, as_json: bool) -> None:
    """The numbers of the server there. `named`: by the user, not that of this machine. Raises NotRunning."""
    try:
        stats = asyncio.run(get_stats(address))
    except Unreachable as error:
        raise NotRunning(
            f"no bootstrap server answers at {address}",
            next_step="Check the address, and that the server runs there: --host HOST --port PORT"
            if named
            else None,
        ) from error
    if as_json:
        ui.echo_json(stats)
        return
    for name in ("peers", "connections", "waiting", "uptime_seconds"):
        ui.echo(f"{name.removesuffix('_seconds'):<24} {stats.get(name, 0):>12,.0f}")
    rates, found = stats.get("rates", {}), stats.get("counts", {})
    if any(found.values()):
        ui.echo(f"{'':<24} {'in all':>12} {'a second':>12}")
    for kind, counts in found.items():
        for label, count in sorted(counts.items()):
            rate = rates.get(kind, {}).get(label, 0.0)
            ui.echo(f"{f'{kind} {label}':<24} {count:>12,} {rate:>12,.2f}")


async def heartbeat(server: BootstrapServer) -> None:
    """From the main loop, so that silence means it hangs. READY=0 while the server can save nothing."""
    said = ""
    while True:
        failure, news = server.storage_failure, dict[str, object]()
        if failure or said:
            status = f"cannot save: {failure}" if failure else f"listening on {server.address}"
            news = {"READY": int(not failure), "STATUS": status}
        said = failure
        notify(WATCHDOG=1, X_PEERS=server.count(), **news)
        await asyncio.sleep(until_beat(HEARTBEAT_SECONDS))
