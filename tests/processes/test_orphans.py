"""The dead whose parents are gone, in a pid namespace of our own."""

from __future__ import annotations

import os
import subprocess
import sys

from process_support import in_pid_namespace, need_pid_namespace
from votenet.processes import orphans

AS_PROCESS_1 = """
import os, subprocess, sys, time
from votenet.processes import orphans, procfs

def zombies():
    return sorted(stat.pid for stat in procfs.all_processes() if stat.dead and stat.parent == 1)

assert os.getpid() == 1
ours = subprocess.Popen([sys.executable, "-c", ""])
subprocess.run(["sh", "-c", "sh -c 'sleep 0.1' & sh -c 'sleep 0.1' & exit 0"], check=True)
deadline = time.monotonic() + 20
while len(zombies()) < 3 and time.monotonic() < deadline:
    time.sleep(0.01)
assert len(zombies()) == 3, zombies()
reaped = orphans.reap([ours.pid])
assert len(reaped) == 2 and ours.pid not in reaped, reaped
assert zombies() == [ours.pid]
assert ours.wait() == 0, "its exit code is still there for us"
assert orphans.reap([]) == []
print("fine")
"""


def test_process_1_reaps_orphans_and_leaves_our_own_programs_alone() -> None:
    need_pid_namespace()
    done = subprocess.run(
        in_pid_namespace(sys.executable, "-c", AS_PROCESS_1),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr


def test_anybody_else_reaps_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert orphans.reap([]) == []
    assert child.wait() == 0
