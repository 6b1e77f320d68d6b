"""`votenet witness` as a real process: its key, its memory over kill -9, what it refuses to start with."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from support.checkpoints import LogOfTests, log_of_five
from support.elections import TRIVIAL_BITS, key_of, make_election
from support.network_shell import wait_until
from support.ports import free_port
from support.processes import cast, programs, status
from votenet.core.election.definition import Election, NamedNode, Witness
from votenet.core.keys import node_keys
from votenet.core.log.certificate import read_certificate
from votenet.core.log.checkpoint import parse_checkpoint
from votenet.core.log.signed_note import (
    ED25519,
    SignedNote,
    VerifierKey,
    parse_key,
    parse_note,
    verified_keys,
)
from votenet.core.log.witness import WitnessSize, origin_hash
from votenet.errors import NotProven, Unreachable
from votenet.network.witness_client import push_checkpoint
from votenet.protocol.wire.address import Address
from votenet.storage.key_store import load_or_make_key

LOG = log_of_five()
DIES_BEFORE_IT_ANSWERS = """
import os, signal, sys
from votenet.storage.witness_store import WitnessStore

saves = WitnessStore.update

def update(self, origin, decide):
    answer = saves(self, origin, decide)
    if answer.status == 200:
        os.kill(os.getpid(), signal.SIGKILL)
    return answer

