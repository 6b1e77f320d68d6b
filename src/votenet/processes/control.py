"""Talking to a running supervisor: the client's end of its unix socket, and what both ends speak.

What lives here: `ask`, `converse`, the frame of requests and answers. What must not: asyncio, or any
other heavy import: `votenet ps` and `votenet vote` start with this module.

One connection carries one request. Request and answers are JSON objects, one a line, each with
`"v": 1`. Answers with `"event"` are progress; the last one has `"ok"`: true, or false with an
`"error"` of code, message, next_step and exit_code. The socket has mode 0600 in a folder of mode
0700, and both ends ask the kernel who the other is.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from votenet.config import DEFAULT_INSTANCE, InstanceDirs, instance_names
from votenet.errors import (
    ConfigError,
    Locked,
    NoSuchNode,
    NotRunning,
    SomeFailed,
    Unreachable,
    VotenetError,
    WaitTimedOut,
)

VERSION: Final = 1
MAX_REQUEST: Final = 64 * 1024
"""A command and some node names."""
MAX_ANSWER: Final = 4 * 1024 * 1024
"""A status of 64 nodes with 20 log lines each stays far below."""
IDLE_SECONDS: Final = 0.2
"""Between two looks whether a follower of events is still read."""
_CREDENTIALS: Final = struct.Struct("3i")
_ERRORS: Final[tuple[type[VotenetError], ...]] = (
    ConfigError,
    Locked,
    NoSuchNode,
    NotRunning,
    SomeFailed,
    WaitTimedOut,
)


def ask(dirs: InstanceDirs, request: Mapping[str, Any], *, timeout: float = 5.0) -> dict[str, Any]:
    """Send one request and return its final answer.

    Args:
        request: e.g. `{"command": "status"}`.
        timeout: seconds for the whole exchange.

    Raises:
        NotRunning: no supervisor listens.
        WaitTimedOut: it did not answer in time.
        VotenetError: it refused, with its code, message and exit code.
    """
    *_, answer = converse(dirs, request, timeout=timeout)
    return answer


def converse(
    dirs: InstanceDirs,
    request: Mapping[str, Any],
    *,
    timeout: float = 5.0,
    idle: Callable[[], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """Send one request and yield every answer, the final one included. Raises as `ask` does.

    Args:
        idle: called now and then while there is no answer; ends the wait by raising.
    """
    deadline = time.monotonic() + timeout
    with _connect(dirs) as link:
        link.settimeout(timeout)
        try:
            link.sendall(json.dumps({"v": VERSION, **request}).encode() + b"\n")
        except OSError as error:
            raise Unreachable(f"the supervisor of {dirs.instance!r} hung up: {error}") from error
        for line in _lines(link, dirs, deadline, idle):
            answer = _decode(line)
            if "ok" not in answer:
                yield answer
                continue
            if not answer["ok"]:
                raise error_from(answer.get("error", {}))
            yield answer
            return


def error_from(fields: Any) -> VotenetError:
    """The error that the supervisor reported (`error` of its answer), as the class whose exit code it has."""
    if not isinstance(fields, dict):
        return Unreachable("the supervisor's answer has an unreadable error", code="bad-message")
    message, step = str(fields.get("message", "refused")), str(fields.get("next_step", ""))
    code, exit_code = str(fields.get("code", "error")), fields.get("exit_code", 1)
    for kind in _ERRORS:
        if kind.exit_code == exit_code:
            return kind(message, code=code, next_step=step)
    return VotenetError(message, code=code, next_step=step)


def peer_uid(link: socket.socket) -> int:
    """The user at the other end of a unix socket, as the kernel knows it."""
    return _peer(link)[1]


def peer_pid(link: socket.socket) -> int:
    """The process that listens at the other end, as numbered in our pid namespace; 0 if it is not in it."""
    return _peer(link)[0]


def _peer(link: socket.socket) -> tuple[int, int]:
    pid, uid, _ = _CREDENTIALS.unpack(
        link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return pid, uid


@contextlib.contextmanager
def supervisor_process(dirs: InstanceDirs) -> Iterator[int | None]:
    """A pidfd of the running supervisor; None if there is none, or it cannot be seen from here."""
    pidfd = _pin_supervisor(dirs)
    try:
        yield pidfd
    finally:
        if pidfd is not None:
            os.close(pidfd)


def _pin_supervisor(dirs: InstanceDirs) -> int | None:
    """Its pid comes from the kernel: what it tells itself is its number in its own pid namespace.

    It must answer once we hold the pidfd: until then its pid cannot have passed to another process.
    """
    try:
        with _connect(dirs) as link:
            pid = peer_pid(link)
            if pid == 0:
                return None
            pidfd = os.pidfd_open(pid)
            try:
                link.sendall(json.dumps({"v": VERSION, "command": "ping"}).encode() + b"\n")
                next(_lines(link, dirs, time.monotonic() + 5.0, None))
            except BaseException:
                os.close(pidfd)
                raise
            return pidfd
    except (VotenetError, OSError):
        return None


def _connect(dirs: InstanceDirs) -> socket.socket:
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        link.settimeout(2.0)
        link.connect(os.fspath(dirs.control_socket))
        if peer_uid(link) not in (os.geteuid(), 0):
            raise Unreachable(f"{dirs.control_socket} belongs to another user", code="foreign-socket")
    except OSError as error:
        link.close()
        raise _no_answer(dirs, error) from error
    except VotenetError:
        link.close()
        raise
    return link


def _no_answer(dirs: InstanceDirs, error: OSError) -> VotenetError:
    """Nobody there (also behind a stale socket), or somebody who does not listen yet or any more."""
    from votenet.processes.files import is_locked

    if error.errno not in (errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR):
        mine = "Set VOTENET_HOME, or HOME, to a folder of yours, or become the user of this network."
        return Unreachable(
            f"cannot reach the supervisor of {dirs.instance!r} at {dirs.control_socket}:"
            f" {error.strerror or error}",
            next_step=mine if error.errno in (errno.EACCES, errno.EPERM) else "See: votenet doctor",
        )
    if is_locked(dirs.supervisor_lock):
        return Unreachable(
            f"the supervisor of {dirs.instance!r} is just starting or stopping",
            code="supervisor-busy",
            next_step="Try again in a moment.",
        )
    name = "" if dirs.instance == "default" else f" -i {dirs.instance}"
    if orphans := _orphans(dirs):
        return NotRunning(
            f"the supervisor of {dirs.instance!r} is gone, but these still run: {', '.join(orphans)}",
            next_step=f"Go on with it: {up_again(dirs)}; or stop it: votenet down{name}",
        )
    known = nodes_of_last_time(dirs) is not None
    others = ", ".join(_running_beside(dirs))
    return NotRunning(
        f"no network is running (instance {dirs.instance!r})"
        + ("; the one of last time is stopped" if known else "")
        + (f"; others run: {others} (use -i NAME)" if others else ""),
        next_step=f"Start {'it again' if known else 'one'} with: {up_again(dirs)}",
    )


def _running_beside(dirs: InstanceDirs) -> list[str]:
    """Other instances of this user that have a supervisor now."""
    from votenet.processes.files import is_locked

    with contextlib.suppress(VotenetError, OSError):
        names = [name for name in instance_names() if name != dirs.instance]
        return [name for name in names if is_locked(dirs.state.with_name(name) / dirs.supervisor_lock.name)]
    return []


def up_again(dirs: InstanceDirs) -> str:
    """The command that starts this instance with as many nodes as it had; a new one has five."""
    name = "" if dirs.instance == DEFAULT_INSTANCE else f" -i {dirs.instance}"
    return f"votenet up{name} --nodes {nodes_of_last_time(dirs) or 5} --detach"


def nodes_of_last_time(dirs: InstanceDirs) -> int | None:
    """How many nodes the network of this instance had when it last ran; None if there was none."""
    from votenet.processes.instance import load_network

    try:
        return len(load_network(dirs).node_ports)
    except ConfigError:
        return None


def _orphans(dirs: InstanceDirs) -> list[str]:
    """Programs that outlived their supervisor. Asked only where nobody answers."""
    if not dirs.state.exists():
        return []
    from votenet.processes.identity import leftovers

    return sorted({left.name for left in leftovers(dirs)})


def _lines(
    link: socket.socket, dirs: InstanceDirs, deadline: float, idle: Callable[[], None] | None
) -> Iterator[bytes]:
    data = b""
    while True:
        line, newline, rest = data.partition(b"\n")
        if newline:
            data = rest
            yield line
            continue
        if len(data) > MAX_ANSWER:
            raise Unreachable("the supervisor's answer is too long", code="line-too-long")
        left = max(deadline - time.monotonic(), 0.001)
        link.settimeout(left if idle is None else min(left, IDLE_SECONDS))
        try:
            more = link.recv(65536)
        except TimeoutError as error:
            if idle is not None and time.monotonic() < deadline:
                idle()
                continue
            raise _mute(dirs, peer_pid(link)) from error
        except OSError as error:
            raise Unreachable(f"the supervisor of {dirs.instance!r} hung up: {error}") from error
        if not more:
            raise Unreachable(f"the supervisor of {dirs.instance!r} ended before it answered")
        data += more


def _mute(dirs: InstanceDirs, pid: int) -> WaitTimedOut:
    """It took the call and says nothing: it is paused, or hangs.

    Args:
        pid: of its process, from the kernel: people may signal it. 0 if it has no number here.
    """
    from votenet.processes.procfs import read_stat

    stat = read_stat(pid) if pid else None
    if stat is not None and stat.paused:
        return WaitTimedOut(
            f"the supervisor of {dirs.instance!r} (pid {pid}) is stopped (Ctrl-Z or SIGSTOP)",
            next_step=f"Let it go on: fg in its terminal, or kill -CONT {pid}. Meanwhile nobody"
            " looks after its programs.",
        )
    return WaitTimedOut(
        f"the supervisor of {dirs.instance!r}" + (f" (pid {pid})" if pid else "") + " did not answer in time",
        next_step="See what it does with: votenet logs supervisor. If it hangs, end it with kill -9, then go"
        f" on with what runs: {up_again(dirs)}; or stop it: votenet down",
    )


def _decode(line: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise Unreachable("the supervisor's answer is not a JSON object", code="bad-json")
    if answer.get("v") != VERSION:
        raise Unreachable(
            f"the running supervisor speaks version {answer.get('v')!r}, this program version {VERSION}",
            code="version-mismatch",
            next_step="Stop the network with the version of votenet that started it, then start it anew.",
        )
    return answer
