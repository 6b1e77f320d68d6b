"""The independent verifier agrees with votenet's own on every archive and receipt, good and tampered."""

from __future__ import annotations

import ast
import gzip
import importlib.util
import io
import json
import lzma
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive_support import (
    NOW,
    ROLL_CASES,
    archive,
    chain,
    election,
    good_archive,
    good_receipt,
    roll_archive,
    tampered,
    tampered_receipts,
)
from support import make_election
from votenet.core.archive import ArchiveCheck
from votenet.core.difficulty import next_bits
from votenet.core.election import ChainParameters, Election, ElectionDefinition
from votenet.core.encoding import canonical
from votenet.core.limits import METHODS, Method
from votenet.core.outcome import decide
from votenet.core.tally import Tally
from votenet.pow import bits_for_zero_bits

SOURCE = Path(__file__).parents[2] / "verifier" / "votenet_verifier.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("votenet_verifier", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


verifier: Any = load()


def write(folder: Path, data: bytes, name: str = "file") -> str:
    path = folder / name
    path.write_bytes(data)
    return str(path)


def test_it_shares_no_code_with_votenet() -> None:
    imported = set()
    for node in ast.walk(ast.parse(SOURCE.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert "votenet" not in imported
    assert imported - set(sys.stdlib_module_names) == {"nacl"}


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
def test_both_count_the_same(tmp_path: Path, suffix: str) -> None:
    squeeze = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[suffix]
    report = verifier.check_archive(write(tmp_path, squeeze(good_archive()), "a" + suffix), None, NOW)
    ours = ArchiveCheck(io.BytesIO(good_archive()), NOW).run()
    assert dict(report["counts"]) == dict(ours.counts)
    for name in ("height", "tip", "votes", "work", "network_id", "title"):
        assert report[name] == getattr(ours, name)
    assert tuple(report["winners"]) == ours.outcome.winners != ()


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("method", ["plurality", "approval", "instant-runoff"])
def test_both_name_the_same_winners_in_close_elections(method: str, seed: int) -> None:
    """Few ballots and many candidates: ties in most rounds."""
    dice = random.Random(seed)
    most = 1 if method == "plurality" else 7
    close = make_election(
        candidates=tuple("ABCDEFG"), max_choices=most, method=method, title=f"Close election {seed}"
    )
    names = list(close.definition.candidates)
    ballots = Counter(tuple(dice.sample(names, dice.randint(1, most))) for _ in range(dice.randint(1, 25)))
    tally = Tally(dict(ballots))
    definition = json.loads(canonical(close.definition))
    counts, winners = verifier.count(ballots, definition, close.network_hex)
    assert counts == [(line.candidate, line.votes) for line in tally.count(close)]
    assert tuple(winners) == decide(tally, close).winners


@given(
    floor=st.integers(1, 64).map(bits_for_zero_bits),
    gaps=st.lists(st.integers(0, 30) | st.integers(0, 2**31), min_size=1, max_size=40),
    interval=st.sampled_from([1, 2, 60, 3600]),
)
def test_both_ask_for_the_same_difficulty(floor: int, gaps: list[int], interval: int) -> None:
    definition = {"chain": {"bits": floor, "block_seconds": interval}, "created": 0}
    theirs = load().Headers(definition, bytes(32), 0)
    theirs.height, theirs.medians = 11, [0, 0, 0]
    ours, before = floor, 0
    for gap in gaps:
        theirs.medians = [*theirs.medians[-2:], theirs.medians[-1] + gap]
        ours, before = next_bits(ours, floor, interval, gap, before), gap
        theirs.bits = theirs.next_bits()
        assert theirs.bits == ours


@pytest.mark.parametrize("method", METHODS)
def test_it_takes_the_definition_of_an_election_with_default_settings(method: Method) -> None:
    made = Election(
        ElectionDefinition(
            title="Election", method=method, created=NOW, chain=ChainParameters(bits=bits_for_zero_bits(24))
        )
    )
    definition = json.loads(canonical(made.definition))
    verifier.shape_of_definition(definition)
    assert verifier.network_of(definition) == made.network_id


def test_an_election_without_votes(tmp_path: Path) -> None:
    report = verifier.check_archive(write(tmp_path, archive(chain([()]))), election().network_hex, NOW)
    assert (report["height"], report["votes"]) == (1, 0)


@pytest.mark.parametrize("name", tampered())
def test_a_tampered_archive_is_refused_with_the_right_reason(tmp_path: Path, name: str) -> None:
    code, data = tampered()[name]
    with pytest.raises(verifier.Fault) as caught:
        verifier.check_archive(write(tmp_path, data), None, NOW)
    assert caught.value.code == code


@pytest.mark.parametrize("name", tampered_receipts())
def test_a_tampered_receipt_is_refused_with_the_right_reason(tmp_path: Path, name: str) -> None:
    code, data = tampered_receipts()[name]
    with pytest.raises(verifier.Fault) as caught:
        verifier.check_receipt(write(tmp_path, data), None, NOW)
    assert caught.value.code == code


def test_good_receipts_hold(tmp_path: Path) -> None:
    for height, index in ((1, 0), (4, 2), (14, 3)):
        path = write(tmp_path, good_receipt(height, index))
        assert verifier.check_receipt(path, election().network_hex, NOW)["height"] == height
        with pytest.raises(verifier.Fault):
            verifier.check_receipt(path, "00" * 32, NOW)


def test_a_damaged_compressed_file_is_named(tmp_path: Path) -> None:
    cut = write(tmp_path, lzma.compress(good_archive())[:-50], "a.xz")
    with pytest.raises(verifier.Fault) as caught:
        verifier.check_archive(cut, None, NOW)
    assert caught.value.code == "truncated"
    with pytest.raises(verifier.Fault) as caught:
        verifier.check_archive(write(tmp_path, good_archive(), "b.gz"), None, NOW)
    assert caught.value.code == "unreadable"


def test_exit_codes_and_what_is_printed(tmp_path: Path) -> None:
    good, bad = write(tmp_path, good_receipt()), write(tmp_path, tampered_receipts()["path-cut"][1], "bad")
    command = [sys.executable, "-I", str(SOURCE), "receipt"]
    shown = subprocess.run([*command, good], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "holds"
    refused = subprocess.run([*command, bad, "--json"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["code"] == "bad-merkle-path"
    refused = subprocess.run([*command, bad], capture_output=True, text=True, check=False)
    assert refused.stdout.splitlines()[-1] == "does not hold: bad-merkle-path"


@pytest.mark.parametrize(("votes", "code"), ROLL_CASES)
def test_with_its_roll_every_voter_and_key_is_checked(
    tmp_path: Path, votes: tuple[tuple[str, str], ...], code: str
) -> None:
    roll, data = roll_archive(*votes)
    path, roll_path = write(tmp_path, data), write(tmp_path, roll.to_file(), "roll")
    assert verifier.check_archive(path, None, NOW)["registration"] == "roll, not checked"
    if not code:
        assert verifier.check_archive(path, None, NOW, roll_path)["registration"] == "roll, checked"
        return
    with pytest.raises(verifier.Fault) as caught:
        verifier.check_archive(path, None, NOW, roll_path)
    assert caught.value.code == code
