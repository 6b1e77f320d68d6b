"""How a network looks to a person: the table of `ps`, what is wrong, what to do next."""

from __future__ import annotations

import secrets
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from votenet.cli import ui
from votenet.cli.network.finality_view import finality_lines, of_programs
from votenet.cli.options import placed
from votenet.config import instance_dirs
from votenet.errors import Command, NextStep, VotenetError
from votenet.processes.cut_off import way_back
from votenet.processes.logs import in_local_time, supervisor_line, tail
from votenet.text import visible

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

STATE_COLOURS: Final = {
    "ready": "green",
    "starting": "cyan",
    "stopping": "cyan",
    "unready": "yellow",
    "backoff": "yellow",
    "paused": "yellow",
    "cut off": "yellow",
    "failed": "red",
    "removed": "red",
    "stopped": "dim",
}
_CALM: Final = ("ready", "starting", "stopping", "stopped")
"""States that a table need not explain."""
_TITLES: Final = (
    "NAME", "STATE", "ADDRESS", "PID", "UP", "HEIGHT", "FINAL", "PEERS", "WAITING", "CPU", "MEMORY",
    "RESTARTS",
)  # fmt: skip
_SHORT_TITLES: Final = {"ADDRESS": "PORT", "PEERS": "PEER", "WAITING": "WAIT", "MEMORY": "MEM"}
EXAMPLE_SECONDS: Final = 1.0
"""A node that takes longer to say who may vote has no say in the example that `up` prints."""
CAUSE_WIDTH: Final = 24
"""Of the last column at least: enough for `killed by SIGKILL`; with less, causes go below the table."""


def stamped(text: str) -> None:
    """The same with the time of day, for what happens while a network runs."""
    ui.say(f"{clock()} {text}")


def logged(text: str) -> None:
    """Say `text` as a line of the supervisor's log."""
    ui.say(supervisor_line(text))


def clock() -> str:
    return time.strftime("%H:%M:%S %Z")


def show(
    status: Mapping[str, Any], as_json: bool, calm: Container[str] = _CALM, *, finality: bool = False
) -> None:
    """A status on stdout, as a table or as JSON; what is wrong on stderr.

    Args:
        calm: states that need no explanation.
        finality: say what is final; for a status of the whole network.
    """
    if as_json:
        ui.echo_json(status)
        return
    console = ui.console()
    console.print(status_table(status, console.width))
    if finality:
        for line in finality_lines(of_programs(status["programs"])):
            ui.echo(line)
    if status["phase"] != "stopping":
        for line in troubles(status, calm=calm):
            ui.say(line)


def status_table(status: Mapping[str, Any], width: int) -> RenderableType:
    """The programs of a network, one row each.

    On a narrow terminal ports stand for addresses, titles are short, and last causes go below.
    """
    from rich.console import Group
    from rich.text import Text

    programs = status["programs"]
    named = any(program.get("finality") for program in programs)
    titles = [title for title in _TITLES if named or title != "FINAL"]
    cells = [_cells(program) for program in programs]
    rows = [[row[title] for title in titles] for row in cells]
    if _width(titles, rows) + CAUSE_WIDTH <= width:
        return _table(
            (*titles, "LAST CAUSE"), [(*row, _cause(p)) for row, p in zip(rows, programs, strict=True)]
        )
    short = [
        [row[title].rpartition(":")[2] if title == "ADDRESS" else row[title] for title in titles]
        for row in cells
    ]
    causes = ((program["name"], _cause(program)) for program in programs)
    lines = (Text(f"{name}: {cause}") for name, cause in causes if cause != "-")
    return Group(_table([_SHORT_TITLES.get(title, title) for title in titles], short, gap=1), *lines)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], gap: int = 2) -> Table:
    from rich.text import Text

    table = ui.table("", (), padding=(0, gap, 0, 0))
    for index, title in enumerate(titles):
        words = index < 3 or title == "LAST CAUSE"
        table.add_column(
            title, justify="left" if words else "right", no_wrap=title != "LAST CAUSE", overflow="fold"
        )
    for name, state, *rest in rows:
        table.add_row(name, Text(state, style=STATE_COLOURS.get(state, "")), *rest)
    return table


