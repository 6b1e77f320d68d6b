"""How a network looks to a person: the table of `ps`, what is wrong, what to do next.

What lives here: text and tables out of status dicts. What must not: sockets, processes, options.
rich is imported only where a table is drawn: `votenet ps --json` does without.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from votenet.cli import output
from votenet.cli.hints import for_instance
from votenet.cli.output import echo, echo_json
from votenet.errors import VotenetError
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
    "NAME", "STATE", "ADDRESS", "PID", "UP", "HEIGHT", "PEERS", "WAITING", "CPU", "MEMORY", "RESTARTS",
)  # fmt: skip
_SHORT_TITLES: Final = (
    "NAME", "STATE", "PORT", "PID", "UP", "HEIGHT", "PEERS", "WAIT", "CPU", "MEM", "RESTARTS",
)  # fmt: skip
CAUSE_WIDTH: Final = 24
"""Of the last column at least: enough for `killed by SIGKILL`; with less, causes go below the table."""
_PREFIX_COLOURS: Final = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")


def wants_colour(stream: TextIO) -> bool:
    """Only for a terminal that can and a person who did not say no."""
    return output.wants_colour(stream)


def say(text: str) -> None:
    """Talk goes to stderr; stdout is for data. That the terminal is gone stops nobody."""
    echo(text, err=True)


def stamped(text: str) -> None:
    """The same with the time of day, for what happens while a network runs."""
    say(f"{clock()} {text}")


def logged(text: str) -> None:
    """The same as a line of a log."""
    from votenet.processes.logs import supervisor_line

    say(supervisor_line(text))


def clock() -> str:
    """The time of day here, with its zone."""
    return time.strftime("%H:%M:%S %Z")


def show(status: Mapping[str, Any], as_json: bool, calm: Container[str] = _CALM) -> None:
    """A status on stdout, as a table or as JSON; what is wrong on stderr."""
    if as_json:
        echo_json(status)
        return
    print_table(status)
    if status["phase"] != "stopping":
        for line in troubles(status, calm=calm):
            say(line)


def print_table(status: Mapping[str, Any]) -> None:
    """The programs of a network as a table on stdout."""
    console = output.console(width=200)
    console.print(status_table(status, console.width))


def status_table(status: Mapping[str, Any], width: int) -> RenderableType:
    """The programs of a network, one row each.

    On a narrow terminal ports stand for addresses, titles are short, and last causes go below.
    """
    from rich.console import Group
    from rich.text import Text

    programs = status["programs"]
    rows = [_row(program) for program in programs]
    if _width(_TITLES, rows) + CAUSE_WIDTH <= width:
        return _table(
            (*_TITLES, "LAST CAUSE"), [(*row, _cause(p)) for row, p in zip(rows, programs, strict=True)]
        )
    short = [(name, state, address.rpartition(":")[2], *rest) for name, state, address, *rest in rows]
    causes = ((program["name"], _cause(program)) for program in programs)
    lines = (Text(f"{name}: {cause}") for name, cause in causes if cause != "-")
    return Group(_table(_SHORT_TITLES, short, gap=1), *lines)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], gap: int = 2) -> Table:
    from rich.text import Text

    table = output.table("", (), padding=(0, gap, 0, 0))
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


def _row(program: Mapping[str, Any]) -> tuple[str, ...]:
    """What `_TITLES` names."""
    return (
        program["name"],
        state_word(program),
        program["address"],
        _cell(program["pid"]),
        duration(program["uptime"]),
        *(_cell(program[key]) for key in ("height", "peers", "waiting")),
        "-" if program["cpu"] is None else f"{program['cpu']:.0f}%",
        size(program["memory"]),
        _cell(program["restarts"]),
    )


def state_word(program: Mapping[str, Any]) -> str:
    """The state as people read it: a node that is cut off from the others is not simply ready."""
    return (
        "cut off" if program.get("cut_off") and program["state"] in ("ready", "unready") else program["state"]
    )


def cut_off_lines(status: Mapping[str, Any]) -> Iterator[str]:
    """One sentence about every node that is cut off, with what to type next."""
    for program in status["programs"]:
        if fault := program.get("cut_off"):
            step = for_instance(fault["next_step"], status["instance"])
            yield f"{program['name']} is cut off: {fault['message']}. Next: {step}"


def troubles(status: Mapping[str, Any], calm: Container[str] = ("ready",)) -> Iterator[str]:
    """Who is cut off; then state, cause and last log lines of every program in none of the `calm` states."""
    from votenet.processes.logs import in_local_time

    yield from cut_off_lines(status)
    for program in status["programs"]:
        if program["state"] in calm:
            continue
        if program["state"] == "paused":  # a signal did it: its log says nothing about that
            step = for_instance(f"votenet resume {program['name']}", status["instance"])
            yield f"{program['name']} is paused. Next: {step}"
            continue
        lives = program["state"] in ("unready", "starting")  # its cause is that of the one before
        cause = program["says"] if lives else program["cause"] or program["says"]
        yield f"{program['name']} is {program['state']}" + (f": {cause}" if cause else "")
        if program["problem"]:
            yield f"  {program['problem']}"
        lines = program["last_lines"] or last_lines(program["log"])
        yield from (f"  | {in_local_time(line)}" for line in lines)
        if program["log"]:
            yield f"  whole log: {program['log']}"


def last_lines(log: str | None, count: int = 5) -> list[str]:
    """The end of a log file."""
    if log is None:
        return []
    from votenet.processes.logs import tail

    return tail(Path(log), count)


def how_to_vote(status: Mapping[str, Any]) -> Iterator[str]:
    """What a person may want to do with a network that is ready."""
    flag = "" if status["instance"] == "default" else f" -i {status['instance']}"
    yield f"Vote:    {_first_vote(status)}"
    yield f"Count:   votenet results{flag}"
    yield f"Look:    votenet ps{flag}, votenet logs{flag} -f"
    yield f"Where:   {where(status)}"
    yield f"Stop:    votenet down{flag}" if status["supervisor"]["detached"] else "Stop:    Ctrl-C"


def where(status: Mapping[str, Any]) -> str:
    """What listens where, and who can reach it."""
    host, _, bootstrap = status["bootstrap"].rpartition(":")
    ports = [int(address.rpartition(":")[2]) for address in status["nodes"]]
    in_a_row = ports == list(range(ports[0], ports[0] + len(ports))) and len(ports) > 2
    nodes = f"{ports[0]} to {ports[-1]}" if in_a_row else ", ".join(map(str, ports))
    return (
        f"this machine only: {host}, bootstrap server on port {bootstrap}, nodes on {nodes}. "
        "Other machines cannot reach it."
    )


def _first_vote(status: Mapping[str, Any]) -> str:
    """A vote that this network would take from this user; or in words why there is none."""
    from votenet.cli.actions import read_genesis
    from votenet.cli.hints import command_line
    from votenet.cli.render import when

    begun = any(program.get("height") or program.get("waiting") for program in status.get("programs", ()))
    try:
        definition = read_genesis(Path(status["genesis"])).definition
        is_open = definition.registration == "open"
        voter = _somebody(begun) if is_open else _voter_on_roll(status)
    except VotenetError as error:
        return error.message
    now = time.time()
    if definition.closes is not None and now >= definition.closes:
        return f"closed since {when(definition.closes)}"
    if voter is None:
        return (
            "only those on the roll can, where their keys are; none of the keys is in this user's key store"
        )
    plain = (name for name in definition.candidates if not name.startswith("-") and visible(name) == name)
    choice = next(plain, definition.candidates[0])
    line = command_line("vote", voter, choice, instance=status["instance"])
    if definition.opens is not None and now < definition.opens:
        return f"from {when(definition.opens)} on: {line}"
    return f"if {visible(voter)} has not voted yet: {line}" if begun and not is_open else line


def _somebody(begun: bool) -> str:
    """A voter of an open election who has not voted: most people try the example of the first day first."""
    return f"voter{100_000 + secrets.randbelow(900_000)}" if begun else "voter123"


def _voter_on_roll(status: Mapping[str, Any]) -> str | None:
    """Somebody on the roll whose registered key this user has. Raises VotenetError."""
    from votenet.cli.roll import read_roll
    from votenet.config import instance_dirs
    from votenet.storage.key_store import KeyStore

    dirs = instance_dirs(status["instance"])
    keys = read_roll(dirs.genesis.with_name("roll.json")).keys
    ours = ((stored.owner, stored.key.public_hex) for stored in KeyStore(dirs.keys).all())
    return next((owner for owner, key in ours if keys.get(owner) == key), None)


def duration(seconds: float | None) -> str:
    """`4s`, `3m10s`, `2h05m`, `3d4h`."""
    if seconds is None:
        return "-"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600}h"


def size(count: int | None) -> str:
    """Bytes as people read them: `38M`, `1.2G`."""
    if count is None:
        return "-"
    return f"{count / 2**20:.0f}M" if count < 2**30 else f"{count / 2**30:.1f}G"


def log_prefix(name: str, names: Iterable[str], colour: bool) -> str:
    """`node-1 | `, padded to the longest name, each program in its own colour."""
    ordered = list(names)
    text = visible(f"{name:<{max(map(len, ordered), default=0)}} | ")
    if not colour:
        return text
    return f"\x1b[{_PREFIX_COLOURS[ordered.index(name) % len(_PREFIX_COLOURS)]}m{text}\x1b[0m"


def log_fields(name: str, line: str, read_at: float | None) -> dict[str, Any]:
    """One log line for a program.

    `time` is our own clock's when the line was read as it came, null for one that was there before;
    `own_time` is what the line says of itself, which is as true as whoever wrote it. Both in Unix seconds.
    """
    from votenet.processes.logs import line_time

    return {"program": name, "time": read_at, "own_time": line_time(line), "line": line}


def _cell(value: object) -> str:
    return "-" if value is None else str(value)


def _cause(program: Mapping[str, Any]) -> str:
    parts = [program["cause"] or "", program["problem"] or "", program["alert"] or ""]
    if program.get("cut_off"):
        parts.append(program["cut_off"]["message"])
    if faults := program["links"]:
        parts += [f"slowed by {faults['delay'] * 1000:g} ms"] if faults["delay"] else []
    if program["next_try_in"] is not None:
        parts.append(f"next try in {duration(program['next_try_in'])}")
    return "; ".join(filter(None, parts)) or "-"
