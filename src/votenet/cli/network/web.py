"""`votenet web`: the page on which members vote, watch and check."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from votenet.cli import ui
from votenet.cli.descriptors import allow_descriptors
from votenet.cli.logging_setup import start_logging
from votenet.cli.options import FilePath, addresses, instance_option, log_level_option, metrics_option
from votenet.config import DEFAULT_WEB_PORT, instance_dirs
from votenet.errors import ConfigError, NotRunning, VotenetError
from votenet.protocol.wire.address import Address, parse_address

if TYPE_CHECKING:
    from votenet.core.election.definition import Election
    from votenet.core.election.roll import Roll
    from votenet.web.live_view import LiveView
    from votenet.web.settings import WebSettings

PAGE_DESCRIPTORS: Final = 8192
"""Open files asked for: MAX_BROWSERS, the connections to nodes, and room."""

NO_ROLL: Final = (
    "this election has a roll, and this page does not: it cannot tell whose code is typed; give it with"
    " --roll FILE"
)

log = logging.getLogger("votenet.web")


def _several(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[Address, ...]:
    return addresses(ctx, param, tuple(text for several in value for text in several.split(",")))


def _networks(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    try:
        return tuple(ipaddress.ip_network(text, strict=False) for text in value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def _network_id(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    text = value.strip().lower()
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise click.BadParameter("a network id has 64 hexadecimal digits", ctx, param)
    return text


def _public_url(ctx: click.Context, param: click.Parameter, value: str | None) -> str:
    from urllib.parse import urlsplit

    if value is None:
        return ""
    try:
        parts = urlsplit(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise click.BadParameter("write it like https://vote.example.org", ctx, param)
    return value.rstrip("/")


@click.command(
    epilog="""
Examples:

\b
  votenet web                                    the page of the network on this machine
  votenet web --node 10.0.0.5:3000 --node 10.0.0.6:3000 --roll roll.json
  votenet web --genesis genesis.json --bootstrap boot.example.org:4000     before any node runs
  votenet web --host 0.0.0.0 --tls-cert fullchain.pem --tls-key privkey.pem
  votenet web --hashes                           SHA-256 of every file that it serves

