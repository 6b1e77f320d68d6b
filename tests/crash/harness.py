"""Experiments with storage that fails: one operation, one fault, one verdict."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crash.driver import DEFECT_EXIT
from crash.workload import Workload, judge, workloads
from votenet.errors import VotenetError

HERE: Final = Path(__file__).parent
KILLS: Final = ("before", "middle", "after")
ERRNOS: Final = {name: getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EIO", "EROFS")}
MEMORY: Final = "/dev/shm"
SECTOR: Final = 512
"""A disk writes so much whole or not at all."""
MIXES: Final = 2
"""How many mixtures of synced and unsynced sectors are tried for each power cut."""


def compiler() -> str | None:
    return shutil.which("cc") or shutil.which("gcc")


def build_shim(folder: Path) -> Path:
    """Compile `io_faults.c` into this folder."""
    shim = folder / "io_faults.so"
    command = [compiler() or "cc", "-O1", "-shared", "-fPIC", "-o", shim, HERE / "io_faults.c", "-ldl"]
    subprocess.run(command, check=True)
    return shim


def child_environment(shim: Path, **faults: str) -> dict[str, str]:
    """For a process that starts with the shim in it."""
    return {**os.environ, "LD_PRELOAD": str(shim), "PYTHONPATH": python_path(), **faults}


def python_path() -> str:
    """Where a child process finds these tests, and what this process finds by its own PYTHONPATH."""
    return os.pathsep.join(filter(None, (str(HERE.parent), os.environ.get("PYTHONPATH"))))


@dataclass(frozen=True)
class Outcome:
    """What one experiment showed. `problem` is empty when all is well."""

    operation: str
    fault: str
    refused: bool
    problem: str


@dataclass(frozen=True)
class Ran:
    """One run of a workload: how it ended and what it told."""

    status: int
    acknowledged: int
    key: str | None
    refusals: tuple[str, ...]
    defect: str
    folder: Path
    """Holds `home` (what the kernel has now) and `snapshot` (what was synced)."""

    @property
    def killed(self) -> bool:
        return os.WIFSIGNALED(self.status) and os.WTERMSIG(self.status) == signal.SIGKILL


class Bench:
    """A forking driver and a scratch folder for its experiments; a context manager."""

    def __init__(self, *sabotage: str) -> None:
        """`sabotage` are names of the driver's, to see the experiments fail."""
        self.workloads = workloads()
        self._sabotage = sabotage
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Bench:
        with self._stack as stack:
            # In memory where there is such a place: what is synced is the shim's business, not the disk's.
            place = MEMORY if os.access(MEMORY, os.W_OK) else None
            made = tempfile.TemporaryDirectory(prefix="votenet-crash-", dir=place)
            self._scratch = Path(stack.enter_context(made))
            self._driver = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "crash.driver", *self._sabotage],
                    env=child_environment(build_shim(self._scratch)),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def ran(self, workload: Workload, at: int, action: str, log: str = "") -> Iterator[Ran]:
        """Run a workload with a fault at operation `at` (from 1; 0 for none)."""
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        with tempfile.TemporaryDirectory(dir=self._scratch) as made:
            folder = Path(os.path.realpath(made))
            home, snapshot, acks = folder / "home", folder / "snapshot", folder / "acks"
            home.mkdir()
            snapshot.mkdir()
            workload.prepare(home)
            take_snapshot(home, snapshot)
            command = {"workload": workload.name, "home": str(home), "log": log, "at": at, "action": action}
            command |= {"snapshot": str(snapshot), "acks": str(acks)}
            print(json.dumps(command), file=self._driver.stdin, flush=True)
            status = json.loads(self._driver.stdout.readline())["status"]
            yield _read_run(status, acks.read_text().splitlines(), folder)

    def operations(self, workload: Workload) -> list[str]:
        """Names of all storage operations of a run without faults, which must go well."""
        log = self._scratch / "operations"
        log.unlink(missing_ok=True)
        with self.ran(workload, 0, "", str(log)) as ran:
            assert ran.status == 0, ran.defect
            assert ran.acknowledged == len(workload.steps)
            judge(ran.folder / "home", workload, ran.acknowledged, ran.key)
        return log.read_text().splitlines()

    # -- the experiments -----------------------------------------------------------------------

    def kill(self, workload: Workload, number: int, operation: str, when: str) -> Iterator[Outcome]:
        """kill -9 at an operation; then a power cut at the same moment."""
        with self.ran(workload, number, when) as ran:
            if not ran.killed:
                yield Outcome(operation, f"kill {when}", False, f"not killed: {ran.status} {ran.defect}")
                return
            cut = [restore(ran.folder, f"cut-{n}", random.Random(f"{number} {when} {n}") if n else None)
                   for n in range(MIXES + 1)]  # fmt: skip
            yield Outcome(operation, f"kill {when}", False, _verdict(ran.folder / "home", workload, ran))
            for home in cut:
                yield Outcome(operation, "power cut", False, _verdict(home, workload, ran))

    def fail(self, workload: Workload, number: int, operation: str, name: str) -> Iterator[Outcome]:
        """The operation and all later ones fail until the storage has refused; then all is well again."""
        with self.ran(workload, number, str(ERRNOS[name])) as ran:
            problem = ran.defect
            if not problem and ran.status != 0:
                problem = f"ended with status {ran.status}"
            problem = problem or next((p for p in map(_bad_refusal, ran.refusals) if p), "")
            problem = problem or _verdict(ran.folder / "home", workload, ran)
            yield Outcome(operation, name, bool(ran.refusals), problem)

    def experiments(self, workload: Workload, number: int, operation: str) -> Iterator[Outcome]:
        """Every fault at one operation."""
        for when in KILLS:
            if when != "middle" or operation.endswith("-write"):
                yield from self.kill(workload, number, operation, when)
        for name in ERRNOS:
            yield from self.fail(workload, number, operation, name)


