"""A process with `io_faults.c` preloaded that forks one child for each experiment.

A command is a JSON line {"workload", "home", "log", "at", "action", "snapshot", "acks"}; the answer is
one line with the child's wait status. Forking saves the start of Python a thousand times; each child
is a process of its own and dies a real death.

An argument names a sabotage: storage that breaks its promise on purpose, so that a test can show that
the harness notices.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from crash.workload import Session, Step, Workload, workloads
from votenet.storage import database, files, key_store
from votenet.storage.blocks.block_store import BlockStore

DEFECT_EXIT = 3


def main() -> None:
    """Serve commands until stdin ends."""
    for name in sys.argv[1:]:
        SABOTAGES[name]()
    known = workloads()
    for line in sys.stdin:
        command = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _child(command, known[command["workload"]])
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"status": status}), flush=True)


def _child(command: dict[str, Any], workload: Workload) -> None:
    """Carry out the workload with faults armed; its acknowledgements go to a file that is never faulty."""
    shim = ctypes.CDLL(None)
    out = os.open(command["acks"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    code = 0
    try:
        shim.io_faults_arm(
            command["home"].encode(),
            command["log"].encode(),
            ctypes.c_long(command["at"]),
            command["action"].encode(),
            command["snapshot"].encode(),
        )
        Session(Path(command["home"]), lambda line: _tell(out, line), lambda: shim.io_faults_heal()).run(
            workload
        )
    except BaseException:
        _tell(out, "defect " + traceback.format_exc().replace("\n", "\\n"))
        code = DEFECT_EXIT
    finally:
        os._exit(code)


def _tell(out: int, line: str) -> None:
    os.write(out, line.encode() + b"\n")


# -- sabotage -------------------------------------------------------------------------------------


def _never_sync() -> None:
    database.WRITER_SETTINGS["synchronous"] = "OFF"


def _acknowledge_before_saving() -> None:
    take = Session.take

    def hasty(self: Session, store: BlockStore, workload: Workload, step: Step, number: int) -> None:
        self._tell(f"ack {number} {self._key}")
        take(self, store, workload, step, number)

    Session.take = hasty  # type: ignore[method-assign]


def _never_sync_folders() -> None:
    for module in (database, files, key_store):
        module.sync_folder = lambda folder: None


SABOTAGES = {
    "never sync": _never_sync,
    "acknowledge before saving": _acknowledge_before_saving,
    "never sync folders": _never_sync_folders,
}

if __name__ == "__main__":
    main()
