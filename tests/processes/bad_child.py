"""A program that misbehaves on demand: stands in for `votenet node`, `votenet bootstrap` and `votenet web`.

It takes the same arguments. What it does comes from the JSON file named by BAD_CHILD:
`{"node-1": {...}, "*": {...}}`, read at every start, so that a test may change it in between.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from votenet.network.notify import notify
from votenet.processes import parent_death

_stop = False


def main() -> int:
    parent_death.arm()
    args = dict(zip(sys.argv[2::2], sys.argv[3::2], strict=False))
    name = args["--name"]
    data_dir = Path(args.get("--data-dir", name))  # a page has none, and works in the folder of the instance
    plan = _plan(name)
    data_dir.mkdir(parents=True, exist_ok=True)
    starts = _count(data_dir / "starts")
    print(f"{name} start {starts} pid {os.getpid()}", flush=True)
    if plan.get("ignore_term"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, _on_term)
    exits = plan.get("exits", [])
    if starts <= len(exits) and exits[starts - 1] is not None:
        print(f"{name} exits {exits[starts - 1]}", flush=True)
        return int(exits[starts - 1])
    if plan.get("exit_always") is not None:
        time.sleep(plan.get("live", 0))
        return int(plan["exit_always"])
    time.sleep(plan.get("slow", 0))
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((args["--host"], int(args["--port"])))
    listener.listen()
    if plan.get("grandchild"):
        _leave_grandchild(listener, data_dir)
    if plan.get("orphan"):  # one that outlives its parent at once, in a session of its own
        subprocess.run(["sh", "-c", f"setsid sleep {plan['orphan']} &"], check=True)
    if plan.get("daemon"):
        _leave_daemon(listener, data_dir)
    if plan.get("flood"):
        print("\n".join(f"flood {number} " + "x" * 100 for number in range(int(plan["flood"]))), flush=True)
    return _live(name, plan, data_dir)


def _live(name: str, plan: dict[str, Any], data_dir: Path) -> int:
    told = {"READY": 1, "STATUS": "fine", "X_HEIGHT": 7, "X_PEERS": 2, "X_TIP": "ab" * 32, "X_WAITING": 0}
    while plan.get("ready", True) and not _stop and not notify(**told):
        time.sleep(0.01)  # of ten datagrams that wait already: one that hangs or is mute says it only once
    if plan.get("stop_self"):
        os.kill(os.getpid(), signal.SIGSTOP)
    if "say" in plan:
        print(plan["say"], flush=True)
    beaten, began = 0.0, time.monotonic()
    while not _stop:
        due = plan.get("ready", True) and not plan.get("mute") and time.monotonic() - beaten > 0.1
        if due and notify(WATCHDOG=1, X_HEIGHT=plan.get("height", 7), **_links(data_dir)):
            beaten = time.monotonic()
        if plan.get("hang") and beaten:
            _hang()
        if plan.get("eat") and (data_dir / "eat").exists():
            _eat()
        if time.monotonic() - began > plan.get("die_after", float("inf")):
            return 1
        time.sleep(0.02)
    notify(STOPPING=1)
    if "slow_stop" in plan:
        print(f"{name} has heard TERM", flush=True)
        time.sleep(plan["slow_stop"])
    print(f"{name} stops", flush=True)
    return 0


def _links(data_dir: Path) -> dict[str, str]:
    """What its file of link faults says. To import the reader of that would double the cost of a start."""
    with contextlib.suppress(FileNotFoundError):
        return {"X_LINKS": (data_dir / "link-faults.json").read_text()}
    return {"X_LINKS": '{"cut":[],"delay":0.0}'}


def _hang() -> None:
    """A main loop that goes round no more and hears no TERM."""
    while True:
        time.sleep(1)


def _eat() -> None:
    """All memory that there is."""
    hoard = []
    while True:
        hoard.append(b"x" * 2**20)


def _leave_grandchild(listener: socket.socket, data_dir: Path) -> None:
    """One that ignores TERM and keeps our port and our output."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    os.set_inheritable(listener.fileno(), True)
    child = subprocess.Popen([sys.executable, "-c", code], close_fds=False)
    (data_dir / "grandchild").write_text(str(child.pid))


def _leave_daemon(listener: socket.socket, data_dir: Path) -> None:
    """A grandchild in a session of its own, whose parent is gone; it keeps our port."""
    write = "open(sys.argv[1], 'w').write(str(os.getpid()))"
    code = f"import os, sys, time; os.fork() and os._exit(0); {write}; time.sleep(600)"
    os.set_inheritable(listener.fileno(), True)
    fresh = data_dir / "daemon.new"
    argv = [sys.executable, "-c", code, str(fresh)]
    subprocess.run(argv, close_fds=False, start_new_session=True, check=True)
    while not (fresh.exists() and fresh.read_text()):
        time.sleep(0.01)
    fresh.replace(data_dir / "daemon")


def _plan(name: str) -> dict[str, Any]:
    path = os.environ.get("BAD_CHILD")
    plans = json.loads(Path(path).read_text()) if path else {}
    return dict(plans.get(name, plans.get("*", {})))


def _count(path: Path) -> int:
    """How often this has been asked. Tests kill this program at any moment, so the file changes at once."""
    number = int(path.read_text()) + 1 if path.exists() else 1
    fresh = path.with_suffix(".new")
    fresh.write_text(str(number))
    fresh.replace(path)
    return number


def _on_term(number: int, frame: object) -> None:
    global _stop
    _stop = True


if __name__ == "__main__":
    sys.exit(main())
