"""Organisations that type at shells: each has a host in a network of its own, a home and a votenet."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from support.hosts import Hosts, ip_of
from support.operator_page import STOP, Step
from support.processes import LAST_LINES, dump_stacks, how_it_stands

DONE = subprocess.CompletedProcess[str]
PATIENCE: Final = 120.0
_WITH_NAMES: Final = 'mount --bind "$0" /etc/hosts && exec "$@"'
"""Only for what is started so: `ip netns exec` gives it mounts of its own."""
_SCP: Final = """#!/bin/sh
# Copies between the homes of this test, as scp between its hosts.
place() { case $1 in *:*) echo "$HOMES/${1%%.*}/${1#*:}";; *) echo "$1";; esac; }
exec cp -p "$(place "$1")" "$(place "$2")"
"""


class Terminals:
    """`names`: the hosts, in the order of their numbers from 1; `aliases`: other names of a host."""

    def __init__(
        self, folder: Path, hosts: Hosts, names: Sequence[str], aliases: Mapping[str, str], **env: str
    ) -> None:
        self.folder, self.hosts = folder, hosts
        self.numbers = {name: number for number, name in enumerate(names, start=1)}
        self.running: dict[tuple[str, str], subprocess.Popen[bytes]] = {}
        known = [*((f"{name}.example", name) for name in names), *aliases.items()]
        lines = [f"{ip_of(self.numbers[host])} {name}\n" for name, host in known]
        (folder / "hosts").write_text("127.0.0.1 localhost\n" + "".join(lines))
        self._env = env
        self._keyboards: list[int] = []
        for name in names:
            self.make_home(name)

    def home(self, host: str) -> Path:
        return self.folder / host

    def make_home(self, host: str) -> None:
        """An empty home, with the programs that its owner has installed."""
        programs = self.home(host) / "bin"
        programs.mkdir(parents=True)
        write_program(programs / "scp", _SCP)
        self.install(host, sys.executable, "-m", "votenet")

    def install(self, host: str, *program: str) -> None:
        """What `votenet` is on this host from its next start on."""
        write_program(self.home(host) / "bin" / "votenet", f'#!/bin/sh\nexec {shlex.join(program)} "$@"\n')

    def environment(self, host: str) -> dict[str, str]:
        unwanted = ("VOTENET_", "BOOTSTRAP_PORT", "NOTIFY_SOCKET", "XDG_")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(unwanted)}
        home = self.home(host)
        path = f"{home / 'bin'}:{os.environ['PATH']}"
        own = {"HOME": str(home), "PATH": path, "HOMES": str(self.folder), "NO_COLOR": "1"}
        return kept | own | self._env

    def argv(self, host: str, line: str) -> list[str]:
        names = ("sh", "-c", _WITH_NAMES, str(self.folder / "hosts"))
        return [*self.hosts.prefix(self.numbers[host]), *names, "bash", "-ec", line]

    def run(self, host: str, line: str, code: int | None = 0, typed: str = "") -> DONE:
        """A line as pasted; `typed` is what its user answers. By default it must succeed."""
        done = subprocess.run(
            self.argv(host, line), env=self.environment(host), cwd=self.home(host), capture_output=True,
            text=True, timeout=250, input=typed, check=False,
        )  # fmt: skip
        said = f"{host}$ {line}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, said
        assert code in (None, done.returncode), f"{said}\n{self.told()}"
        return done

    def open(self, host: str, terminal: str, line: str, typed: str = "") -> None:
        """A line whose program keeps its terminal; what it says is in its log."""
        keyboard, seen = os.openpty()
        self._keyboards.append(keyboard)
        with self.log_file(host, terminal).open("ab") as log:
            process = subprocess.Popen(
                self.argv(host, line), env=self.environment(host), cwd=self.home(host),
                stdin=seen, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        os.close(seen)
        os.write(keyboard, typed.encode())
        self.running[host, terminal] = process

    def log_file(self, host: str, terminal: str) -> Path:
        return self.folder / f"{host}-{terminal}.log"

    def log(self, host: str, terminal: str) -> str:
        return self.log_file(host, terminal).read_text(errors="replace")

    def interrupt(self, host: str, terminal: str) -> None:
        """Ctrl-C, and the end of the program."""
        process = self.running.pop((host, terminal))
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=PATIENCE)

    def destroy(self, host: str) -> None:
        """kill -9 of all that runs there, and nothing left on its disk."""
        for key in [key for key in self.running if key[0] == host]:
            process = self.running.pop(key)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(self.home(host))
        self.make_home(host)

    def type(self, step: Step, typed: str = "") -> DONE | None:
        """A step of a page; the output of one whose prompt comes back."""
        if not step.terminal:
            return self.run(step.host, step.line, typed=typed)
        if step.line == STOP:
            self.interrupt(step.host, step.terminal)
        else:
            self.open(step.host, step.terminal, step.line, typed)
        return None

    def wait_for(self, condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
        """Until it is true; fails after so many seconds, or as soon as a program has ended by itself."""
        deadline = time.monotonic() + seconds
        while not condition():
            ended = [key for key, one in self.running.items() if one.poll() is not None]
            late = time.monotonic() > deadline
            assert not ended, f"ended by themselves: {ended}, before {what}\n{self.told()}"
            assert not late, f"not within {seconds:g} s: {what}\n{self.told()}"
            time.sleep(0.2)

    def told(self) -> str:
        """How each program stands, with the end of its log."""
        told = []
        for (host, terminal), process in self.running.items():
            last = self.log(host, terminal).splitlines()[-LAST_LINES // 4 :]
            told += [f"{host}:{terminal}: {how_it_stands(process)}", *last]
        return "\n".join(told)

    def end(self) -> None:
        for process in self.running.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.running.values():
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                dump_stacks(process)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for keyboard in self._keyboards:
            os.close(keyboard)


@contextlib.contextmanager
def terminals(
    folder: Path, hosts: Hosts, names: Sequence[str], aliases: Mapping[str, str], **env: str
) -> Iterator[Terminals]:
    """All that was started is gone when the block ends."""
    made = Terminals(folder, hosts, names, aliases, **env)
    try:
        yield made
    finally:
        made.end()


def write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
