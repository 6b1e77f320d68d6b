"""Real processes that misbehave, one at a time."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.processes.conftest import is_paused

from support.processes import in_pid_namespace, need_pid_namespace
from votenet.processes import procfs
from votenet.processes.child import NO_MEMORY, Child, reap_orphans
from votenet.processes.exit_cause import ExitCause, ExitKind

IGNORE_TERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""
GRANDCHILD = (
    "import subprocess, sys, os; "
    f"p = subprocess.Popen([sys.executable, '-c', {IGNORE_TERM!r}]); "
    "print('pid', p.pid, flush=True); os._exit(3)"
)


def run(tmp_path: Path, code: str, scenario: Callable[[Child], Awaitable[None]]) -> None:
    """Start `python -c code`, play, and make sure that nothing of it is left."""

    async def play() -> None:
        async with asyncio.timeout(60):
            child = Child.start([sys.executable, "-c", code], os.environ, tmp_path / "log")
            try:
                await scenario(child)
            finally:
                child.kill_and_reap()
        assert not procfs.members(child.pid)

    asyncio.run(play())


async def logged(tmp_path: Path, text: str) -> str:
    """The log, once it has a line with `text`."""
    content = ""
    while text not in content or not content.endswith("\n"):
        await asyncio.sleep(0.01)
        content = (tmp_path / "log").read_text()
    return content


@pytest.mark.parametrize("ours", [True, False])
def test_a_kill_that_may_be_for_lack_of_memory_is_told_unless_it_was_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: bool
) -> None:
    async def scenario(child: Child) -> None:
        await logged(tmp_path, "up")
        monkeypatch.setattr(procfs, "oom_kills", lambda: 10**9)  # perhaps another program's
        if ours:
            child.kill()
        else:
            os.kill(child.pid, signal.SIGKILL)
        assert (await child.died()).detail == ("" if ours else NO_MEMORY)

    run(tmp_path, IGNORE_TERM, scenario)


COUNT = """
import signal
numbers = {signal.SIGRTMIN}  # these are queued: two of them are two
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
print("up", flush=True)
signal.sigwait(numbers)
print("one more" if signal.sigtimedwait(numbers, 0.2) else "just one", flush=True)
"""


@pytest.mark.parametrize("adopted", [False, True])
def test_each_process_of_a_group_gets_a_signal_once(tmp_path: Path, adopted: bool) -> None:
    async def scenario(child: Child) -> None:
        await logged(tmp_path, "up")
        if adopted:
            other = Child.adopt(child.pid, child.start_ticks, child.log, lambda pid: pid == child.pid)
            other.signal_group(signal.SIGRTMIN)
            other.reap()
        else:
            child.signal_group(signal.SIGRTMIN)
        assert "just one" in await logged(tmp_path, "one")

    run(tmp_path, COUNT, scenario)


@pytest.mark.parametrize("code", [0, 1, 64, 255])
def test_exit_code_is_the_cause(tmp_path: Path, code: int) -> None:
    async def scenario(child: Child) -> None:
        assert await child.died() == ExitCause(ExitKind.EXITED, code)
        assert procfs.read_stat(child.pid) is not None, "not reaped before finish"
        assert await child.finish() == ""
        assert procfs.read_stat(child.pid) is None

    run(tmp_path, f"import sys; sys.exit({code})", scenario)


def test_signal_is_the_cause(tmp_path: Path) -> None:
    async def scenario(child: Child) -> None:
        await logged(tmp_path, "up")
        child.kill()
        assert await child.died() == ExitCause(ExitKind.SIGNALLED, signal.SIGKILL)
        assert await child.finish() == ""

    run(tmp_path, IGNORE_TERM, scenario)


def test_death_is_an_event_and_no_look_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(child: Child) -> None:
        await logged(tmp_path, "up")
        with monkeypatch.context() as patch:
            for name in ("call_at", "call_later"):
                patch.setattr(asyncio.get_running_loop(), name, lambda *_, **__: 1 // 0)
            child.kill()
            await child.died()
        await child.finish()

    run(tmp_path, IGNORE_TERM, scenario)


def test_scenario_06_stragglers_die_before_the_leader_is_reaped(tmp_path: Path) -> None:
    async def scenario(child: Child) -> None:
        pid = int((await logged(tmp_path, "pid")).split("pid ")[1].split()[0])
        assert await child.died() == ExitCause(ExitKind.EXITED, 3)
        assert [found.pid for found in procfs.members(child.pid)] == [pid]
        assert await child.finish() == ""
        stat = procfs.read_stat(pid)
        assert stat is None or stat.dead

    run(tmp_path, GRANDCHILD, scenario)


def test_scenario_07_a_stopped_process_hears_term(tmp_path: Path) -> None:
    async def scenario(child: Child) -> None:
        await logged(tmp_path, "up")
        child.send(signal.SIGSTOP)
        while not is_paused(child.pid):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        child.terminate()
        assert await child.died() == ExitCause(ExitKind.SIGNALLED, signal.SIGTERM)
        await child.finish()

    run(tmp_path, "import time; print('up', flush=True); time.sleep(600)", scenario)


def test_signals_after_the_end_reach_no_process(tmp_path: Path) -> None:
    async def scenario(child: Child) -> None:
        await child.died()
        child.terminate()
        await child.finish()
        child.terminate()
        child.kill()
        child.reap()
        assert not is_paused(child.pid)

    run(tmp_path, "pass", scenario)


def test_child_starts_clean(tmp_path: Path) -> None:
    """Own session, default signals, nothing blocked, no stdin, no descriptor of ours, log appended."""
    code = """
