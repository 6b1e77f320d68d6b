"""`votenet peers`: the registry of a bootstrap server, from outside."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import click

from votenet.cli import targets, ui
from votenet.cli.options import FilePath, FiniteRange, instance_option, json_option
from votenet.cli.peers.bans import NodeFolders, ban, node_folder_options, say_bans, unban
from votenet.errors import Command, NextStep, NotRunning, SomeFailed, Unreachable, VotenetError
from votenet.network import bootstrap_client as client
from votenet.protocol.bootstrap.bootstrap_messages import MAX_SAMPLE, NOT_FOUND, KnownPeer, encode_plain
from votenet.protocol.wire.address import Address, parse_address
from votenet.storage.output_file import STDOUT
from votenet.storage.registry.peer_store import read_peers_file, write_peers_file

EXIT_NO_SUCH_PEER: Final = 4
PINGS_AT_ONCE: Final = 32

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Target:
    """Which bootstrap server: named with --bootstrap, or the one of the instance."""

    def __init__(self, named: str | None, instance: str) -> None:
        self.named, self.instance = named is not None, instance
        self.address = parse_address(named) if named is not None else targets.instance_bootstrap(instance)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a conversation. Raises NotRunning, with the command that starts a server."""
        try:
            return asyncio.run(work)
        except Unreachable as error:
            if self.named:
                raise
            raise self._no_server() from error

    def _no_server(self) -> NotRunning:
        """That of a network that runs may be stopped or paused; else there is none."""
        message = f"no bootstrap server answers at {self.address}"
        with contextlib.suppress(VotenetError):
            for program in targets.network_status(self.instance)["programs"]:
                if program["role"] == "bootstrap" and program["address"] == str(self.address):
                    back = Command("resume" if program["state"] == "paused" else "start", program["name"])
                    return NotRunning(f"{message}: it is {program['state']}", next_step=NextStep("{}", back))
        return NotRunning(
            message,
            next_step=NextStep(
                "Name a bootstrap server with --bootstrap HOST:PORT, or start a network with: {}",
                Command("up", "--nodes", "5", "--detach"),
            ),
        )


def target_options(command: F) -> F:
    """`--bootstrap HOST:PORT` and `-i NAME`, as one argument `target`."""

    @click.option(
        "--bootstrap",
        metavar="HOST:PORT",
        envvar="VOTENET_BOOTSTRAP",
        show_envvar=True,
        help="Ask this bootstrap server instead of that of the network running here.",
    )
    @instance_option
    @functools.wraps(command)
    def wrapped(*args: Any, bootstrap: str | None, instance: str, **kwargs: Any) -> Any:
        return command(*args, target=Target(bootstrap, instance), **kwargs)

    return cast(F, wrapped)


@click.group()
def peers() -> None:
    """Peers of a bootstrap server, and who is banned at the nodes running here.

    \b
    Examples:
      votenet peers list
      votenet peers register localhost:3999
      votenet peers remove localhost:3999
      votenet peers export peers.json --bootstrap 10.0.0.5:4000
    """


@peers.command()
@click.argument("address", metavar="HOST:PORT")
@target_options
@json_option
def register(target: Target, address: str, as_json: bool) -> None:
    """Register a peer that has no key (a node of votenet registers itself).

    From another machine only that machine's own addresses can be registered.

    \b
    Example:
      votenet peers register localhost:3999
    """
    answer = target.run(client.register(target.address, str(parse_address(address))))
    _say(answer, as_json)


@peers.command()
@click.argument("address", metavar="HOST:PORT")
@target_options
@json_option
@click.pass_context
def remove(ctx: click.Context, target: Target, address: str, as_json: bool) -> None:
    """Remove a peer. One that registered with a key and still answers stays.

    Exit code 4 when it is not registered.

    \b
    Example:
      votenet peers remove localhost:3999
    """
    answer = target.run(client.remove(target.address, str(parse_address(address))))
    _say(answer, as_json)
    if answer == NOT_FOUND.decode():
        ctx.exit(EXIT_NO_SUCH_PEER)


@peers.command(name="list")
@click.option(
    "--banned", is_flag=True, help="Who is banned at the nodes running here, instead of the registry."
)
@node_folder_options
@click.option("--sample", type=click.IntRange(1), help="Only this many, drawn at random.")
@target_options
@json_option
def list_peers(target: Target, folders: NodeFolders, banned: bool, sample: int | None, as_json: bool) -> None:
    """List the registered peers, in the order in which they came.

    \b
    Examples:
      votenet peers list
      votenet peers list --sample 10 --json
      votenet peers list --banned
    """
    if banned:
        answers = folders.ask(target.instance, {"command": "banned"})
        say_bans({name: answer["bans"] for name, answer in answers.said.items()}, as_json)
        answers.raise_refused()
        return
    if sample is not None:
        found = target.run(client.get_peers(target.address, sample=sample))
    else:
        found = target.run(_everyone(target.address))
    if as_json:
        rows = [{"address": p.address, "node_key": p.node_key, "network_id": p.network_id} for p in found]
        ui.echo_json(rows)
        return
    width = max((len(peer.address) for peer in found), default=0)
    for peer in found:
        ui.echo(f"{peer.address:<{width}}  {peer.node_key[:16] if peer.node_key else '-'}")
    ui.say(f"{len(found)} peers at {target.address}")


