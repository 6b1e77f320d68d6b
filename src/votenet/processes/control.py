"""The client's end of a supervisor's control socket, and the frame that both ends speak.

`votenet ps` and `votenet vote` start with this module: heavy imports stay inside the functions.

One connection carries one request. Request and answers are JSON objects, one a line, each with `"v": 1`.
Answers with `"event"` are progress; the last one has `"ok"`: true, or false with an `"error"` of code,
message, next_step and exit_code. Both ends ask the kernel for the user at the other end.
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
from pathlib import Path
from typing import Any, Final

from votenet.config import DEFAULT_INSTANCE, InstanceDirs, instance_names
from votenet.errors import (
    Command,
    ConfigError,
    Locked,
    NextStep,
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
            answer = parse_answer(line)
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
    message = str(fields.get("message", "refused"))
    step = NextStep.from_json(fields.get("next_step_parts")) or str(fields.get("next_step", ""))
    code, exit_code = str(fields.get("code", "error")), fields.get("exit_code", 1)
    for kind in _ERRORS:
        if kind.exit_code == exit_code:
            return kind(message, code=code, next_step=step)
    return VotenetError(message, code=code, next_step=step)


def peer_uid(link: socket.socket) -> int:
    """The user at the other end of a unix socket, as the kernel knows it."""
    return _peer(link)[1]


def _peer(link: socket.socket) -> tuple[int, int]:
    """Pid and uid of the other end; pid 0 if that process is not in our pid namespace."""
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
    with contextlib.suppress(VotenetError, OSError):
        return _pin_listener(dirs)
    with contextlib.suppress(OSError):
        return _pin_lock_holder(dirs)
    return None


def _pin_listener(dirs: InstanceDirs) -> int | None:
    """The process behind the control socket; its pid comes from the kernel, also from another pid namespace.

    The socket must still take a connection once we hold the pidfd: until then the pid cannot have passed to
    another process. Nothing need be answered: a supervisor that is too busy for that is waited for, too.
    """
    with _connect(dirs) as link:
        pid, _ = _peer(link)
    if pid == 0:
        return None
    pidfd = os.pidfd_open(pid)
    try:
        with _connect(dirs) as link:
            if _peer(link)[0] == pid:
                return pidfd
        raise ProcessLookupError(f"pid {pid} does not listen any more")
    except BaseException:
        os.close(pidfd)
        raise


def _pin_lock_holder(dirs: InstanceDirs) -> int:
    """The process that has the lock file open: a supervisor that does not listen yet or any more."""
    from votenet.storage.files import last_holder

    pid = last_holder(dirs.supervisor_lock)
    pidfd = os.pidfd_open(pid)
    try:
        if _has_open(pid, dirs.supervisor_lock):
            return pidfd
        raise ProcessLookupError(f"pid {pid} does not hold {dirs.supervisor_lock}")
    except BaseException:
        os.close(pidfd)
        raise


def _has_open(pid: int, path: Path) -> bool:
    wanted = path.stat()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            if os.path.samestat(descriptor.stat(), wanted):
                return True
    return False


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
    """No supervisor (also behind a stale socket), or one that does not listen yet or any more."""
    from votenet.storage.files import is_locked

    if error.errno not in (errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR):
        mine = "Set VOTENET_HOME, or HOME, to a folder of yours, or become the user of this network."
        return Unreachable(
            f"cannot reach the supervisor of {dirs.instance!r} at {dirs.control_socket}:"
            f" {error.strerror or error}",
            next_step=mine
            if error.errno in (errno.EACCES, errno.EPERM)
            else NextStep("See: {}", Command("doctor")),
        )
    if is_locked(dirs.supervisor_lock):
        return Unreachable(
            f"the supervisor of {dirs.instance!r} is just starting or stopping",
            code="supervisor-busy",
            next_step="Try again in a moment.",
        )
    if orphans := _orphan_names(dirs):
        return NotRunning(
            f"the supervisor of {dirs.instance!r} is gone, but these still run: {', '.join(orphans)}",
            next_step=NextStep("Go on with it: {}; or stop it: {}", up_again(dirs), Command("down")),
        )
    others = ", ".join(_running_beside(dirs))
    return NotRunning(
        f"no network is running (instance {dirs.instance!r})"
        + ("; the one of last time is stopped" if nodes_of_last_time(dirs) is not None else "")
        + (f"; others run: {others} (use -i NAME)" if others else ""),
        next_step=how_to_start(dirs),
    )


def how_to_start(dirs: InstanceDirs) -> NextStep:
    """What to type where no network runs: on the machine of a node that joined one, to look at that."""
    from votenet.storage.env_file import joined_nodes

    if nodes_of_last_time(dirs) is not None:
        return NextStep("Start it again with: {}", up_again(dirs))
    if dirs.instance == DEFAULT_INSTANCE and (names := joined_nodes()):
        return NextStep(
            "The network that {} joined is seen with: {}; nodes of this machine alone start with: {}",
            ", ".join(names),
            Command("status", "--network"),
            up_again(dirs),
        )
    return NextStep("Start one with: {}", up_again(dirs))


def _running_beside(dirs: InstanceDirs) -> list[str]:
    """Other instances of this user that have a supervisor now."""
    from votenet.storage.files import is_locked

    with contextlib.suppress(VotenetError, OSError):
        names = [name for name in instance_names() if name != dirs.instance]
        return [name for name in names if is_locked(dirs.state.with_name(name) / dirs.supervisor_lock.name)]
    return []


def up_again(dirs: InstanceDirs) -> Command:
    """The command that starts this instance with as many nodes as it had; a new one has five."""
    return Command("up", "--nodes", str(nodes_of_last_time(dirs) or 5), "--detach")


def nodes_of_last_time(dirs: InstanceDirs) -> int | None:
    """How many nodes the last network of this instance had; None if there was none."""
    from votenet.processes.instance import load_network

    try:
        return len(load_network(dirs).node_ports)
    except ConfigError:
        return None


def _orphan_names(dirs: InstanceDirs) -> list[str]:
    """Programs that outlived their supervisor."""
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
            raise _no_reply(dirs, _peer(link)[0]) from error
        except OSError as error:
            raise Unreachable(f"the supervisor of {dirs.instance!r} hung up: {error}") from error
        if not more:
            raise Unreachable(f"the supervisor of {dirs.instance!r} ended before it answered")
        data += more


def _no_reply(dirs: InstanceDirs, pid: int) -> WaitTimedOut:
    """The supervisor took the call and says nothing: it is paused, or hangs. `pid` as of `_peer`."""
    from votenet.processes.procfs import read_stat

    stat = read_stat(pid) if pid else None
    if stat is not None and stat.paused:
        return WaitTimedOut(
            f"the supervisor of {dirs.instance!r} (pid {pid}) is stopped (Ctrl-Z or SIGSTOP)",
            next_step=f"Let it go on: fg in its terminal, or kill -CONT {pid}. Meanwhile its"
            " programs run without a watch.",
        )
    return WaitTimedOut(
        f"the supervisor of {dirs.instance!r}" + (f" (pid {pid})" if pid else "") + " did not answer in time",
        next_step=NextStep(
            "See what it does with: {}. If it hangs, end it with kill -9, then go on with what runs: {};"
            " or stop it: {}",
            Command("logs", "supervisor"),
            up_again(dirs),
            Command("down"),
        ),
    )


def parse_answer(line: bytes) -> dict[str, Any]:
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
