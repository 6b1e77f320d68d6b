"""From `-i NAME` and `--node HOST:PORT` to addresses: what the supervisor of a network here knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from votenet.cli.options import placed
from votenet.config import DEFAULT_BOOTSTRAP_PORT, DEFAULT_INSTANCE, instance_dirs
from votenet.errors import Command, ConfigError, NextStep, NotRunning
from votenet.protocol.wire.address import Address, parse_address

if TYPE_CHECKING:
    from votenet.client.sync_client import ElectionClient


def network_status(instance: str) -> dict[str, Any]:
    """What the supervisor of an instance says. Raises NotRunning."""
    from votenet.processes.control import ask

    return ask(instance_dirs(instance), {"command": "status"})


def node_addresses(instance: str, node: str | None = None) -> list[Address]:
    """The node of `--node`, or the nodes of the running instance, ready ones first.

    Raises:
        NotRunning: no network of that name runs here, or none of its nodes answers.
        Rejected: bad-address.
    """
    if node:
        return [parse_address(node)]
    programs = node_programs(instance)
    if not (found := answering(programs)):
        states = ", ".join(f"{p['name']} is {p['state']}" for p in programs.values())
        first = next(iter(programs.values()))
        raise NotRunning(f"no node of this network answers: {states}", next_step=remedy(first))
    return found


def remedy(program: Mapping[str, Any]) -> NextStep:
    """The command that brings a program back, or says why it is away."""
    return NextStep(
        "{}", Command({"paused": "resume", "stopped": "start"}.get(program["state"], "logs"), program["name"])
    )


def node_programs(instance: str) -> dict[str, dict[str, Any]]:
    """The nodes of the running instance as its supervisor sees them, by address. Raises NotRunning."""
    try:
        programs = network_status(instance)["programs"]
    except NotRunning as error:
        error.next_step += "; or ask a node of a network elsewhere with --node HOST:PORT"
        raise
    return {p["address"]: p for p in programs if p["role"] == "node"}


def page_program(instance: str) -> dict[str, Any] | None:
    """The page of the running instance as its supervisor sees it, with its `url`. Raises NotRunning."""
    status = network_status(instance)
    pages = (p for p in status["programs"] if p["role"] == "web")
    return next(({**page, "url": status["page"]} for page in pages), None)


def answering(programs: Mapping[str, Mapping[str, Any]]) -> list[Address]:
    """Nodes that can be asked: ready ones first, and of these the ones that are not cut off."""
    ready = [p for p in programs.values() if p["state"] == "ready"]
    rest = [p for p in programs.values() if p["state"] in ("starting", "unready")]
    ready.sort(key=lambda program: program.get("cut_off") is not None)
    return [parse_address(p["address"]) for p in (*ready, *rest)]


def cut_off_here(instance: str, address: str) -> list[str]:
    """A warning if the node is cut off by a partition made here: it still has some peers, and cannot know."""
    from votenet.processes.cut_off import way_back

    program = node_programs(instance).get(address, {})
    if not (fault := program.get("cut_off")):
        return []
    step = placed(way_back(program["name"], fault["code"]), instance)
    return [f"it is cut off: {fault['message']}; what others have may be missing. Next: {step}"]


def bootstrap_address(instance: str) -> Address:
    """The bootstrap server of the running instance. Raises NotRunning."""
    for program in network_status(instance)["programs"]:
        if program["role"] == "bootstrap":
            return parse_address(program["address"])
    raise NotRunning(
        "this network has no bootstrap server", next_step=NextStep("See what runs with: {}", Command("ps"))
    )


def instance_bootstrap(instance: str) -> Address:
    """The bootstrap server of the instance running here, else the default port of this machine.

    Raises:
        NotRunning: an instance with a name does not run: what listens at that port is not its own.
    """
    try:
        return bootstrap_address(instance)
    except NotRunning:
        if instance != DEFAULT_INSTANCE:
            raise
        return Address("127.0.0.1", DEFAULT_BOOTSTRAP_PORT)


def network_here(instance: str, node: str | None = None) -> str | None:
    """The network id of the instance on this machine, which its nodes must have.

    None for a node that was named, and where the instance has no election. Raises ConfigError.
    """
    if node is not None:
        return None
    from votenet.core.election.definition import election_from_file

    path = instance_dirs(instance).genesis
    step = "Check its owner and mode."
    with ConfigError.of_os_errors(f"cannot read {path}", code="bad-genesis", next_step=step):
        try:
            data = path.read_bytes()  # our own file: the reader of other people's takes its time to load
        except FileNotFoundError:
            return None
    return election_from_file(data).network_hex


def connect(
    instance: str,
    node: str | None = None,
    network_hex: str | None = None,
    *,
    answer_seconds: float | None = None,
) -> ElectionClient:
    """A client of the node that was named, or of the network here. Raises as `node_addresses`.

    Args:
        network_hex: the network that was named, too.
        answer_seconds: how long each node may take to answer; without it as long as a busy one needs.
    """
    from votenet.client.connection import NODE_ANSWER_SECONDS
    from votenet.client.sync_client import ElectionClient

    addresses = node_addresses(instance, node)
    network = network_hex or network_here(instance, node)
    return ElectionClient(addresses, network_id=network, answer_timeout=answer_seconds or NODE_ANSWER_SECONDS)