def _width(titles: Sequence[str], rows: Sequence[Sequence[str]], gap: int = 2) -> int:
    """Characters that a table takes when nothing is folded."""
    return sum(max(map(len, column)) + gap for column in zip(titles, *rows, strict=True))


def _cells(program: Mapping[str, Any]) -> dict[str, str]:
    finality = program.get("finality")
    return {
        "NAME": program["name"],
        "STATE": state_word(program),
        "ADDRESS": program["address"],
        "PID": _cell(program["pid"]),
        "UP": ui.duration(program["uptime"]),
        "HEIGHT": _cell(program["height"]),
        "FINAL": _cell(finality and finality["height"]),
        "PEERS": _cell(program["peers"]),
        "WAITING": _cell(program["waiting"]),
        "CPU": "-" if program["cpu"] is None else f"{program['cpu']:.0f}%",
        "MEMORY": ui.size(program["memory"]),
        "RESTARTS": _cell(program["restarts"]),
    }


def state_word(program: Mapping[str, Any]) -> str:
    """The state as people read it: a node that is cut off from the others is not simply ready."""
    return (
        "cut off" if program.get("cut_off") and program["state"] in ("ready", "unready") else program["state"]
    )


def cut_off_lines(status: Mapping[str, Any]) -> Iterator[str]:
    for program in status["programs"]:
        if program.get("cut_off"):
            yield cut_off_line(program, status["instance"])


def cut_off_line(program: Mapping[str, Any], instance: str) -> str:
    """`node-3 is cut off: …`, with what to type next."""
    name, fault = program["name"], program["cut_off"]
    step = placed(way_back(name, fault["code"]), instance)
    return f"{name} is cut off: {fault['message']}. Next: {step}"


def page_line(page: Mapping[str, Any], instance: str) -> str:
    """The page in a sentence, with what brings it back where it is away."""
    if page["state"] == "ready":
        return f"Page: {page['url']}"
    step = placed(NextStep("{}, {}", Command("logs", "web"), Command("restart", "web")), instance)
    return f"Page: it is {page['state']}; votes are taken all the same. Next: {step}"


def troubles(status: Mapping[str, Any], calm: Container[str] = ("ready",)) -> Iterator[str]:
    """Who is cut off; then state, cause and last log lines of every program in none of the `calm` states."""
    yield from cut_off_lines(status)
    for program in status["programs"]:
        if program["state"] in calm:
            continue
        if program["state"] == "paused":  # a signal did it: its log says nothing about that
            name = program["name"]
            step = NextStep("{} is paused. Next: {}", name, Command("resume", name))
            yield placed(step, status["instance"])
            continue
        lives = program["state"] in ("unready", "starting")  # its cause is that of the one before
        cause = program["says"] if lives else program["cause"] or program["says"]
        yield f"{program['name']} is {program['state']}" + (f": {cause}" if cause else "")
        if program["problem"]:
            yield f"  {program['problem']}"
        lines = program["last_lines"] or (tail(Path(program["log"]), 5) if program["log"] else ())
        yield from (f"  | {in_local_time(line)}" for line in lines)
        if program["log"]:
            yield f"  whole log: {program['log']}"


def how_to_vote(status: Mapping[str, Any]) -> Iterator[str]:
    from votenet.cli.network.page import page_lines

    instance = status["instance"]
    yield f"Vote:    {_first_vote(status)}"
    yield from page_lines(status)
    yield placed(NextStep("Count:   {}", Command("results")), instance)
    yield placed(NextStep("Look:    {}, {}", Command("ps"), Command("logs", "-f")), instance)
    yield from _who_decides(status)
    yield f"Where:   {where(status)}"
    end = NextStep("Stop:    {}", Command("down")) if status["supervisor"]["detached"] else "Stop:    Ctrl-C"
    yield placed(end, instance)


