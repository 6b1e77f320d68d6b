"""Two people at work on one network at once, while its supervisor is killed again and again."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.network_shell import Shell, open_shell
from votenet.processes.identity import leftovers

pytestmark = pytest.mark.e2e
SECONDS = 15.0
ENOUGH = 11
"""Commands that come together in one run."""
EXPECTED = {0, 1, 3, 4, 5, 6, 75}
"""Done; the supervisor died under it; nothing runs; not that many nodes; ...; another command is at it."""


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    home = tmp_path_factory.mktemp("h")
    monkeypatch.setenv("VOTENET_HOME", str(home))
    with open_shell(home) as found:
        yield found


class Races:
    """Threads that do things to one network until the time is up; what went wrong."""

    def __init__(self, shell: Shell, seed: int) -> None:
        self.shell, self.seed = shell, seed
        self.end = time.monotonic() + SECONDS
        self.wrong: list[str] = []
        self.commands = self.kills = 0

    def run(self) -> None:
        works = (self.person, self.person, self.killer, self.watcher)
        threads = [threading.Thread(target=work, args=(number,)) for number, work in enumerate(works)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _goes_on(self) -> bool:
        """A busy machine takes longer for enough of them."""
        return time.monotonic() < self.end or self.commands < ENOUGH

    def person(self, number: int) -> None:
        rng = random.Random(self.seed + number)
        while self._goes_on():
            node = f"node-{rng.randint(1, 4)}"
            up = self.shell.up_args("--detach", nodes=rng.randint(2, 4))
            command = rng.choice(
                [up, up, up, up, ("start", node), ("stop", node), ("restart", node), ("kill", node),
                 ("scale", str(rng.randint(1, 4))), ("restart", "--rolling"), ("down", "--timeout", "1")]
            )  # fmt: skip
            process = self.shell.start(*command)
            _, errors = process.communicate(timeout=150)
            self.commands += 1
            if process.returncode not in EXPECTED or "Traceback" in errors:
                self.wrong.append(f"{command}: exit {process.returncode}\n{errors}")

    def killer(self, number: int) -> None:
        """kill -9 of the present supervisor, at any moment of its life."""
        rng = random.Random(self.seed + number)
        while self._goes_on():
            time.sleep(rng.uniform(0.05, 1.5))
            with contextlib.suppress(OSError, ValueError):
                pid = int(self.shell.dirs.supervisor_lock.read_text())
                handle = os.pidfd_open(pid)
                try:
                    if self._is_supervisor(pid):
                        signal.pidfd_send_signal(handle, signal.SIGKILL)
                        self.kills += 1
                finally:
                    os.close(handle)

    def _is_supervisor(self, pid: int) -> bool:
        ours = str(self.shell.home).encode() in Path(f"/proc/{pid}/environ").read_bytes()
        return ours and b"supervise" in Path(f"/proc/{pid}/cmdline").read_bytes()

    def watcher(self, number: int) -> None:
        while self._goes_on():
            running = Counter(left.name for left in leftovers(self.shell.dirs))
            self.wrong += [f"{count} live copies of {name}" for name, count in running.items() if count > 1]
            time.sleep(0.01)


@pytest.mark.long
@pytest.mark.parametrize("seed", [100])
def test_no_second_copy_no_trace_no_leftover_in_any_race(shell: Shell, seed: int) -> None:
    races = Races(shell, seed)
    races.run()
    assert races.wrong == []
    assert races.commands >= ENOUGH
    assert races.kills > 0, "a run without a kill shows nothing"
    shell.run(*shell.up_args("--detach", nodes=3))
    programs = shell.status()["programs"]
    assert [program["state"] for program in programs] == ["ready"] * 4
    running = {(left.name, left.pid) for left in leftovers(shell.dirs)}
    assert running == {(program["name"], program["pid"]) for program in programs}
    shell.run("down")
    assert leftovers(shell.dirs) == []
    for log in shell.dirs.logs.glob("*.log"):
        assert "Traceback" not in log.read_text(), log
