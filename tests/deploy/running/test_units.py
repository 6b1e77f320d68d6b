"""The programs of the units of deploy/systemd, run as systemd runs them."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.checkpoints import log_of_five
from support.elections import make_election
from support.ports import free_port
from support.unit_files import DEPLOY, UNITS, Unit, command_of, environment_of, read_unit
from votenet.config import private_dir

pytestmark = pytest.mark.e2e

NAMES = [path.name for path in UNITS]


def set_up(name: str, place: Path) -> None:
    """The files that an administrator puts on the machine below `place`: as in deploy/, with free ports."""
    kind = name.removeprefix("votenet-").removesuffix(".service")
    etc = place / "etc/votenet"
    etc.mkdir(parents=True)
    genesis, port = etc / "genesis.json", free_port()
    named = kind != "node@"  # a named node is ready when it has met another one
    genesis.write_bytes((log_of_five().election if named else make_election()).to_file())
    lines = {
        "bootstrap": f"VOTENET_BOOTSTRAP_HOSTS=127.0.0.1\nBOOTSTRAP_PORT={port}\n",
        "web": f"VOTENET_WEB_PORT={port}\n"
        f'VOTENET_WEB_NODES="127.0.0.1:{free_port()} 127.0.0.1:{free_port()}"\n'
        "VOTENET_WEB_PROXIES=127.0.0.1\nVOTENET_WEB_PUBLIC_URL=https://vote.example.org\n",
        "witness": f"VOTENET_WITNESS_LISTEN=127.0.0.1:{port}\nVOTENET_WITNESS_GENESIS_FILES={genesis}\n",
    }
    if kind == "node@":
        folder = private_dir(place / "var/lib/private/votenet/north")
        (place / "var/lib/votenet").mkdir()
        (place / "var/lib/votenet/north").symlink_to(folder)  # what systemd makes of a StateDirectory
        (folder / "genesis.json").write_bytes(genesis.read_bytes())
        known = f"{place}/var/lib/votenet/north"
        (folder / "node.env").write_text(
            f"VOTENET_NODE_DATA_DIR={known}\nVOTENET_NODE_GENESIS={known}/genesis.json\nVOTENET_NODE_NAME=north\n"
            f"VOTENET_NODE_PORT={port}\n"  # one that names a bootstrap server is ready when that has answered
        )
    else:
        private_dir(place / "var/lib/private/votenet" / kind)
        (etc / f"{kind}.env").write_text(lines[kind])


@contextlib.contextmanager
def started(unit: Unit, place: Path) -> Iterator[tuple[subprocess.Popen[bytes], set[str]]]:
    """The program of a unit, as systemd starts it, once it has said READY and WATCHDOG; what it said."""
    said: set[str] = set()
    address = str(place / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, (place / "log").open("wb") as log:
        told.bind(address)
        told.settimeout(120)
        watched = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": f"{int(unit['WatchdogSec'][0]) * 10**6}"}
        process = subprocess.Popen(
            [sys.executable, "-m", "votenet", *command_of(unit, place)[1:]],
            cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=environment_of(unit, place) | watched,
        )  # fmt: skip
        try:
            while not {"READY=1", "WATCHDOG=1"} <= said:
                said |= set(told.recv(4096).decode().splitlines())
            yield process, said
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize("name", NAMES)
def test_started_as_systemd_does_it_is_ready_sends_heartbeats_and_ends_when_told(
    name: str, tmp_path: Path
) -> None:
    set_up(name, tmp_path)
    unit = read_unit(DEPLOY / "systemd" / name, "north")
    with started(unit, tmp_path) as (process, said):
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert any(line.startswith("STATUS=") for line in said)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    log = (tmp_path / "log").read_text()
    assert process.returncode == 0, log
    assert "Traceback" not in log


@pytest.mark.parametrize("name", NAMES)
def test_what_no_restart_can_mend_ends_with_a_code_that_is_not_tried_again(name: str, tmp_path: Path) -> None:
    """A genesis file, or a roll, that is not there."""
    set_up(name, tmp_path)
    unit = read_unit(DEPLOY / "systemd" / name, "north")
    (tmp_path / "etc/votenet/genesis.json").unlink()
    env = environment_of(unit, tmp_path) | {
        "VOTENET_BOOTSTRAP_GENESIS": f"{tmp_path}/none.json",
        "VOTENET_NODE_GENESIS": f"{tmp_path}/none.json",
        "VOTENET_WEB_ROLL": f"{tmp_path}/none.json",
    }
    done = subprocess.run(
        [sys.executable, "-m", "votenet", *command_of(unit, tmp_path)[1:]],
        cwd="/", env=env, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert str(done.returncode) in unit["RestartPreventExitStatus"][0].split(), done.stderr
