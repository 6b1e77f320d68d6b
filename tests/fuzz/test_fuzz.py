"""Every target holds on its seeds, on old findings and on some changed inputs; the engine finds defects.

`make fuzz MINUTES=5` hunts for longer.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from fuzz import __main__ as command
from fuzz import engine
from fuzz.archives import both_agree_on_the_seeds
from fuzz.engine import CORPUS, Hunt, Target, interrupted_input, replay, shrunk, some_mutations
from fuzz.mutations import mutate
from fuzz.targets import TARGETS
from support.message_samples import SAMPLES
from votenet.errors import Rejected, VotenetError
from votenet.protocol.wire.messages import decode_message

TESTS = Path(__file__).parent.parent
MUTATIONS = 60
"""Changed inputs of each target in the ordinary tests."""


OPEN: dict[str, str] = {}
"""Findings that are not mended yet. Strict: a commit that mends one takes its line out."""


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(
            target,
            id=target.name,
            marks=[pytest.mark.xfail(reason=OPEN[target.name])] if target.name in OPEN else [],
        )
        for target in TARGETS
    ],
)
def test_only_documented_errors(target: Target) -> None:
    for data in some_mutations(target, MUTATIONS, seed=1):
        failure = replay(target, data)
        assert failure is None, f"{data[:300]!r}\n{failure.trace}\n{failure.key}"


def test_names_are_unique_and_saved_inputs_belong_to_a_target() -> None:
    names = [target.name for target in TARGETS]
    assert len(set(names)) == len(names)
    assert {path.name for path in CORPUS.iterdir() if path.is_dir()} <= set(names)


def test_seeds_reach_their_target() -> None:
    (messages,) = [target for target in TARGETS if target.name == "messages"]
    assert {type(decode_message(line)) for line in messages.seeds()} == {type(sample) for sample in SAMPLES}
    assert both_agree_on_the_seeds() >= 3


# -- the engine finds what is there ----------------------------------------------------------------


def a_reader_with_a_defect(line: bytes) -> None:
    """decode_message and, behind it, a forgotten check: an `id` that is not in a table."""
    message = decode_message(line)
    number = getattr(message, "id", None)
    if number is not None and number > 2**52:
        {}[number]


def seeds() -> list[bytes]:
    return [b'{"type":"ping","id":5}', b'{"type":"get_results"}']


def test_a_hunt_finds_a_defect_shrinks_it_and_leaves_a_file_that_replays(tmp_path: Path) -> None:
    target = Target("planted", a_reader_with_a_defect, seeds)
    for seed in itertools.count():
        hunt = Hunt(target, seed, tmp_path)
        hunt.run(0.5)
        if hunt.findings:
            break
    ((key, path),) = hunt.findings.items()
    assert key.startswith("KeyError at ")
    failure = replay(target, path.read_bytes())
    assert failure is not None
    assert failure.key == key
    assert len(path.read_bytes()) < 60
    assert str(path) in path.with_suffix(".txt").read_text(encoding="utf-8")
    assert interrupted_input(tmp_path, "planted") is None


def test_inputs_that_reach_new_lines_are_kept_for_the_next_hunt(tmp_path: Path) -> None:
    (target,) = [target for target in TARGETS if target.name == "bootstrap-requests"]
    first = Hunt(target, 1, tmp_path)
    first.run(0.2)
    kept = list((tmp_path / "corpus" / target.name).iterdir())
    assert first.coverage.lines > 10
    assert len(kept) == len(first.corpus) - len(target.seeds()) - len(engine.kept_inputs(target))
    second = Hunt(target, 1, tmp_path)
    second.run(0.0)
    assert second.runs == len(first.corpus)


def raising(error: BaseException) -> Target:
    def run(data: bytes) -> None:
        raise error

    return Target("raising", run, seeds)


@pytest.mark.parametrize(
    ("error", "finding"),
    [
        (Rejected("bad-vote", "no"), False),
        (VotenetError("no", code="of-its-own"), False),
        (VotenetError("half a pair: \ud800"), True),
        (KeyError("x"), True),
        (AssertionError("x"), True),
        (RecursionError("x"), True),
        (MemoryError(), True),
        (SystemExit(3), True),
    ],
)
def test_findings_and_refusals_are_told_apart(error: BaseException, finding: bool) -> None:
    assert (replay(raising(error), b"x") is not None) is finding


def test_work_without_end_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(data: bytes) -> None:
        while True:
            with contextlib.suppress(Exception):  # what is raised to stop it must get through
                sum(range(1000))

    monkeypatch.setattr(engine, "CPU_SECONDS", 0.2)
    failure = replay(Target("endless", run, seeds), b"x")
    assert failure is not None
    assert failure.key.startswith("TooSlow")


def test_shrinking_keeps_the_fault() -> None:
    def run(data: bytes) -> None:
        assert b"needle" not in data

    target = Target("needle", run, seeds)
    failure = replay(target, b"needle")
    assert failure is not None
    assert shrunk(target, b"x" * 500 + b"needle" + b"y" * 500, failure.key) == b"needle"


def test_mutations_are_the_same_for_the_same_seed_and_change_bytes_lines_and_json() -> None:
    corpus = [b'> {"type":"ping","id":5}\n@ mine\n', b'{"a":[1,2,{"b":"text"}]}', b"\x00\x01\x02\n\n"]
    made = [
        [mutate(dice, dice.choice(corpus), corpus, (b"token",), 200) for _ in range(500)]
        for dice in (random.Random(3), random.Random(3))
    ]
    assert made[0] == made[1]
    assert max(map(len, made[0])) <= 200
    assert len(set(made[0])) > 300
    assert any(b"token" in data for data in made[0])
    parsed = 0
    for data in made[0]:
        try:
            parsed += isinstance(json.loads(data), dict)
        except ValueError:
            continue
    assert parsed > 20, "few changes left JSON that can be read: the deeper code would never be reached"


# -- the command -----------------------------------------------------------------------------------


def run_fuzz(*options: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fuzz", *options],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_the_command_hunts_and_replays(tmp_path: Path) -> None:
    hunted = run_fuzz("--target", "addresses", "--seconds", "0.1", "--seed", "1", folder=tmp_path)
    assert hunted.returncode == 0, hunted.stdout + hunted.stderr
    assert "0 findings" in hunted.stdout
    (tmp_path / "input").write_bytes(b"localhost:1")
    replayed = run_fuzz("--target", "addresses", "--input", "input", folder=tmp_path)
    assert (replayed.returncode, replayed.stdout) == (0, "nothing wrong\n")


# Python 3.12 warns of a fork beside the threads of a test runner; the child here uses none of theirs.
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_hunt_that_dies_or_hangs_has_found_its_last_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(data: bytes) -> None:
        os._exit(9)

    def hangs(data: bytes) -> None:
        with contextlib.suppress(engine.TooSlow):
            threading.Event().wait()  # costs no processor time, and no exception ends it

    both = (Target("dies", dies, seeds), Target("hangs", hangs, seeds))
    monkeypatch.setattr(command, "TARGETS", both)
    monkeypatch.setattr(command, "by_name", {target.name: target for target in both}.get)

    def is_at_work(name: str) -> bool:
        """Whether the first input of this hunt is under work, or has been."""
        current = tmp_path / f"current-{name}"
        found = list((tmp_path / "findings").glob(f"{name}-*"))
        return bool(found) or (current.exists() and seeds()[0] in current.read_bytes())

    passed, patience_ends = 0.0, time.monotonic() + 60.0

    def now() -> float:
        """No time goes by before both are at work, within a minute; then an age between any two looks."""
        nonlocal passed
        if all(is_at_work(target.name) for target in both) or time.monotonic() > patience_ends:
            passed += 1e6
        return passed

    monkeypatch.setattr(command, "time", SimpleNamespace(monotonic=now))
    assert command._hunt_all(1, 0.2, 2, tmp_path) == 1
    found = {path.name.split("-")[0]: path for path in (tmp_path / "findings").glob("*") if not path.suffix}
    assert {name: path.read_bytes() for name, path in found.items()} == dict.fromkeys(
        ("dies", "hangs"), seeds()[0]
    )
    assert "does not end" in found["hangs"].with_suffix(".txt").read_text(encoding="utf-8")
