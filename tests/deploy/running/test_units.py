"""The programs of the units of deploy/systemd, run as systemd runs them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.checkpoints import log_of_five
from support.elections import make_election
from support.ports import free_port
from support.processes import programs
from support.unit_files import DEPLOY, UNITS, Unit, command_of, environment_of, read_unit
from votenet.config import private_dir
from votenet.protocol.wire.address import Address

pytestmark = pytest.mark.e2e

NAMES = [path.name for path in UNITS]


@pytest.fixture(scope="module")
def boot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """A bootstrap server that runs."""
    with bootstrap(tmp_path_factory.mktemp("boot")) as address:
        yield address


@pytest.fixture
def own_boot(tmp_path: Path) -> Iterator[Address]:
    """One that knows no node of another test: a node that met none of those it knows is not ready."""
    (tmp_path / "boot").mkdir()
    with bootstrap(tmp_path / "boot") as address:
        yield address


@contextlib.contextmanager
def bootstrap(folder: Path) -> Iterator[Address]:
    with programs(folder) as net:
        address = net.bootstrap(Address("127.0.0.1", free_port()))
        net.wait_for(lambda: "event=listening" in net.log("boot"))
        yield address


def set_up(name: str, place: Path, boot: Address) -> None:
    """The files that an administrator puts on the machine below `place`: as in deploy/, with free ports."""
    kind = name.removeprefix("votenet-").removesuffix(".service")
    etc = place / "etc/votenet"
    etc.mkdir(parents=True)
    genesis, port = etc / "genesis.json", free_port()
    named = kind != "node@"  # a named node is ready when it has met another one
    genesis.write_bytes((log_of_five().election if named else make_election()).to_file())
    lines = {
        "bootstrap": f"VOTENET_BOOTSTRAP_HOST=127.0.0.1\nBOOTSTRAP_PORT={port}\n",
        "web": f"VOTENET_WEB_PORT={port}\n"
        f'VOTENET_WEB_NODE="127.0.0.1:{free_port()} 127.0.0.1:{free_port()}"\n'
        f"VOTENET_WEB_GENESIS={genesis}\nVOTENET_WEB_BOOTSTRAP={boot}\n"
        "VOTENET_WEB_TRUSTED_PROXY=127.0.0.1\nVOTENET_WEB_PUBLIC_URL=https://vote.example.org\n",
        "witness": f"VOTENET_WITNESS_LISTEN=127.0.0.1:{port}\nVOTENET_WITNESS_GENESIS={genesis}\n",
    }
    if kind == "node@":
        join_as_its_operator(place, genesis, port, boot)
    else:
        private_dir(place / "var/lib/private/votenet" / kind)
        (etc / f"{kind}.env").write_text(lines[kind])


def join_as_its_operator(place: Path, genesis: Path, port: int, boot: Address) -> None:
    """`node init` and `node join`, as root before the first start; then systemd takes the folder over."""
    named = ("--name", "north", "--data-dir", str(place / "var/lib/votenet/north"))
    where = ("--listen", f"127.0.0.1:{port}", "--bootstrap", str(boot))
    votenet("node", "init", *named)
    votenet("node", "join", str(genesis), *named, *where, "--yes", "--no-start")
    take_over(place)


def votenet(*words: str) -> None:
    """A command as typed, which must succeed."""
    command = [sys.executable, "-m", "votenet", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def take_over(place: Path) -> None:
    """What systemd makes of the folder of a node at the first start of its unit."""
    public, folder = place / "var/lib/votenet/north", place / "var/lib/private/votenet/north"
    private_dir(folder.parent)
    public.rename(folder)
    public.symlink_to(folder)


@contextlib.contextmanager
def started(unit: Unit, place: Path) -> Iterator[tuple[subprocess.Popen[bytes], set[str]]]:
    """The program of a unit, as systemd starts it, once it has said READY and WATCHDOG; what it said."""
    said: set[str] = set()
    address = str(place / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, (place / "log").open("wb") as log:
        told.bind(address)
        told.settimeout(2)
        watched = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": f"{int(unit['WatchdogSec'][0]) * 10**6}"}
        process = subprocess.Popen(
            [sys.executable, "-m", "votenet", *command_of(unit, place)[1:]],
            cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=environment_of(unit, place) | watched,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 240
            while not {"READY=1", "WATCHDOG=1"} <= said:
                with contextlib.suppress(TimeoutError):
                    said |= set(told.recv(4096).decode().splitlines())
                assert process.poll() is None, (place / "log").read_text()
                assert time.monotonic() < deadline, (place / "log").read_text()
            yield process, said
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize("name", NAMES)
def test_started_as_systemd_does_it_is_ready_sends_heartbeats_and_ends_when_told(
    name: str, tmp_path: Path, boot: Address
) -> None:
    set_up(name, tmp_path, boot)
    unit = read_unit(DEPLOY / "systemd" / name, "north")
    with started(unit, tmp_path) as (process, said):
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert any(line.startswith("STATUS=") for line in said)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    log = (tmp_path / "log").read_text()
    assert process.returncode == 0, log
    assert "Traceback" not in log


def test_a_node_is_backed_up_while_its_unit_runs_and_restored_for_a_new_one(
    tmp_path: Path, own_boot: Address
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for place in (old, new):
        place.mkdir()
    set_up("votenet-node@.service", old, own_boot)
    unit = read_unit(DEPLOY / "systemd/votenet-node@.service", "north")
    kept, saved = old / "var/lib/private/votenet/north", tmp_path / "north.backup"
    with started(unit, old):
        votenet("backup", "--data-dir", str(kept), "-o", str(saved))
    votenet("restore", str(saved), "--data-dir", str(new / "var/lib/votenet/north"))
    take_over(new)
    with started(unit, new) as (_, said):
        assert "READY=1" in said
    assert (new / "var/lib/votenet/north/node.key").read_text() == (kept / "node.key").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_root_moves_a_node_whose_unit_was_stopped(tmp_path: Path, own_boot: Address) -> None:
    """As docs/deployment.md says; the folder belongs to the user that DynamicUser= has made."""
    old, new = tmp_path / "old", tmp_path / "new"
    for place in (old, new):
        place.mkdir()
    set_up("votenet-node@.service", old, own_boot)
    unit = read_unit(DEPLOY / "systemd/votenet-node@.service", "north")
    folder, saved = old / "var/lib/private/votenet/north", tmp_path / "north.backup"
    with started(unit, old) as (process, _):
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    give(folder, 54321)
    votenet("backup", "--data-dir", str(folder), "--final", "-o", str(saved))
    assert {one.stat().st_uid for one in folder.rglob("*")} == {54321}
    votenet("restore", str(saved), "--data-dir", str(new / "var/lib/votenet/north"))
    take_over(new)
    with started(unit, new) as (_, said):
        assert "READY=1" in said
    give(folder, 0)  # else this start would be refused for that
    done = subprocess.run(
        [sys.executable, "-m", "votenet", *command_of(unit, old)[1:]],
        cwd="/", env=environment_of(unit, old), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "[moved]" in done.stderr
    assert str(done.returncode) in unit["RestartPreventExitStatus"][0].split()


def give(folder: Path, user: int) -> None:
    for one in (folder, *folder.rglob("*")):
        os.chown(one, user, user)


@pytest.mark.parametrize("name", NAMES)
def test_what_no_restart_can_mend_ends_with_a_code_that_is_not_tried_again(
    name: str, tmp_path: Path, boot: Address
) -> None:
    """A genesis file, or a roll, that is not there."""
    set_up(name, tmp_path, boot)
    unit = read_unit(DEPLOY / "systemd" / name, "north")
    for genesis in list(tmp_path.rglob("genesis.json")):  # that of a node is in its own folder
        genesis.unlink()
    env = environment_of(unit, tmp_path) | {
        "VOTENET_BOOTSTRAP_GENESIS": f"{tmp_path}/none.json",
        "VOTENET_WEB_ROLL": f"{tmp_path}/none.json",
    }
    done = subprocess.run(
        [sys.executable, "-m", "votenet", *command_of(unit, tmp_path)[1:]],
        cwd="/", env=env, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert str(done.returncode) in unit["RestartPreventExitStatus"][0].split(), done.stderr