`votenet up` starts one by itself. See docs/web.md.
"""
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; :: for all.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_WEB_PORT,
    show_default=True,
    help="0 takes any free one.",
)
@click.option(
    "--node",
    "nodes",
    envvar="VOTENET_WEB_NODE",
    metavar="HOST:PORT",
    multiple=True,
    callback=addresses,
    help="A node to ask, may be repeated.  [default: those of the network here]",
)
@click.option(
    "--bootstrap",
    "bootstraps",
    envvar="VOTENET_WEB_BOOTSTRAP",
    multiple=True,
    metavar="HOST:PORT,…",
    callback=_several,
    help="Bootstrap servers: where to learn of more nodes. May be repeated; as others reach them.",
)
@click.option(
    "--genesis",
    type=FilePath(),
    help="Genesis file: the page is there before any node runs, and waits for them.",
)
@click.option("--network-id", metavar="HEX", callback=_network_id, help="The network that nodes must be of.")
@click.option("--roll", type=FilePath(), help="Roll file, where the election has one.")
@click.option(
    "--enrolment",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder in which requests of members who make their own keys are kept.",
)
@click.option(
    "--setup",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Before the election: only take such requests into this folder.",
)
@click.option("--kiosk", is_flag=True, help="For a machine at the polling place: forget each voter at once.")
@click.option("--tls-cert", metavar="FILE", type=FilePath(), help="Certificate with its chain, PEM.")
@click.option("--tls-key", metavar="FILE", type=FilePath(), help="Key of the certificate, PEM.")
@click.option(
    "--trusted-proxy",
    "proxies",
    envvar="VOTENET_WEB_TRUSTED_PROXY",
    metavar="ADDRESS",
    multiple=True,
    callback=_networks,
    help="A proxy, or network of proxies, whose X-Forwarded-For is believed; may be repeated.",
)
@click.option("--public-url", metavar="URL", callback=_public_url, help="Where browsers find the page.")
@metrics_option
@click.option("--name", default="web", show_default=True, help="Name in logs.")
@click.option("--hashes", is_flag=True, help="Print the SHA-256 of every file that is served, and end.")
@log_level_option
@click.option(
    "--json", "as_json", is_flag=True, help="Log JSON, an object a line; with --hashes, print JSON."
)
@instance_option
def web(
    host: str,
    port: int,
    nodes: tuple[Address, ...],
    bootstraps: tuple[Address, ...],
    genesis: Path | None,
    network_id: str | None,
    roll: Path | None,
    enrolment: Path | None,
    setup: Path | None,
    kiosk: bool,
    tls_cert: Path | None,
    tls_key: Path | None,
    proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...],
    public_url: str,
    metrics: Address | None,
    name: str,
    hashes: bool,
    log_level: str,
    as_json: bool,
    instance: str,
) -> None:
    """Run the page on which members vote, watch and check, until Ctrl-C, TERM or (not under nohup) HUP."""
    if hashes:
        show_hashes(as_json=as_json)
        return
    from votenet.processes import parent_death
    from votenet.web.settings import WebSettings

    parent_death.arm()
    start_logging(log_level, as_json=as_json)
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("Give both --tls-cert FILE and --tls-key FILE, or neither.")
    if genesis is not None and not nodes and not bootstraps:
        raise click.UsageError(
            "--genesis needs --bootstrap HOST:PORT, or --node HOST:PORT: where nodes will be."
        )
    if setup is None and not nodes and not bootstraps:
        nodes, network_id, roll = _of_instance(instance, network_id, roll)
    settings = WebSettings(
        host=host,
        port=port,
        nodes=nodes,
        bootstrap=bootstraps,
        genesis=genesis,
        network_id=network_id,
        roll=roll,
        enrolment=enrolment,
        setup=setup,
        kiosk=kiosk,
        tls_cert=tls_cert,
        tls_key=tls_key,
        trusted_proxies=proxies,
        public_url=public_url,
        metrics=metrics,
        name=name,
    )
    run_web(settings)


def show_hashes(*, as_json: bool) -> None:
    from votenet.web.files import hashes

    found = dict(hashes())
    if as_json:
        ui.echo_json(found)
        return
    for name, digest in found.items():
        ui.echo(f"{digest}  {name}")


def _of_instance(
    instance: str, network_id: str | None, roll: Path | None
) -> tuple[tuple[Address, ...], str | None, Path | None]:
    """Nodes, network id and roll of the network on this machine. Raises NotRunning."""
    from votenet.cli.election.roll import roll_path
    from votenet.cli.targets import network_here, node_programs

    try:
        nodes = tuple(parse_address(address) for address in node_programs(instance))
    except NotRunning as error:
        error.next_step += ". Nodes elsewhere are named with --node HOST:PORT"
        raise
    here = roll_path(instance_dirs(instance))
    return nodes, network_id or network_here(instance), roll or (here if here.exists() else None)


def run_web(settings: WebSettings) -> None:
    """Serve until one of `stop_signals`. Raises Locked, ConfigError."""
    from votenet.cli.election.roll import read_roll
    from votenet.cli.network.foreground import log_the_end, run_server

    allow_descriptors(PAGE_DESCRIPTORS)
    roll = None if settings.roll is None else read_roll(settings.roll)
    genesis = None if settings.genesis is None else _genesis(settings, roll)
    try:
        run_server(_serve(settings, roll, genesis))
    except VotenetError as error:
        log_the_end(log, error)
        raise
    log.info("event=stopped")


def _genesis(settings: WebSettings, roll: Roll | None) -> Election:
    """The election of `--genesis`. Raises ConfigError: bad-genesis, roll-mismatch, contradiction."""
    from votenet.core.election.roll import with_roll
    from votenet.storage.genesis_file import read_genesis

    assert settings.genesis is not None
    election = read_genesis(settings.genesis)
    if roll is not None:
        with_roll(election, roll)
    if settings.network_id not in (None, election.network_hex):
        raise ConfigError(
            f"{settings.genesis} is of the network {election.network_hex}, --network-id names another",
            code="contradiction",
            next_step="Leave --network-id out, or take the genesis file of that network.",
        )
    return election


async def _serve(settings: WebSettings, roll: Roll | None, genesis: Election | None) -> None:
    from votenet.cli.network.foreground import beat_until, stop_event
    from votenet.network.collector import collect_seldom
    from votenet.network.notify import notify
    from votenet.web.live_view import LiveView
    from votenet.web.serving.certificate_dates import dates_warning
    from votenet.web.serving.http_protocol import tls_context
    from votenet.web.serving.server import serve_page

    collect_seldom()
    stop = stop_event(log)
    view = LiveView(
        settings.nodes,
        bootstrap=settings.bootstrap,
        genesis=genesis,
        network_id=settings.network_id,
        roll=roll,
    )
    async with contextlib.AsyncExitStack() as opened:
        if settings.setup is None:  # before the election there is no node to look for
            await opened.enter_async_context(view)
        where = await opened.enter_async_context(serve_page(view, settings))
        scheme = "https" if settings.tls else "http"
        url = f" url={settings.public_url}" if settings.public_url else ""
        log.info("event=listening name=%s address=%s://%s%s", settings.name, scheme, where, url)
        if settings.warning:
            log.warning(settings.warning)
        if settings.tls_cert is not None and (
            dates := dates_warning(tls_context(settings), settings.tls_cert)
        ):
            log.warning(dates)
        notify(READY=1, STATUS=f"listening on {where}")
        await beat_until(stop, heartbeat(view, roll))


async def heartbeat(view: LiveView, roll: Roll | None) -> None:
    """From the main loop, so that silence means it hangs. Says once what a page without the roll lacks."""
    from votenet.network.beat import until_beat
    from votenet.network.notify import HEARTBEAT_SECONDS, notify

    warned = roll is not None
    while True:
        if not warned and (election := view.known_election) is not None:
            warned = True
            if election.definition.registration == "roll":
                log.warning(NO_ROLL)
        notify(WATCHDOG=1, X_STREAMS=view.streams)
        await asyncio.sleep(until_beat(HEARTBEAT_SECONDS))
