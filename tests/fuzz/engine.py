"""The hunt: run a target on inputs that are changed again and again, keep those that reach new lines.

A target takes bytes and returns, or raises a VotenetError that can be sent: that is all that a stranger
may bring about. Everything else is a finding: another exception, an
error that cannot be written as a line, more than CPU_SECONDS of work.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import mmap
import random
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fuzz.coverage import Coverage
from fuzz.mutations import mutate
from votenet.core.faults import FAULTS
from votenet.errors import REFUSALS, NotProven, Rejected, RemoteProtocolError, VotenetError
from votenet.network.transport import error_line

CPU_SECONDS: Final = 10.0
"""One input may cost this much processor time: far above what any takes, traced, on a slow machine."""
SHRINK_RUNS: Final = 300
MAX_KEPT: Final = 400
"""Found inputs kept for the next hunt, the smallest."""
CORPUS: Final = Path(__file__).parent / "corpus"
_NO_COVERAGE: Final = contextlib.nullcontext()


@dataclass(frozen=True)
class Target:
    """Something to feed. `seeds` makes good inputs; `tokens` are words that matter to it; of the time
    it gets `weight` shares."""

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]
    tokens: tuple[bytes, ...] = ()
    max_bytes: int = 64 * 1024
    weight: float = 1.0


@dataclass(frozen=True)
class Failure:
    """What an input did. `key` is the same for the same fault at the same place."""

    key: str
    trace: str


class TooSlow(BaseException):
    """Not an Exception: no handler of the program may take it for its own."""


def failure_of(target: Target, data: bytes, watch: contextlib.AbstractContextManager[None]) -> Failure | None:
    """Run a target once; None when it did only what it may."""
    try:
        with _cpu_limit(CPU_SECONDS), watch:
            target.run(data)
    except VotenetError as error:
        wrong = _undocumented(error)
        return None if wrong is None else _failure(error, wrong)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return _failure(error, type(error).__name__)
    return None


def _undocumented(error: VotenetError) -> str | None:
    """What is wrong with an error of votenet's, if anything is."""
    known = FAULTS if isinstance(error, NotProven) else REFUSALS
    if isinstance(error, NotProven | Rejected | RemoteProtocolError) and error.code not in known:
        return f"unknown code {error.code}"
    try:
        error_line(error)
    except (ValueError, TypeError) as problem:
        return f"cannot be sent: {type(problem).__name__}"
    return None


def _failure(error: BaseException, what: str) -> Failure:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/src/votenet/" in frame.filename] or frames
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
    return Failure(f"{what} at {place}", "".join(traceback.format_exception(error, limit=-12)))