import os, signal, sys
print(os.getsid(0) == os.getpid(), sys.stdin.read() == "")
print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
print(signal.pthread_sigmask(signal.SIG_BLOCK, []) == set())
print(len(os.listdir("/proc/self/fd")))
"""
    (tmp_path / "log").write_text("before\n")

    async def scenario(child: Child) -> None:
        await child.died()
        await child.finish()

    held = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(held, True)
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        run(tmp_path, code, scenario)
    finally:
        signal.signal(signal.SIGTERM, before)
        os.close(held)
    assert (tmp_path / "log").read_text() == "before\nTrue True\nTrue\nTrue\n4\n"
    assert (tmp_path / "log").stat().st_mode & 0o077 in (0, 0o044)


def test_a_program_that_does_not_exist(tmp_path: Path) -> None:
    async def play() -> None:
        with pytest.raises(FileNotFoundError):
            Child.start([str(tmp_path / "nothing")], {}, tmp_path / "log")

    asyncio.run(play())


def test_no_descriptor_left_means_no_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    def refuse(pid: int) -> int:
        started.append(pid)
        raise OSError(24, "Too many open files")

    async def play() -> None:
        monkeypatch.setattr(os, "pidfd_open", refuse)
        with pytest.raises(OSError, match="Too many"):
            Child.start([sys.executable, "-c", IGNORE_TERM], os.environ, tmp_path / "log")

    asyncio.run(play())
    assert procfs.read_stat(started[0]) is None


ORPHAN = """
import subprocess, sys
env = {{"TAG": sys.argv[1]}}
p = subprocess.Popen([sys.executable, '-c', {code!r}], start_new_session=True, env=env, stdout=sys.stderr)
print(p.pid, flush=True)
"""


def adopt(tmp_path: Path, code: str, scenario: Callable[[Child], Awaitable[None]]) -> None:
    """Make a process that is no child of ours, adopt it, play, and make sure that nothing of it is left."""

    def is_ours(pid: int) -> bool:
        return procfs.environment(pid).get("TAG") == str(tmp_path)

    starter = [sys.executable, "-c", ORPHAN.format(code=code), str(tmp_path)]
    with (tmp_path / "log").open("wb") as log:
        done = subprocess.run(starter, stdout=subprocess.PIPE, stderr=log, text=True, check=True)
    stat = procfs.read_stat(int(done.stdout))
    assert stat is not None
    while not is_ours(stat.pid):  # in the middle of an exec it has no environment
        time.sleep(0.01)

    async def play() -> None:
        assert stat is not None
        async with asyncio.timeout(60):
            child = Child.adopt(stat.pid, stat.start_ticks, tmp_path / "log", is_ours)
            try:
                await scenario(child)
            finally:
                child.kill_and_reap()
        assert not [found for found in procfs.members(stat.pid) if is_ours(found.pid)]

    asyncio.run(play())


def test_scenario_03_an_adopted_process_is_watched_stopped_and_its_grandchild_ended(tmp_path: Path) -> None:
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {IGNORE_TERM!r}]).wait()"

    async def scenario(child: Child) -> None:
        assert child.adopted
        while not child.members():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        child.terminate()
        assert (await child.died()).kind is ExitKind.UNKNOWN
        assert await child.finish() == ""

    adopt(tmp_path, code, scenario)


def test_a_signal_to_an_adopted_program_reaches_no_process_that_was_started_later(tmp_path: Path) -> None:
    async def scenario(child: Child) -> None:
        await logged(tmp_path, "up")
        sleep = "import time; time.sleep(600)"
        stranger = await asyncio.create_subprocess_exec(sys.executable, "-c", sleep)
        try:
            child.signal_group(signal.SIGRTMIN)
            await child.died()
            assert await child.finish() == ""
            assert stranger.returncode is None
        finally:
            stranger.kill()
            assert await stranger.wait() == -signal.SIGKILL, "and of nothing else"

    adopt(tmp_path, IGNORE_TERM, scenario)


def test_scenario_05_a_pid_that_passed_to_a_stranger_is_not_adopted(tmp_path: Path) -> None:
    async def play() -> None:
        own = procfs.read_stat(os.getpid())
        assert own is not None
        with pytest.raises(OSError, match="not the process that was recorded"):
            Child.adopt(own.pid, own.start_ticks - 1, tmp_path / "log", lambda pid: False)

    asyncio.run(play())


def test_scenario_08_a_dump_shows_where_a_program_hangs(tmp_path: Path) -> None:
    code = "import faulthandler, time; faulthandler.enable(); print('up', flush=True)\ntime.sleep(600)"

    async def scenario(child: Child) -> None:
        await logged(tmp_path, "up")
        child.send(signal.SIGSTOP)
        child.dump()
        assert await child.died() == ExitCause(ExitKind.SIGNALLED, signal.SIGABRT)
        await child.finish()
        assert 'File "<string>", line 2 in <module>' in (tmp_path / "log").read_text()

    run(tmp_path, code, scenario)


AS_PROCESS_1 = """
import os, subprocess, sys, time
from votenet.processes import procfs
from votenet.processes.child import reap_orphans

def zombies():
    return sorted(stat.pid for stat in procfs.all_processes() if stat.dead and stat.parent == 1)

assert os.getpid() == 1
ours = subprocess.Popen([sys.executable, "-c", ""])
subprocess.run(["sh", "-c", "sh -c 'sleep 0.1' & sh -c 'sleep 0.1' & exit 0"], check=True)
deadline = time.monotonic() + 60
while len(zombies()) < 3 and time.monotonic() < deadline:
    time.sleep(0.01)
assert len(zombies()) == 3, zombies()
reaped = reap_orphans([ours.pid])
assert len(reaped) == 2 and ours.pid not in reaped, reaped
assert zombies() == [ours.pid]
assert ours.wait() == 0, "its exit code is still there for us"
assert reap_orphans([]) == []
print("fine")
"""


def test_process_1_reaps_orphans_and_leaves_our_own_programs_alone() -> None:
    need_pid_namespace()
    done = subprocess.run(
        in_pid_namespace(sys.executable, "-c", AS_PROCESS_1),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr


def test_anybody_else_reaps_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert reap_orphans([]) == []
    assert child.wait() == 0