WitnessStore.update = update
sys.argv[0] = "votenet"
from votenet.__main__ import main
main()
"""


@pytest.fixture
def genesis(tmp_path: Path) -> Path:
    path = tmp_path / "genesis.json"
    path.write_bytes(LOG.election.to_file())
    return path


class RunningWitness:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        key, where, *_ = (process.stdout.readline() for _ in range(3))
        self.key = parse_key(key.removeprefix("key ").strip())
        self.url = where.removeprefix("listening on ").strip()

    def push(self, size: int, log: LogOfTests = LOG, old: int = 0) -> SignedNote | WitnessSize:
        proving = push_checkpoint(self.url, self.key, log.note(size), log.prover(size), old)
        return asyncio.run(proving)

    def newest(self, origin: str = LOG.keys.origin) -> SignedNote:
        url = f"{self.url}/{origin_hash(origin)}/checkpoint"
        with urllib.request.urlopen(url, timeout=150) as answer:
            return parse_note(answer.read().decode())


def command(folder: Path, *options: str, python: tuple[str, ...] = ("-m", "votenet")) -> list[str]:
    where = ("--listen", f"127.0.0.1:{free_port()}", "--data-dir", str(folder / "witness"))
    return [sys.executable, *python, "witness", *where, *options]


def environment(folder: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("VOTENET_")}
    return {**clean, "VOTENET_HOME": str(folder / "home")}


@contextlib.contextmanager
def running(
    folder: Path, *options: str, python: tuple[str, ...] = ("-m", "votenet")
) -> Iterator[RunningWitness]:
    with (folder / "stderr").open("a") as errors:
        process = subprocess.Popen(
            command(folder, *options, python=python),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment(folder),
        )
    try:
        yield RunningWitness(process)
    finally:
        process.kill()
        process.communicate()


def fails(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, *options), capture_output=True, text=True, env=environment(folder), timeout=150
    )


def test_it_cosigns_and_keeps_key_and_memory_over_a_restart(tmp_path: Path, genesis: Path) -> None:
    with running(tmp_path, "--genesis", str(genesis)) as first:
        note = first.push(10)
        assert isinstance(note, SignedNote)
        assert list(verified_keys(note, [first.key])) == [first.key]
        assert first.key.name == f"votenet-witness/{first.key.public.hex()[:16]}"
        first.process.terminate()
        assert first.process.wait(60) == 0
    assert stat.S_IMODE((tmp_path / "witness" / "witness.key").stat().st_mode) == 0o600
    with running(tmp_path, "--genesis", str(genesis), "--name", "witness.example/w1") as second:
        assert second.key == first.key._replace(name="witness.example/w1")
        assert second.push(5) == WitnessSize(10)
        assert isinstance(second.push(20, old=10), SignedNote)
        assert parse_checkpoint(second.newest().text).size == 20
        second.process.send_signal(signal.SIGINT)
        assert second.process.wait(60) == 0
    assert "Traceback" not in (tmp_path / "stderr").read_text()


def test_killed_between_saving_and_answering_it_knows_what_it_cosigned(tmp_path: Path, genesis: Path) -> None:
    with running(tmp_path, "--genesis", str(genesis), python=("-c", DIES_BEFORE_IT_ANSWERS)) as first:
        with pytest.raises(Unreachable):
            first.push(20)
        assert first.process.wait(60) == -signal.SIGKILL
    with running(tmp_path, "--genesis", str(genesis)) as second:
        assert parse_checkpoint(second.newest().text).size == 20
        other = LogOfTests(LOG.election, "another history", fork=15)
        for size in (20, 30):
            with pytest.raises(NotProven, match="422"):
                second.push(size, other, old=20)
        assert isinstance(second.push(20), SignedNote)  # the log asks again, and gets what it missed


def test_a_log_of_another_kind_by_its_keys(tmp_path: Path) -> None:
    keys = [VerifierKey("log.example", ED25519, key_of(f"log {n}").public) for n in range(2)]
    with running(tmp_path, "--log", str(keys[0]), "--log", str(keys[1])) as witness:
        with pytest.raises(NotProven, match="404"):
            witness.push(10)
        assert witness.process.poll() is None


def test_what_it_does_not_start_with(tmp_path: Path, genesis: Path) -> None:
    nothing = fails(tmp_path)
    assert nothing.returncode == 2
    assert "--genesis FILE or --log VKEY" in nothing.stderr
    bad_key = fails(tmp_path, "--log", "log.example+00000000+AA==")
    assert (bad_key.returncode, "Traceback" in bad_key.stderr) == (2, False)
    same = VerifierKey(LOG.keys.origin, ED25519, key_of("x").public)
    twice = fails(tmp_path, "--genesis", str(genesis), "--log", str(same))
    assert twice.returncode == 2
    assert "is the log of a genesis file" in twice.stderr
    bad_name = fails(tmp_path, "--genesis", str(genesis), "--name", "a name")
    assert bad_name.returncode == 2
    unnamed = tmp_path / "unnamed.json"
    unnamed.write_bytes(make_election().to_file())
    course = fails(tmp_path, "--genesis", str(unnamed))
    assert course.returncode == 78
    assert "no named nodes" in course.stderr


def test_the_key_is_known_before_the_election(tmp_path: Path, genesis: Path) -> None:
    shown = subprocess.run(
        command(tmp_path, "--show-key"),
        capture_output=True,
        text=True,
        env=environment(tmp_path),
        timeout=150,
    )
    assert shown.returncode == 0
    with running(tmp_path, "--genesis", str(genesis)) as witness:
        assert str(witness.key) == shown.stdout.strip()


def test_a_node_shows_its_log_to_the_witness_of_the_definition(tmp_path: Path) -> None:
    """From a vote to the cosignature of an outsider, with real programs."""
    shown = subprocess.run(
        command(tmp_path, "--show-key"),
        capture_output=True,
        text=True,
        env=environment(tmp_path),
        timeout=150,
    )
    where, node = Address("127.0.0.1", free_port()), Address("127.0.0.1", free_port())
    (tmp_path / "node").mkdir(mode=0o700)
    keys = node_keys(load_or_make_key(tmp_path / "node" / "node.key", "node").seed)
    named = NamedNode(
        cosign_key=keys.cosign.public_hex,
        log_key=keys.log.public_hex,
        name="Node",
        node_key=keys.node.public_hex,
        statement_key=keys.statement.public_hex,
    )
    plain = make_election(bits=TRIVIAL_BITS, created=int(time.time()), nodes=(named,)).definition
    outsider = Witness(key=shown.stdout.strip(), name="Outsider", url=f"http://{where}")
    election = Election(msgspec.structs.replace(plain, witnesses=(outsider,)))
    genesis = tmp_path / "named.json"
    genesis.write_bytes(election.to_file())
    options = ("--genesis", str(genesis), "--listen")
    with running(tmp_path, *options, str(where)) as witness, programs(tmp_path) as some:
        some.start("node", "node", "--data-dir", str(tmp_path / "node"), *options, str(node))
        wait_until(lambda: status(node) is not None)
        cast(node, election, "voter-1")

        def cosigned() -> int:
            with contextlib.suppress(urllib.error.HTTPError):
                return parse_checkpoint(witness.newest(election.named_keys.origin).text).size
            return 0

        wait_until(lambda: cosigned() >= 3)  # the header of genesis, the vote, the header of its block
        note = witness.newest(election.named_keys.origin)
        assert read_certificate(str(note), election.named_keys).signers.keys() == {0}
        assert set(verified_keys(note, election.named_keys.witness_keys)) == {witness.key}
        wait_until(lambda: "cosigned the log at size " in some.log("node"))


def test_one_process_has_the_folder(tmp_path: Path, genesis: Path) -> None:
    with running(tmp_path, "--genesis", str(genesis)) as witness:
        second = fails(tmp_path, "--genesis", str(genesis))
        assert second.returncode == 75
        assert str(witness.process.pid) in second.stderr