@contextlib.contextmanager
def _cpu_limit(seconds: float) -> Iterator[None]:
    """Processor time, not the clock: a busy machine is no finding."""

    def stop(number: int, frame: object) -> None:
        raise TooSlow(f"more than {seconds:g} s of processor time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def kept_inputs(target: Target) -> list[bytes]:
    """Inputs that once broke something: `corpus/<target>/`."""
    return [path.read_bytes() for path in sorted((CORPUS / target.name).glob("*"))]


def replay(target: Target, data: bytes) -> Failure | None:
    """One input, without coverage."""
    return failure_of(target, data, _NO_COVERAGE)


def some_mutations(target: Target, count: int, seed: int) -> Iterator[bytes]:
    """The seeds, the kept inputs, and `count` changes of them: the same for the same seed and code."""
    dice = random.Random(f"{target.name} {seed}")
    corpus = [*target.seeds(), *kept_inputs(target)]
    yield from corpus
    for _ in range(count):
        yield mutate(dice, dice.choice(corpus), corpus, target.tokens, target.max_bytes)


@dataclass
class Hunt:
    """One target, one seed, some seconds. Findings and new inputs are files below `folder`."""

    target: Target
    seed: int
    folder: Path
    runs: int = 0
    findings: dict[str, Path] = field(default_factory=dict)
    corpus: list[bytes] = field(default_factory=list)
    coverage: Coverage = field(default_factory=Coverage)

    def run(self, seconds: float, runs: float = math.inf) -> None:
        """Until the time is over, or so many inputs have been tried."""
        end = time.monotonic() + seconds
        dice = random.Random(f"{self.target.name} {self.seed}")
        self._found = self.folder / "corpus" / self.target.name
        self._found.mkdir(parents=True, exist_ok=True)
        start = [*self.target.seeds(), *kept_inputs(self.target), *self._found_before()]
        with _Current(self.folder / f"current-{self.target.name}", self.target.max_bytes) as current:
            for data in start:
                self.corpus.append(data)
                self._try(data, current)
            while time.monotonic() < end and self.runs < runs:
                recent = self.corpus[-20:] if dice.random() < 0.4 else self.corpus
                parent = dice.choice(recent)
                data = mutate(dice, parent, self.corpus, self.target.tokens, self.target.max_bytes)
                before = self.coverage.lines
                self._try(data, current)
                if self.coverage.lines > before:
                    self.corpus.append(data)
                    (self._found / _name(data)).write_bytes(data)

    def summary(self) -> str:
        """One line for people."""
        return (
            f"{self.target.name:<18} {self.runs:>7,} runs, {self.coverage.lines:>5,} lines of votenet, "
            f"{len(self.corpus):>4} inputs kept, {len(self.findings)} findings"
        )

    def _try(self, data: bytes, current: _Current) -> None:
        current.write(data)
        self.runs += 1
        failure = failure_of(self.target, data, self.coverage)
        if failure is not None and failure.key not in self.findings:
            small = shrunk(self.target, data, failure.key)
            self.findings[failure.key] = report(self.folder, self.target.name, small, failure)

    def _found_before(self) -> list[bytes]:
        files = sorted(self._found.glob("*"), key=lambda path: (path.stat().st_size, path.name))
        for path in files[MAX_KEPT:]:
            path.unlink()
        return [path.read_bytes() for path in files[:MAX_KEPT]]


class _Current:
    """The input under work in a file mapped into memory: it outlives a crash of the interpreter."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path, self._room = path, max_bytes + 1024
        path.write_bytes(bytes(8 + self._room))
        self._file = path.open("r+b")
        self._map = mmap.mmap(self._file.fileno(), 0)

    def __enter__(self) -> _Current:
        return self

    def __exit__(self, *_: object) -> None:
        self._map.close()
        self._file.close()
        self.path.unlink()

    def write(self, data: bytes) -> None:
        data = data[: self._room]
        self._map[:8] = len(data).to_bytes(8, "little")
        self._map[8 : 8 + len(data)] = data


def interrupted_input(folder: Path, name: str) -> bytes | None:
    """What a hunt that ended without a word was working on."""
    path = folder / f"current-{name}"
    if not path.exists():
        return None
    raw = path.read_bytes()
    path.unlink()
    return raw[8 : 8 + int.from_bytes(raw[:8], "little")]


def shrunk(target: Target, data: bytes, key: str) -> bytes:
    """A shorter input with the same fault: parts are left out while the fault stays."""
    runs, size = 0, max(len(data) // 2, 1)
    while runs < SHRINK_RUNS:
        start = 0
        before = len(data)
        while start < len(data) and runs < SHRINK_RUNS:
            shorter = data[:start] + data[start + size :]
            runs += 1
            failure = replay(target, shorter)
            if failure is not None and failure.key == key:
                data = shorter
            else:
                start += size
        if size == 1 and len(data) == before:
            break
        size = max(size // 2, 1)
    return data


def report(folder: Path, name: str, data: bytes, failure: Failure) -> Path:
    """Save an input that broke something, with what it broke beside it."""
    findings = folder / "findings"
    findings.mkdir(parents=True, exist_ok=True)
    path = findings / f"{name}-{_name(data)}"
    path.write_bytes(data)
    command = f"PYTHONPATH=tests .venv/bin/python -m fuzz --target {name} --input {path}"
    path.with_suffix(".txt").write_text(f"{failure.key}\n\n{failure.trace}\n{command}\n", encoding="utf-8")
    print(f"FINDING in {name}: {failure.key}\n  {command}", flush=True)
    return path


def _name(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