@peers.command()
@click.argument("addresses", nargs=-1, metavar="[HOST:PORT]...")
@click.option("--timeout", type=FiniteRange(0.1, 60.0), default=3.0, show_default=True, help="Seconds.")
@target_options
@json_option
def ping(target: Target, addresses: tuple[str, ...], timeout: float, as_json: bool) -> None:
    """Dial peers and see whether they answer: those named, or up to 1,000 of the registry.

    Exit code 6 when some do not.

    \b
    Examples:
      votenet peers ping localhost:3000
      votenet peers ping
    """
    named = [parse_address(address) for address in addresses]
    if not named:
        listed = target.run(client.get_peers(target.address, sample=MAX_SAMPLE))
        named = [parse_address(peer.address) for peer in listed]
    found = asyncio.run(_ping_all(named, timeout))
    if as_json:
        rows = [{"address": str(a), "seconds": s, "error": e and e.message} for a, s, e in found]
        ui.echo_json(rows)
    else:
        for address, seconds, error in found:
            ui.echo(f"{address}  " + (f"{1000 * seconds:.1f} ms" if seconds else f"{error}"))
    silent = [address for address, _, error in found if error is not None]
    if silent:
        raise SomeFailed(
            f"{len(silent)} of {len(found)} peers do not answer; the first: {silent[0]}",
            next_step=NextStep(
                "A dead peer with a key can be removed by anybody: {}",
                Command("peers", "remove", "HOST:PORT"),
            ),
            reported=True,
        )


async def _ping_all(
    addresses: list[Address], timeout: float
) -> list[tuple[Address, float | None, VotenetError | None]]:
    places = asyncio.Semaphore(PINGS_AT_ONCE)

    async def one(address: Address) -> tuple[Address, float | None, VotenetError | None]:
        async with places:
            try:
                return address, await client.ping(address, timeout), None
            except VotenetError as error:
                return address, None, error

    return await asyncio.gather(*(one(address) for address in addresses))


@peers.command(name="import")
@click.argument("file", type=FilePath())
@target_options
@json_option
def import_peers(target: Target, file: Path, as_json: bool) -> None:
    """Register all peers of a peers.json, [{"address":"host:port"}].

    A broken file is refused whole. Exit code 6 when the server refused some of the peers.

    \b
    Example:
      votenet peers import data/peers.json
    """
    addresses = read_peers_file(file)
    answers = target.run(client.register_many(target.address, addresses))
    refused = [(a, e) for a, e in zip(addresses, answers, strict=True) if isinstance(e, VotenetError)]
    new = sum(answer == "Peer registered successfully" for answer in answers)
    if as_json:
        failures = [{"address": a, "code": e.code, "message": e.message} for a, e in refused]
        ui.echo_json({"read": len(addresses), "registered": new, "refused": failures})
    else:
        ui.echo(f"{len(addresses)} read, {new} registered, {len(refused)} refused")
    if refused:
        address, error = refused[0]
        raise SomeFailed(
            f"{len(refused)} of {len(addresses)} were refused; the first: {address}: {error.message}",
            next_step=error.next_step,
        )


@peers.command()
@click.argument("file", required=False, type=FilePath())
@target_options
@json_option
def export(target: Target, file: Path | None, as_json: bool) -> None:
    """Write all peers as a peers.json, to FILE or to stdout.

    \b
    Examples:
      votenet peers export peers.json
      votenet peers export | jq length
    """
    addresses = [peer.address for peer in target.run(_everyone(target.address))]
    if file in (None, STDOUT):
        ui.echo(encode_plain(addresses).decode())
        return
    write_peers_file(file, addresses)
    if as_json:
        ui.echo_json({"written": len(addresses), "file": str(file)})
    else:
        ui.say(f"{len(addresses)} peers written to {file}")


async def _everyone(address: Address) -> list[KnownPeer]:
    return [peer async for peer in client.all_peers(address)]


def _say(answer: str, as_json: bool) -> None:
    if as_json:
        ui.echo_json({"answer": answer})
    else:
        ui.echo(answer)


peers.add_command(ban)
peers.add_command(unban)
