"""The invariants of docs/supervisor.md: one function for each, which raises `Broken` with its name."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil

from votenet.client.archive_file import lines_of, open_archive
from votenet.config import InstanceDirs
from votenet.core.ledger.vote import hash_vote
from votenet.core.records.archive import BlockLine
from votenet.errors import VotenetError
from votenet.processes import logs
from votenet.processes.identity import leftovers
from votenet.processes.ports import is_free, port_locks_dir
from votenet.processes.spec import ProgramSpec
from votenet.processes.teardown import remains
from votenet.storage.files import is_locked

ONE_INCARNATION: Final = "one live incarnation of each program"
ONE_CAUSE: Final = "each incarnation that ended has one recorded cause, and it is one that was made"
NO_OTHER_RESTART: Final = "nothing is restarted but what was killed or asked to restart"
RESTART_LIMIT: Final = "restarts stay within the limit of the policy"
RECOVERS: Final = "what was broken recovers in time"
ALL_AGREE: Final = "all nodes agree once nothing keeps them apart"
NO_VOTE_LOST: Final = "no acknowledged vote is lost, and none is counted twice"
NO_VOTE_REFUSED: Final = "no valid vote is refused for good"
STOPS_IN_TIME: Final = "everything stops in time, without being killed"
NOTHING_LEFT: Final = "no process, port, lock or socket is left"
SOMETHING_DONE: Final = "a run that injected nothing shows nothing"

MADE_CAUSES: Final = re.compile(
    r"killed by SIGKILL|exit 0, as asked"
    r"|ended; how is not known, because an earlier supervisor had started it(, as asked)?"
)
"""Causes that a run makes: kill -9, planned stops, and both for programs that were adopted."""
_ENDED: Final = re.compile(r"(\S+) supervisor: (\S+), incarnation (\d+), pid \d+: (?!adopted$)(.*)")


class Broken(VotenetError):
    """An invariant does not hold."""

    code = "invariant-broken"

    def __init__(self, invariant: str, found: str) -> None:
        super().__init__(
            f"broken: {invariant}: {found}",
            next_step="The same seed makes the same faults; the logs are in the folder named above.",
        )
        self.invariant = invariant


@dataclass(frozen=True, slots=True)
class End:
    """One recorded end of an incarnation; `at` in Unix seconds."""

    name: str
    incarnation: int
    at: float
    cause: str


def one_incarnation(dirs: InstanceDirs, programs: Iterable[Mapping[str, Any]]) -> None:
    """Every program is the one process that the supervisor names, and no other process of ours runs."""
    running = {(left.name, left.pid) for left in leftovers(dirs)}
    told = {(program["name"], program["pid"]) for program in programs if program["pid"] is not None}
    if running != told:
        raise Broken(ONE_INCARNATION, f"running {_pids(running - told)}, told {_pids(told - running)}")


def no_other_restart(
    before: Mapping[str, Mapping[str, Any]], now: Iterable[Mapping[str, Any]], restarted: Collection[str]
) -> None:
    """Programs that were there before are the same incarnation, those of `restarted` the next one."""
    for program in now:
        name = program["name"]
        if name in before and program["incarnation"] != before[name]["incarnation"] + (name in restarted):
            numbers = f"{before[name]['incarnation']} became {program['incarnation']}"
            raise Broken(NO_OTHER_RESTART, f"{name}: incarnation {numbers}; cause: {program['cause']}")


def recorded_ends(folder: Path) -> Iterator[End]:
    """Every end that the logs of the kept incarnations record."""
    for log in logs.list_logs(folder):
        for line in log.path.read_text(errors="replace").splitlines():
            if (match := _ENDED.fullmatch(line)) and match[2] == log.name:
                yield End(match[2], int(match[3]), logs.line_time(line) or 0.0, match[4])


def one_cause(folder: Path, programs: Iterable[Mapping[str, Any]]) -> list[End]:
    """Each log of a past incarnation ends with its cause, and no other log does; returns the ends."""
    ends = list(recorded_ends(folder))
    recorded = Counter((end.name, end.incarnation) for end in ends)
    alive = {(program["name"], program["incarnation"]) for program in programs if program["pid"] is not None}
    for log in logs.list_logs(folder):
        key = (log.name, log.incarnation)
        wanted = 0 if key in alive else 1
        if recorded[key] != wanted:
            state = "runs" if key in alive else "ended"
            raise Broken(
                ONE_CAUSE, f"{log.name}, incarnation {log.incarnation} {state}, {recorded[key]} causes"
            )
    for end in ends:
        if end.cause == "killed by SIGKILL, as asked":
            raise Broken(STOPS_IN_TIME, f"{end.name}, incarnation {end.incarnation}, had to be killed")
        if not MADE_CAUSES.fullmatch(end.cause):
            raise Broken(
                ONE_CAUSE, f"no step made this: {end.name}, incarnation {end.incarnation}: {end.cause}"
            )
    return ends


def restart_limit(ends: Iterable[End], limit: int, window: float) -> None:
    """No program failed `limit` times within `window` seconds: it would have been removed."""
    failures: dict[str, list[float]] = {}
    for end in ends:
        if not end.cause.endswith("as asked"):
            failures.setdefault(end.name, []).append(end.at)
    for name, times in failures.items():
        for first in times:
            count = sum(first <= at < first + window for at in times)
            if count >= limit:
                raise Broken(RESTART_LIMIT, f"{name} failed {count} times within {window:g} s")


def agreement(views: Mapping[str, tuple[int, str, int] | None], acknowledged: int) -> str:
    """'' when all nodes have the same tip and count every vote, else what is missing.

    Args:
        views: votes, tip and waiting votes of each node; None for one that did not answer.
        acknowledged: how many votes are on the chain once all are counted.
    """
    silent = [name for name, view in views.items() if view is None]
    if silent:
        return f"no answer from {', '.join(silent)}"
    known = [view for view in views.values() if view is not None]
    if len({tip for _, tip, _ in known}) > 1:
        return f"{len({tip for _, tip, _ in known})} different tips"
    if any(waiting for _, _, waiting in known):
        return "votes wait"
    counts = {votes for votes, _, _ in known}
    return "" if counts == {acknowledged} else f"{min(counts)} votes counted of {acknowledged} acknowledged"


def no_vote_lost(archive: Path, acknowledged: Mapping[str, str]) -> int:
    """The number of votes in the archive. Every acknowledged vote is there under its id, no voter twice."""
    counted: dict[str, str] = {}
    with contextlib.closing(open_archive(archive)) as opened, opened.stream() as file:
        for number, line in enumerate(lines_of(file)):
            if number < 2 or b'"header"' not in line:
                continue
            for vote in msgspec.json.decode(line, type=BlockLine).votes:
                if vote.voter_id in counted:
                    raise Broken(NO_VOTE_LOST, f"{vote.voter_id} is counted twice")
                counted[vote.voter_id] = hash_vote(vote).id.hex()
    lost = [voter for voter, vote_id in acknowledged.items() if counted.get(voter) != vote_id]
    if lost:
        raise Broken(NO_VOTE_LOST, f"{len(lost)} are missing, such as {lost[0]}")
    return len(counted)


def nothing_left(dirs: InstanceDirs, specs: Sequence[ProgramSpec]) -> None:
    """After everything was stopped: no process, port, lock or socket is left.

    A port that another process has by now is that of another network: all our processes are listed.
    """
    here = psutil.Process()
    opened = {file.path for file in here.open_files()}
    listening = {one.laddr.port for one in here.net_connections("tcp") if one.status == psutil.CONN_LISTEN}
    left = [f"{one.name} (pid {one.pid})" for one in leftovers(dirs)]
    for spec in specs:
        host, port = spec.address
        if port in listening or is_free(host, port):
            left += filter(None, [remains(spec)])
        lock = port_locks_dir() / f"{port}.lock"
        left += [f"lock {lock}"] if str(lock) in opened else []
    left += [f"lock {dirs.supervisor_lock}"] if is_locked(dirs.supervisor_lock) else []
    left += [f"socket {path}" for path in (dirs.control_socket, dirs.notify_socket) if path.exists()]
    if left:
        raise Broken(NOTHING_LEFT, "; ".join(left))


def _pids(programs: Collection[tuple[str, int]]) -> str:
    return ", ".join(f"{name}: pid {pid}" for name, pid in sorted(programs)) or "nothing else"
