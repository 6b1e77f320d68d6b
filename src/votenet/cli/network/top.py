"""`votenet top`: the programs of a network, what every node says, the count, and rates; live."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import click

from votenet.cli import targets, ui
from votenet.cli.election.amendment_view import closing_line
from votenet.cli.election.outcome_view import counts_hidden
from votenet.cli.network.finality_view import TOO_FEW, NamedUp, named_up, of_answers
from votenet.cli.options import FiniteRange, instance_option, json_option, placed
from votenet.cli.where import find_way_in, need_network, where_option
from votenet.client.failover import Failover, ask_each
from votenet.errors import VotenetError
from votenet.processes.cut_off import way_back
from votenet.protocol.wire.address import Address, parse_address
from votenet.protocol.wire.client_messages import GetResults, GetStatus, NodeStatus, Results

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table
    from rich.text import Text

SHOWN_CANDIDATES: Final = 10
"""Candidates shown; the rest are added up."""
RATE_WINDOW_SECONDS: Final = 10.0
"""Rates are those of this time. Votes come by the block: from one second to the next they would jump."""
DISPENSABLE: Final = ("TO PEERS", "RESTARTS", "TIP", "MEMORY", "PEERS", "CPU", "VERSION", "VOTES/S", "DISK")
"""Columns that a narrow terminal goes without, the first of these first."""
SUPERVISED: Final = frozenset({"CPU", "MEMORY", "RESTARTS"})
"""Columns of what only a supervisor knows; ABROAD: those of a view of a network."""
ABROAD: Final = frozenset({"VERSION", "CLOCK", "DISK"})
_ALIVE: Final = ("ready", "starting", "unready")


@click.command(
    epilog="""
Examples:

\b
  votenet top
  votenet top --once                 (one picture, then the end)
  votenet top --json --interval 5    (a JSON document on a line every five seconds)
  votenet top --network https://vote.example.org     (all nodes, from any machine)
"""
)
@click.option("--once", is_flag=True, help="Print one picture and end.")
@click.option(
    "--interval",
    type=FiniteRange(0.1, 3600),
    default=1.0,
    show_default=True,
    help="Seconds between two pictures; rates are those of up to ten seconds.",
)
@where_option
@instance_option
@json_option
def top(
    once: bool,
    interval: float,
    where: str | None,
    bootstraps: tuple[Address, ...],
    instance: str,
    as_json: bool,
) -> None:
    """Show nodes, heights, rates, waiting votes and the count, until Ctrl-C.

    With --network: all nodes of a network wherever they run, with version, clock and free disk. Without a
    terminal pictures follow each other as plain text.
    """
    need_network(where, bootstraps)
    watch = Watch(instance) if where is None else _network_watch(where, bootstraps, instance)
    watch.look()  # rates need two looks
    if once:
        time.sleep(interval)
        _print(watch.look(), as_json)
    elif as_json or not sys.stdout.isatty():
        while True:
            _sleep(interval)
            _print(watch.look(), as_json)
    else:
        _live(watch, interval)


def _network_watch(where: str, bootstraps: tuple[Address, ...], instance: str) -> Looking:
    from votenet.cli.network.network_top import NetworkWatch

    return NetworkWatch(find_way_in(where, bootstraps, instance))


class Looking(Protocol):
    """What takes a picture of a network, again and again."""

    def look(self) -> TopSnapshot: ...


def _live(watch: Looking, interval: float) -> None:
    from rich.live import Live

    console = ui.console()
    first = _on_screen(watch.look())
    with Live(first, console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            time.sleep(interval)
            live.update(_on_screen(watch.look()), refresh=True)


def _on_screen(picture: TopSnapshot) -> RenderableType:
    """A picture with the word how to leave it."""
    from rich.console import Group
    from rich.text import Text

    return Group(Text("Ctrl-C ends this picture.", style="dim"), rendered(picture))


def _sleep(seconds: float) -> None:
    """Until the next picture. Raises ReaderGone."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        ui.stop_if_unread()
        time.sleep(min(left, 0.2))


