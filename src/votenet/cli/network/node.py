"""`votenet node`: one node, as the supervisor, systemd or a container starts it, and how it joins."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from votenet.cli.descriptors import allow_descriptors
from votenet.cli.logging_setup import start_logging
from votenet.cli.network.node_init import init
from votenet.cli.network.node_join import join
from votenet.cli.network.node_run import run
from votenet.cli.options import log_level_option, metrics_option
from votenet.config import DEFAULT_BOOTSTRAP_PORT, DEFAULT_MINER_THREADS, DEFAULT_NODE_PORT, NodeConfig
from votenet.errors import ConfigError, PowError, Rejected, VotenetError
from votenet.protocol.peers.discovery import KINDS
from votenet.protocol.wire.address import Address, parse_address, parse_peer_address

NODE_DESCRIPTORS: Final = 2048
"""Open files asked for: the connections that a node takes and dials, its database, and room."""

if TYPE_CHECKING:
    from votenet.network.node.service import NodeService


@click.group(
    invoke_without_command=True,
    subcommand_metavar="[init | join | run]",
    epilog="""
Examples:

\b
  votenet node --data-dir ./n1 --genesis genesis.json --bootstrap 127.0.0.1:4000
  votenet node --data-dir ./n2 --genesis genesis.json --port 3001 --peer 10.0.0.5:3000
  votenet node --data-dir ./n2 --genesis genesis.json --bootstrap a.example.org:4000,b.example.org:4000
  votenet node --data-dir ./n3 --genesis genesis.json --host 0.0.0.0 --advertise vote.example.org:3000

