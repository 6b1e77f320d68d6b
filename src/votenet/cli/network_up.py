"""The work behind `votenet up`: claim, prepare, start in the foreground or detached, wait for ready.

What lives here: the order of these steps and what is said about them; changing a network that runs.
What must not: options (`network.py`), decisions (`network_prepare.py`), being the supervisor
(`network_run.py`), tables (`network_view.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from votenet import __version__
from votenet.cli.hints import for_instance
from votenet.cli.network_prepare import as_last_time, change, lies_idle, prepare
from votenet.cli.network_view import how_to_vote, say, show, troubles
from votenet.cli.render import reported
from votenet.config import InstanceDirs
from votenet.errors import Locked, NotRunning, SomeFailed, Unreachable, VotenetError, WaitTimedOut
from votenet.processes import instance
from votenet.processes.control import ask, converse
from votenet.processes.detach import UNSEEN, start_supervisor, watch_start
from votenet.processes.files import FileLock
from votenet.processes.signals import reset_inherited

PLAN_SECONDS: Final = 6 * 3600.0
"""For a whole plan; the supervisor bounds each of its steps."""


def up(
    dirs: InstanceDirs,
    *,
    detach: bool,
    timeout: float,
    as_json: bool,
    options: Mapping[str, Any],
    given: Collection[str],
) -> None:
    """Start a network, or make the one that runs as asked, and show it.

    Args:
        given: the options that somebody wrote, other than those left at their defaults.

    Raises:
        VotenetError: with the exit code that the help of `votenet up` lists.
    """
    reset_inherited()
    status = _status_or_lock(dirs, timeout)
    if isinstance(status, FileLock):
        merged, kept = as_last_time(dirs, options, given)
        if kept:
            say(f"as last time: {', '.join(kept)}")
        return _start(dirs, status, detach, timeout, as_json, merged)
    if status["phase"] == "stopping":
        raise Locked(
            f"{dirs.instance!r} is just stopping",
            next_step="Start again once it has ended; wait for that with: votenet down",
        )
    say(f"{dirs.instance!r} is already running with {len(status['nodes'])} nodes.")
    if status["version"] != __version__:
        say(f"Its supervisor is votenet {status['version']}, this is {__version__}.")
    if request := change(dirs, status, options, given):
        own = _settings_changed(status["settings"], request.get("settings", {}))
        follow(dirs, {"command": "change", **request}, tuple(own))
        status = ask(dirs, {"command": "status"})
    if idle := lies_idle(status["programs"]):
        say(f"starting again what was out: {', '.join(idle)}")
        ask(dirs, {"command": "start", "names": idle, "wait": 0})
    if detach or request:
        status = _wait_ready(dirs, timeout, lambda: None if _status_or_none(dirs) else UNSEEN)
    show(status, as_json)
    if detach:
        _all_ready(status)


def _settings_changed(before: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    """Settings of the supervisor itself, which need no program to be started again."""
    if (patience := asked.get("hang_seconds")) not in (None, before["hang_seconds"]):
        yield f"hang timeout from {before['hang_seconds']:g} to {patience:g} s"
    policy = asked.get("policy", before["policy"])
    for name in ("limit", "window", "max_delay", "retry_removed"):
        value = policy.get(name)
        if value != before["policy"][name]:
            yield f"restart {name} from {before['policy'][name]} to {value}"


def follow(dirs: InstanceDirs, request: Mapping[str, Any], also: Sequence[str] = ()) -> dict[str, Any]:
    """Carry out a plan on the running network and say what happens; its final answer.

    Args:
        also: what changes by it beside programs, in words.

    Raises:
        VotenetError: what stopped it; code not-clean when something was left behind.
    """
    try:
        for answer in converse(dirs, request, timeout=PLAN_SECONDS):
            if answer.get("event") == "state":
                say(f"{answer['name']}: {answer['state']}")
    except KeyboardInterrupt:
        say(for_instance("It goes on in the background. Look with: votenet ps", dirs.instance))
        raise
    if answer["problems"]:
        raise VotenetError(
            "; ".join(answer["problems"]), code="not-clean", next_step="End what is named. See: votenet ps"
        )
    if "changed" in answer:
        changed = [*answer["changed"], *also]
        say(f"changed: {', '.join(changed)}" if changed else "nothing to change")
    return answer


def _start(
    dirs: InstanceDirs,
    lock: FileLock,
    detach: bool,
    timeout: float,
    as_json: bool,
    options: Mapping[str, Any],
) -> None:
    try:
        network, held = prepare(dirs, lock, options, adopt=detach)
    except BaseException:
        lock.release()
        raise
    if not detach:
        from votenet.cli.network_run import foreground

        return foreground(dirs, network, held, timeout=timeout, as_json=as_json)
    try:
        process = start_supervisor(dirs, held)
    finally:
        held.hand_over()
    status = _wait_ready(dirs, timeout, process.poll)
    show(status, as_json)
    _all_ready(status)
    for line in how_to_vote(status):
        say(line)


def _status_or_lock(dirs: InstanceDirs, timeout: float) -> dict[str, Any] | FileLock:
    """The status of the network that runs, or the lock that lets us start it.

    Somebody may hold the lock and not answer: another `up` at work, a supervisor about to die.

    Raises:
        Locked: that does not change in time.
    """
    deadline = time.monotonic() + min(timeout, 15.0)
    while True:
        if (status := _status_or_none(dirs)) is not None:
            return status
        try:
            return instance.claim(dirs)
        except Locked:
            if time.monotonic() > deadline:
                raise Locked(
                    f"another `votenet up` of {dirs.instance!r} is at work and does not answer",
                    next_step=f"Wait for it to end, or look what holds the lock: {dirs.supervisor_lock}",
                ) from None
        time.sleep(0.1)


def _status_or_none(dirs: InstanceDirs) -> dict[str, Any] | None:
    try:
        return ask(dirs, {"command": "status"})
    except NotRunning:
        return None
    except Unreachable as error:
        if error.code == "supervisor-busy":
            return None
        raise


def _wait_ready(dirs: InstanceDirs, timeout: float, alive: Callable[[], int | None]) -> dict[str, Any]:
    """Show each change until all is settled. Raises what `watch_start` raises, after saying why."""
    shown: dict[str, str] = {}
    status: dict[str, Any] = {}
    try:
        for status in watch_start(dirs, timeout, alive):
            for program in status["programs"]:
                if shown.get(program["name"], "stopped") != program["state"]:
                    shown[program["name"]] = program["state"]
                    say(f"{program['name']}: {program['state']}")
    except WaitTimedOut:
        for line in troubles(status) if status else ():
            say(line)
        raise
    except KeyboardInterrupt:
        text = "The network goes on in the background. Stop it with: votenet down"
        say(for_instance(text, dirs.instance))
        raise
    return status


def _all_ready(status: Mapping[str, Any]) -> None:
    """Raises SomeFailed."""
    if any(program["state"] != "ready" for program in status["programs"]):
        raise reported(
            SomeFailed("not every program came up", next_step="Look with: votenet ps, votenet logs")
        )