def _print(picture: TopSnapshot, as_json: bool) -> None:
    if as_json:
        ui.echo_json(picture.as_dict())
    else:
        ui.console().print(rendered(picture))


@dataclass(frozen=True, slots=True)
class NodeLine:
    """One node, or the page. What only a node itself can say is None when it does not answer.

    Rates are per second.
    """

    name: str
    state: str
    address: str
    height: int | None = None
    tip: str | None = None
    votes: int | None = None
    votes_per_second: float | None = None
    waiting: int | None = None
    peers: int | None = None
    bytes_per_second: float | None = None
    cpu: float | None = None
    memory: int | None = None
    restarts: int = 0
    certificate: int | None = None
    """Height up to which the chain is final; None also where the election names no nodes."""
    round: int | None = None
    reachable: int | None = None
    """Named nodes that it reaches."""
    cut_off: str | None = None
    """Why it is cut off from the other nodes, and what to type next."""
    version: str | None = None
    clock_offset: float | None = None
    """Seconds that its clock is ahead of ours, in a view of a network."""
    disk_free: int | None = None


@dataclass(frozen=True, slots=True)
class TopSnapshot:
    """The network at one moment; `results` of the first node that answered, None if none did.

    `votes_per_second` are votes that came into blocks, by the node that has most of them.
    """

    instance: str
    nodes: tuple[NodeLine, ...]
    results: Results | None
    votes_per_second: float | None
    agree: bool
    """Whether all nodes that answered, and are believed, have the same tip."""
    lies: tuple[str, ...] = ()
    """What named nodes are proven to have done."""
    named_nodes: NamedUp | None = None
    """How many of them are up; None where none are named, or no node answers."""
    page: NodeLine | None = None
    """The program that serves the page."""
    network_id: str | None = None
    """Of a network that is looked at from any machine; `instance` is its title then."""
    final_height: int | None = None
    """Up to which block nodes that are believed have certificates.

    None where nothing can become final, or no such node answers.
    """

    def as_dict(self) -> dict[str, Any]:
        import msgspec

        found: dict[str, Any] = msgspec.to_builtins(self)
        found["named_nodes"] = None if self.named_nodes is None else self.named_nodes._asdict()
        if self.results is not None:
            found["results"] = {
                "title": self.results.title,
                "votes": self.results.votes,
                "waiting": self.results.waiting,
                "height": self.results.height,
                "tip": self.results.tip,
                "contests": msgspec.to_builtins(self.results.contests),
                "counts_shown": bool(self.results.contests),
                "final": self.results.final,
            }
        return found


class Rates:
    """Votes and bytes a second of nodes that are looked at again and again."""

    def __init__(self) -> None:
        self._before: dict[str, deque[tuple[float, NodeStatus]]] = defaultdict(deque)
        """What each node said, the oldest first, RATE_WINDOW_SECONDS back."""

    def rates(self, name: str, status: NodeStatus, now: float) -> tuple[float | None, float | None]:
        """Since the oldest look; None without one, or if the node was restarted in between."""
        looks = self._before[name]
        if looks and _bytes(status) < _bytes(looks[-1][1]):
            looks.clear()
        while len(looks) > 1 and looks[0][0] < now - RATE_WINDOW_SECONDS:
            looks.popleft()
        looks.append((now, status))
        then, before = looks[0]
        if now <= then:
            return None, None
        sent = _bytes(status) - _bytes(before)
        return (status.votes - before.votes) / (now - then), sent / (now - then)

    def keep(self, names: Collection[str]) -> None:
        """Forget all other nodes: they do not answer now."""
        for name in self._before.keys() - names:
            del self._before[name]