The first start makes the node's key in its data folder. One process at a time may use the folder. A node of
an election on several machines is made with init, and joins with join: see docs/elections.md.
""",
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder for chain and key; needed.")
@click.option("--genesis", type=click.Path(path_type=Path), help="Genesis file of the election; needed.")
@click.option("--roll", type=click.Path(path_type=Path), help="Roll file, where the election has one.")
@click.option(
    "--host",
    "hosts",
    envvar="VOTENET_NODE_HOST",
    multiple=True,
    default=("127.0.0.1",),
    show_default=True,
    help="Address to listen on, may be repeated; :: for all of IPv6 and IPv4.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=DEFAULT_NODE_PORT,
    show_default=True,
    help="Port to listen on.",
)
@click.option("--listen", metavar="HOST:PORT", help="Both in one, instead of --host and --port.")
@click.option(
    "--advertise", metavar="HOST:PORT", help="Where others reach this node.  [default: host and port]"
)
@click.option(
    "--bootstrap",
    multiple=True,
    metavar="HOST:PORT,…",
    help="Bootstrap servers; a name may have several addresses."
    f" May be repeated; the usual port is {DEFAULT_BOOTSTRAP_PORT}.",
)
@click.option(
    "--peer",
    "peers",
    envvar="VOTENET_NODE_PEER",
    multiple=True,
    metavar="HOST:PORT",
    help="A node to dial, may be repeated.",
)
@click.option(
    "--discover",
    type=click.Choice(KINDS),
    multiple=True,
    default=KINDS,
    show_default=True,
    help="How peers are found, may be repeated; see docs/peers.md.",
)
@click.option(
    "--witness",
    "witnesses",
    envvar="VOTENET_NODE_WITNESS",
    nargs=2,
    multiple=True,
    metavar="VKEY URL",
    help="A witness to show the log to, beside those of the definition; may be repeated.",
)
@metrics_option
@click.option("--name", default="node", show_default=True, help="Name in logs and status.")
@click.option("--mine/--no-mine", default=True, show_default=True, help="Whether to search for blocks.")
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    default=DEFAULT_MINER_THREADS,
    show_default="2, or 1 on one core",
    help="Threads that search for blocks.",
)
@click.option(
    "--kernel",
    default="auto",
    show_default=True,
    envvar="VOTENET_KERNEL",
    help="Nonce search kernel; see: votenet doctor",
)
@log_level_option
@click.option("--json", "as_json", is_flag=True, help="Log one JSON object a line.")
@click.pass_context
def node(
    ctx: click.Context,
    data_dir: Path | None,
    genesis: Path | None,
    roll: Path | None,
    hosts: tuple[str, ...],
    port: int,
    listen: str | None,
    advertise: str | None,
    bootstrap: tuple[str, ...],
    peers: tuple[str, ...],
    discover: tuple[str, ...],
    witnesses: tuple[tuple[str, str], ...],
    metrics: Address | None,
    name: str,
    mine: bool,
    threads: int,
    kernel: str,
    log_level: str,
    as_json: bool,
) -> None:
    """Run one node in the foreground until Ctrl-C, TERM or (not under nohup) HUP."""
    if ctx.invoked_subcommand is not None:
        _refuse_options(ctx, ctx.invoked_subcommand)
        return
    if data_dir is None or genesis is None:
        option = "--data-dir" if data_dir is None else "--genesis"
        raise click.MissingParameter(ctx=ctx, param_hint=f"'{option}'", param_type="option")
    from votenet.processes import parent_death

    parent_death.arm()
    start_logging(log_level, as_json=as_json)
    try:
        (host, port), more = ((hosts[0], port), hosts[1:]) if listen is None else (parse_address(listen), ())
        own = str(parse_peer_address(advertise or str(Address(host, port))))
        servers = [str(parse_address(text)) for several in bootstrap for text in several.split(",")]
        others = [str(parse_address(text)) for text in peers]
    except Rejected as error:
        step = error.next_step if advertise else f"{error.next_step} See --advertise HOST:PORT."
        raise ConfigError(error.message, code="bad-address", next_step=step) from error
    run_node(
        NodeConfig(
            host=host,
            port=port,
            advertise=own,
            data_dir=data_dir,
            genesis=genesis,
            bootstrap=tuple(servers),
            peers=tuple(others),
            name=name,
            mine=mine,
            kernel=kernel,
            threads=threads,
            roll=roll,
            discovery=discover,
            more_hosts=more,
            witnesses=witnesses,
        ),
        metrics,
    )


def _refuse_options(ctx: click.Context, subcommand: str) -> None:
    """Raises UsageError for an option before `init`, `join` or `run`: there it would do nothing."""
    for param in ctx.command.params:
        if ctx.get_parameter_source(str(param.name)) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{param.opts[0]} belongs behind {subcommand}, if it has it.", ctx)


def run_node(config: NodeConfig, metrics: Address | None = None) -> None:
    """Run a node until it is stopped. Raises VotenetError, which is logged."""
    from votenet.cli.election.roll import election_with_roll
    from votenet.cli.network.foreground import log_the_end, run_server
    from votenet.network.node.service import NodeService
    from votenet.storage.backup.node_backup import refuse_moved
    from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore
    from votenet.storage.files import lock_data_dir
    from votenet.storage.genesis_file import read_genesis
    from votenet.storage.key_store import NODE_KEY_NAME, load_or_make_key

    log = logging.getLogger("votenet")
    try:
        election = election_with_roll(read_genesis(config.genesis), config.roll)
        _choose_kernel(config.kernel, log)
        with lock_data_dir(config.data_dir):
            refuse_moved(config.data_dir)
            key = load_or_make_key(config.data_dir / NODE_KEY_NAME, "node")
            store = SqliteBlockStore(config.data_dir, election)
            allow_descriptors(NODE_DESCRIPTORS)
            try:
                run_server(_serve(NodeService(config, election, key, store), config.data_dir, metrics))
            finally:
                store.close()
    except VotenetError as error:
        log_the_end(log, error)
        raise
    log.info("stopped")


def _remove_empty(folder: Path) -> None:
    """The folder that the socket has to itself where the path of the data is too long for one."""
    with contextlib.suppress(OSError):
        folder.rmdir()


async def _serve(service: NodeService, data_dir: Path, metrics: Address | None) -> None:
    import asyncio

    from votenet.cli.network.node_control import NodeControl, control_socket
    from votenet.cli.stop_signals import leave_orphans_to_the_kernel, stop_signals
    from votenet.network.collector import collect_seldom
    from votenet.network.metrics import serve_metrics
    from votenet.network.node.node_metrics import node_metrics
    from votenet.processes.control_server import ControlServer

    collect_seldom()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    leave_orphans_to_the_kernel()
    for number in stop_signals():
        loop.add_signal_handler(number, stop.set)
    control, log = NodeControl(service.bans), logging.getLogger("votenet")
    async with asyncio.TaskGroup() as tasks, contextlib.AsyncExitStack() as opened:
        try:
            channel = ControlServer(control_socket(data_dir), control.handle, tasks)
            opened.callback(_remove_empty, channel.path.parent)
            await opened.enter_async_context(channel)
        except OSError as error:  # a file system without sockets: everything else works
            log.warning("no channel for the operator in %s: %s", data_dir, error)
        if metrics is not None:
            numbers = node_metrics(service.status, service.outbound)
            shown = await opened.enter_async_context(serve_metrics(metrics, numbers))
            log.info("metrics at %s", shown)
        await service.run(stop)


def _choose_kernel(name: str, log: logging.Logger) -> None:
    import time

    from votenet.pow import PYTHON, select_fastest, select_kernel

    try:
        chosen = select_fastest(time.thread_time) if name == "auto" else select_kernel(name)
    except PowError as error:
        raise ConfigError(error.message, code="no-such-kernel", next_step=error.next_step) from error
    if chosen == PYTHON and name == "auto":
        log.warning("the C core is not built: mining with Python's hashlib, about forty times slower")


for _command in (init, join, run):
    node.add_command(_command)