def _read_run(status: int, lines: list[str], folder: Path) -> Ran:
    acknowledged, key, refusals, defect = -1, None, [], ""
    for line in lines:
        kind, _, rest = line.partition(" ")
        if kind == "ack":
            number, key = rest.split()
            acknowledged = int(number)
        elif kind == "refused":
            refusals.append(rest)
        else:
            defect = rest.replace("\\n", "\n")
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == DEFECT_EXIT and not defect:
        defect = "a defect without a trace"
    return Ran(status, acknowledged, key, tuple(refusals), defect, folder)


def _verdict(home: Path, workload: Workload, ran: Ran) -> str:
    try:
        judge(home, workload, ran.acknowledged, ran.key)
    except VotenetError as error:
        return f"refused after step {ran.acknowledged}: [{error.code}] {error.message}"
    except Exception as error:
        return f"after step {ran.acknowledged}: {type(error).__name__}: {error}"
    return ""


def _bad_refusal(told: str) -> str:
    code, message, next_step = told.split("|")
    known = ("storage-failed", "bad-directory", "bad-key")
    return "" if code in known and message and next_step else f"an unhelpful refusal: {told}"


# -- power cuts -----------------------------------------------------------------------------------


def take_snapshot(home: Path, snapshot: Path) -> None:
    """What is there at the start counts as synced; in the shim's own form."""
    for folder, names, files in os.walk(home):
        entries = [os.stat(os.path.join(folder, name)) for name in (*names, *files)]
        lines = [f"{e.st_ino} {name}\n" for e, name in zip(entries, (*names, *files), strict=True)]
        (snapshot / f"names-{os.stat(folder).st_ino}").write_text("".join(lines))
        for name in files:
            path = Path(folder) / name
            shutil.copyfile(path, snapshot / f"data-{path.stat().st_ino}")


def restore(folder: Path, name: str, dice: random.Random | None) -> Path:
    """What a power cut leaves of `folder/home`, as a new folder of this name.

    Without dice: only what was synced, names as of the sync of their folder. With dice: of everything
    later a random part, name by name and sector by sector, in any order, as a disk may write it.
    """
    home, snapshot, made = folder / "home", folder / "snapshot", folder / name
    _restore_folder(home, snapshot, made, home.stat().st_ino, dice)
    return made


def _restore_folder(now: Path, snapshot: Path, made: Path, inode: int, dice: random.Random | None) -> None:
    made.mkdir(mode=0o700)
    listed = snapshot / f"names-{inode}"
    lines = listed.read_text().splitlines() if listed.exists() else []
    synced = {name: int(number) for number, name in (line.split(" ", 1) for line in lines)}
    current = {path.name: path.stat().st_ino for path in now.iterdir()} if now.is_dir() else {}
    for name in sorted({**synced, **current}):
        found = synced.get(name)
        if dice is not None and found != current.get(name) and dice.random() < 0.5:
            found = current.get(name)
        if found is None:
            continue
        if (now / name).is_dir() or (snapshot / f"names-{found}").exists():
            _restore_folder(now / name, snapshot, made / name, found, dice)
        else:
            _restore_file(now / name, snapshot / f"data-{found}", made / name, found, dice)


def _restore_file(now: Path, synced: Path, made: Path, inode: int, dice: random.Random | None) -> None:
    old = synced.read_bytes() if synced.exists() else b""
    if dice is not None and now.exists() and now.stat().st_ino == inode:
        new = now.read_bytes()
        size = dice.choice((len(old), len(new)))
        whole = [data.ljust(size, b"\0")[:size] for data in (old, new)]
        old = b"".join(dice.choice(whole)[at : at + SECTOR] for at in range(0, size, SECTOR))
    made.write_bytes(old)
    made.chmod(0o600)