class Watch:
    """Looks at one instance again and again."""

    def __init__(self, instance: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._instance, self._clock, self._rates = instance, clock, Rates()

    def look(self) -> TopSnapshot:
        """What is so now.

        Raises:
            NotRunning: no network of that name runs here.
        """
        running = targets.network_status(self._instance)["programs"]
        programs = [program for program in running if program["role"] == "node"]
        page = next((self._line(program, None, 0.0) for program in running if program["role"] == "web"), None)
        alive = [p for p in programs if p["state"] in _ALIVE]
        addresses = [parse_address(p["address"]) for p in alive]
        answers = asyncio.run(ask_each(addresses, lambda node: node.ask(GetStatus(), NodeStatus)))
        found = {
            p["name"]: status
            for p, (_, status) in zip(alive, answers, strict=True)
            if isinstance(status, NodeStatus)
        }
        now = self._clock()
        nodes = tuple(self._line(program, found.get(program["name"]), now) for program in programs)
        self._rates.keep(found.keys())
        rates = [node.votes_per_second for node in nodes if node.votes_per_second is not None]
        return TopSnapshot(
            instance=self._instance,
            nodes=nodes,
            results=first_results([parse_address(p["address"]) for p in alive if p["name"] in found]),
            votes_per_second=max(rates, default=None),
            agree=len({status.tip for status in found.values()}) <= 1,
            final_height=certified(found.values()),
            lies=tuple(dict.fromkeys(lie for status in found.values() for lie in status.lies)),
            named_nodes=named_up(of_answers(found.values(), programs)),
            page=page,
        )

    def _line(self, program: Mapping[str, Any], status: NodeStatus | None, now: float) -> NodeLine:
        known = {key: program[key] for key in ("name", "state", "address", "cpu", "memory", "restarts")}
        if fault := program.get("cut_off"):
            step = placed(way_back(program["name"], fault["code"]), self._instance)
            known["cut_off"] = f"{fault['message']}. Next: {step}"
        elif status is not None and status.cut_off:
            known["cut_off"] = status.cut_off
        if status is None:
            return NodeLine(**known)
        return NodeLine(**known, **said_by(status, self._rates.rates(program["name"], status, now)))


def said_by(status: NodeStatus, rates: tuple[float | None, float | None]) -> dict[str, Any]:
    """The fields of a NodeLine that come from the node itself; `rates` of votes and bytes."""
    stands = status.finality
    return {
        "height": status.height,
        "tip": status.tip,
        "votes": status.votes,
        "votes_per_second": rates[0],
        "waiting": status.waiting,
        "peers": status.peers,
        "bytes_per_second": rates[1],
        "certificate": None if stands is None else stands.certificate,
        "round": None if stands is None else stands.round,
        "reachable": None if stands is None else len(stands.reachable),
        "version": status.version,
        "disk_free": status.disk_free,
    }


def first_results(addresses: list[Address]) -> Results | None:
    """The count of the first of these nodes that answers; None if none does."""

    async def ask() -> Results:
        async with Failover(addresses) as nodes:
            return await nodes.run(lambda node: node.ask(GetResults(), Results))

    try:
        return asyncio.run(ask())
    except VotenetError:
        return None


def _bytes(status: NodeStatus) -> int:
    return status.peer_bytes_sent + status.peer_bytes_received


def rendered(picture: TopSnapshot) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(_headline(picture), style="bold"), _Nodes(picture)]
    parts += [Text(f"{node.name} is cut off: {node.cut_off}") for node in picture.nodes if node.cut_off]
    if picture.results is not None and (hours := _hours(picture.results)):
        parts.append(Text(hours))
    ended = picture.results is not None and picture.results.ended  # nodes may be stopped then
    if picture.named_nodes is not None and picture.named_nodes.too_few and not ended:
        parts.append(Text(f"{picture.named_nodes}. {TOO_FEW}", style="yellow"))
    parts += map(ui.lie_text, picture.lies)
    if picture.results is not None and not picture.results.contests:
        parts += [Text(), Text(counts_hidden(picture.results.closes, int(time.time())))]
    elif picture.results is not None and picture.results.votes:
        parts += [Text(), _tally(picture.results)]
    return Group(*parts)