def _who_decides(status: Mapping[str, Any]) -> Iterator[str]:
    from votenet.cli.network.named_programs import keys_held_here, who_decides
    from votenet.storage.genesis_file import read_genesis

    try:
        election = read_genesis(Path(status["genesis"]))
    except VotenetError as error:
        yield f"Final:   {error.message}"
        return
    dirs = instance_dirs(status["instance"])
    nodes = [f"node-{number}" for number in range(1, len(status["nodes"]) + 1)]
    yield f"Final:   {who_decides(dirs, election, nodes)}"
    if held := keys_held_here(dirs, election):
        yield f"Keys:    {held}"


def where(status: Mapping[str, Any]) -> str:
    from votenet.cli.network.page import reaches_others

    host, _, bootstrap = status["bootstrap"].rpartition(":")
    ports = [int(address.rpartition(":")[2]) for address in status["nodes"]]
    in_a_row = ports == list(range(ports[0], ports[0] + len(ports))) and len(ports) > 2
    nodes = f"{ports[0]} to {ports[-1]}" if in_a_row else ", ".join(map(str, ports))
    return f"this machine only: {host}, bootstrap server on port {bootstrap}, nodes on {nodes}. " + (
        "Of other machines only the page can be reached."
        if reaches_others(status)
        else "Other machines cannot reach it."
    )


def _first_vote(status: Mapping[str, Any]) -> str:
    """A vote that this network would take from this user; or in words why there is none."""
    from votenet.cli.election.in_force import amended_here
    from votenet.cli.votes.choices import example_vote
    from votenet.storage.genesis_file import read_genesis

    begun = any(program.get("height") or program.get("waiting") for program in status.get("programs", ()))
    try:
        election = read_genesis(Path(status["genesis"]))
        if begun:
            election = amended_here(status["instance"], election, answer_seconds=EXAMPLE_SECONDS)
        definition = election.definition
        is_open = definition.registration == "open"
        voter = _example_voter(begun) if is_open else _voter_on_roll(status["instance"])
    except VotenetError as error:
        return error.message
    now = time.time()
    if election.cancelled:
        return "not any more: the election is cancelled"
    if election.closes is not None and now >= election.closes:
        return f"closed since {ui.when(election.closes)}"
    if election.secret is not None:
        return _secret_vote(status["instance"], definition.opens, now)
    if voter is None:
        return (
            "only those on the roll can: with the code on a card (votenet vote --code), or where their keys"
            " are; none of the keys is in this user's key store"
        )
    line = placed(NextStep("{}", example_vote(election, voter)), status["instance"])
    if definition.opens is not None and now < definition.opens:
        return f"from {ui.when(definition.opens)} on: {line}"
    return f"if {visible(voter)} has not voted yet: {line}" if begun and not is_open else line


def _secret_vote(instance: str, opens: int | None, now: float) -> str:
    """A key alone cannot vote."""
    command = placed(NextStep("{}", Command("vote", "--code")), instance)
    line = f"those on the roll, with the code on a card: {command}"
    return f"from {ui.when(opens)} on: {line}" if opens is not None and now < opens else line


def _example_voter(begun: bool) -> str:
    """A voter of an open election who has not voted: most people try the example of the first day first."""
    return f"voter{100_000 + secrets.randbelow(900_000)}" if begun else "voter123"


def _voter_on_roll(instance: str) -> str | None:
    """A voter on the roll whose registered key this user has. Raises VotenetError."""
    from votenet.cli.election.in_force import voters_here
    from votenet.storage.key_store import KeyStore

    keys = voters_here(instance) or {}
    ours = ((stored.owner, stored.key.public_hex) for stored in KeyStore(instance_dirs(instance).keys).all())
    return next((owner for owner, key in ours if keys.get(owner) == key), None)


def _cell(value: object) -> str:
    return "-" if value is None else str(value)


def _cause(program: Mapping[str, Any]) -> str:
    parts = [program["cause"] or "", program["problem"] or "", program["alert"] or ""]
    if program.get("cut_off"):
        parts.append(program["cut_off"]["message"])
    if faults := program["links"]:
        parts += [f"slowed by {faults['delay'] * 1000:g} ms"] if faults["delay"] else []
    if program["next_try_in"] is not None:
        parts.append(f"next try in {ui.duration(program['next_try_in'])}")
    return "; ".join(filter(None, parts)) or "-"