def certified(found: Iterable[NodeStatus]) -> int | None:
    """The highest block that one of these nodes has a certificate for; None where no node can have one."""
    return max((one.finality.certificate for one in found if one.finality is not None), default=None)


def _headline(picture: TopSnapshot) -> str:
    found = picture.results
    if found is None:
        return f"{picture.instance}: no node answers"
    rate = "" if picture.votes_per_second is None else f" (+{picture.votes_per_second:,.0f}/s)"
    tips = "one chain" if picture.agree else "tips differ"
    final = picture.final_height
    words = "never final" if final is None else f"final up to block {final}"
    words += "; CANCELLED" if found.cancelled else ""
    return (
        f"{found.title}: {ui.count_of(found.votes, 'vote')}{rate} in {ui.count_of(found.height, 'block')}, "
        f"{found.waiting:,} waiting; {tips}; {words}"
    )


def _hours(found: Results) -> str:
    """When voting closes or closed; the headline says what was cancelled, and a table may hide its counts."""
    shown = found.contests and not found.cancelled
    return closing_line(found.closes, found.closes, final=found.final) if shown else ""


class _Nodes:
    def __init__(self, picture: TopSnapshot) -> None:
        self._picture = picture

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table]:
        yield _nodes(self._picture, options.max_width)


def _nodes(picture: TopSnapshot, width: int) -> Table:
    rows = [_cells(node) for node in (*picture.nodes, *([picture.page] if picture.page else ()))]
    unknown = ABROAD if picture.network_id is None else SUPERVISED
    shown = [{name: cell for name, cell in row.items() if name not in unknown} for row in rows]
    return ui.fitting_table(shown, ("NAME", "STATE", "TIP"), DISPENSABLE, width)


def _cells(node: NodeLine) -> dict[str, Text]:
    from rich.text import Text

    from votenet.cli.network.network_status import clock_words
    from votenet.cli.network.view import STATE_COLOURS

    plain = {
        "TIP": (node.tip or "-")[:12],
        "HEIGHT": _number(node.height),
        "VOTES": _number(node.votes),
        "VOTES/S": _number(node.votes_per_second),
        "WAITING": _number(node.waiting),
        "PEERS": _number(node.peers),
        "TO PEERS": "-" if node.bytes_per_second is None else f"{node.bytes_per_second / 1000:,.0f} kB/s",
        "CPU": "-" if node.cpu is None else f"{node.cpu:.0f}%",
        "MEMORY": ui.size(node.memory),
        "RESTARTS": str(node.restarts),
        "VERSION": node.version or "-",
        "CLOCK": clock_words(node.clock_offset),
        "DISK": ui.size(node.disk_free),
    }
    word = "cut off" if node.cut_off and node.state in ("ready", "unready") else node.state
    state = Text(word, style=STATE_COLOURS.get(word, ""))
    return {"NAME": Text(node.name), "STATE": state, **{name: Text(text) for name, text in plain.items()}}


def _tally(results: Results) -> Table:
    """The first candidates of each contest; fewer of each where there are many contests."""
    made = ui.table("", [("CANDIDATE", "left"), ("VOTES", "right"), ("SHARE", "right"), ("", "left")])
    shown = max(2, SHOWN_CANDIDATES // len(results.contests))
    for contest in results.contests:
        if len(results.contests) > 1:
            made.add_row(f"{contest.title}:", "", "", "")
        for candidate, votes in contest.counts[:shown]:
            share = votes / max(1, contest.weight)
            made.add_row(candidate, f"{votes:,}", f"{share:.1%}", ui.bar(share))
        rest = contest.counts[shown:]
        if rest:
            votes = sum(count for _, count in rest)
            made.add_row(f"{len(rest)} more", f"{votes:,}", f"{votes / max(1, contest.weight):.1%}", "")
    return made


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
