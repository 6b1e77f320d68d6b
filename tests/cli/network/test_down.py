"""`down`: proof, leftovers, purge."""

from __future__ import annotations

import errno
import json
import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.network_shell import Shell, alive, open_shell, wait_until
from support.processes import in_pid_namespace, need_pid_namespace
from votenet.errors import VotenetError
from votenet.processes.identity import leftovers
from votenet.processes.instance import load_network
from votenet.processes.ports import port_locks_dir


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    home = tmp_path_factory.mktemp("h")
    monkeypatch.setenv("VOTENET_HOME", str(home))
    with open_shell(home) as found:
        yield found


def test_scenario_03_down_ends_the_remains_of_a_killed_supervisor(shell: Shell) -> None:
    shell.plan({"node-2": {"ignore_term": True}})
    shell.up()
    programs = shell.pids()[1:]
    shell.kill_supervisor()
    shell.run("ps", code=3)
    assert all(map(alive, programs)), "detached: they go on"
    done = shell.run("down", "--timeout", "0.3")
    assert "left from a supervisor that died" in done.stderr
    assert not any(map(alive, programs))
    assert not shell.dirs.run.exists()
    network = load_network(shell.dirs)
    assert not [port for port in network.node_ports if (port_locks_dir() / f"{port}.lock").exists()]


def test_purge_removes_the_data_but_not_the_keys(shell: Shell) -> None:
    shell.up()
    shell.dirs.keys.mkdir()
    (shell.dirs.keys / "voter").touch()
    done = shell.run("down", "--purge", "--yes", "--json")
    assert json.loads(done.stdout)["removed"] == str(shell.dirs.state)
    assert not shell.dirs.state.exists()
    assert not shell.dirs.run.exists()
    assert (shell.dirs.keys / "voter").exists()


def test_a_network_that_is_just_starting_is_stopped_too(shell: Shell) -> None:
    shell.plan({"*": {"slow": 300}})
    starting = shell.start(*shell.up_args("--detach"))
    while not shell.dirs.control_socket.exists():
        assert starting.poll() is None
    shell.run("down", "--timeout", "0.3")
    _, err = starting.communicate(timeout=150)
    assert starting.returncode == 1
    assert "stopped while it was starting" in err
    assert leftovers(shell.dirs) == []


def test_a_program_that_does_not_stop_is_killed_on_time(shell: Shell) -> None:
    shell.plan({"*": {"ignore_term": True}})
    shell.up()
    pids = shell.pids()
    done = shell.run("down", "--timeout", "0.3")
    assert "node-1: stopped" in done.stderr
    assert not any(map(alive, pids))


def test_purge_without_a_terminal_needs_a_yes(shell: Shell) -> None:
    shell.up()
    for extra in ((), ("--json",)):
        refused = shell.run("down", "--purge", *extra, code=2)
        assert "add --yes" in refused.stderr
    assert [program["state"] for program in shell.status()["programs"]] == ["ready"] * 3, "nothing is done"


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 1), (b"y\n", 0)])
def test_purge_at_a_terminal_asks(shell: Shell, answer: bytes, code: int) -> None:
    shell.up()
    own, other = pty.openpty()
    try:
        os.write(own, answer)
        process = subprocess.run(
            [sys.executable, "-m", "votenet", "down", "--purge"],
            env=shell.env, stdin=other, capture_output=True, text=True, check=False, timeout=150,
        )  # fmt: skip
    finally:
        os.close(own)
        os.close(other)
    assert process.returncode == code, process.stderr
    assert "Remove all chains, votes and logs of 't'?" in process.stderr
    assert ("nothing was removed" in process.stderr) == shell.dirs.state.exists() == bool(code)


def test_a_network_in_a_pid_namespace_is_stopped_from_outside(shell: Shell) -> None:
    """Its supervisor calls itself process 1; out here that is another."""
    need_pid_namespace()
    argv = in_pid_namespace(sys.executable, "-m", "votenet", *shell.up_args())
    process = subprocess.Popen(argv, env=shell.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def runs() -> bool:
        try:
            return bool(shell.status()["phase"] == "running")
        except VotenetError:
            return False

    try:
        wait_until(runs)
        assert shell.status()["supervisor"]["pid"] == 1
        shell.run("down")
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


SMALL_DISK = """
mkdir -p "$1/home/t" && mount -t tmpfs none "$1/home/t" && echo '{}' > "$1/home/t/genesis.json"
VOTENET_HOME="$1/home" "$2" -m votenet down -i t --purge --yes && ls -A "$1/home/t" && rm -d "$1/home/t"
"""


def test_purge_of_a_mount_point_empties_it_and_is_done(tmp_path: Path) -> None:
    """It ended 1 after all was removed: a folder on which a disk is mounted cannot go itself."""
    asked = ["unshare", "-Urm", "sh", "-c", SMALL_DISK, "sh", str(tmp_path), sys.executable]
    if subprocess.run(["unshare", "-Urm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs a mount namespace of its own")
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=150)
    assert "Emptied" in done.stderr, done.stderr
    assert done.stdout == "", "nothing is left in it"
    assert "rm: cannot remove" in done.stderr, "it was a mount point all the time"


@pytest.mark.parametrize("mounted", ["", "node-1"], ids=["the whole instance", "one node's data"])
def test_purge_of_a_mount_point_empties_it_and_says_so(shell: Shell, mounted: str) -> None:
    """In a mount namespace: as a volume of a container, which no process can remove from inside."""
    own_mounts = ("unshare", "--mount", "--propagation", "private", "sh", "-c")
    folder = shell.dirs.state / mounted
    folder.mkdir(parents=True, mode=0o700)
    mount = f"mount -t tmpfs -o mode=0700 none {shlex.quote(str(folder))}"
    try:
        subprocess.run([*own_mounts, mount], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs root: mount namespaces")
    votenet, look = f"{sys.executable} -m votenet", f"ls -A {shlex.quote(str(folder))}; exit $code"
    up, down = shlex.join(shell.up_args("--detach")), "down --purge --yes --json"
    done = subprocess.run(
        [*own_mounts, f"{mount} && {votenet} {up} >&2 && {votenet} {down}; code=$?; {look}"],
        env=shell.env,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer, *inside = done.stdout.splitlines()
    assert inside == [], "nothing is left in it"
    assert json.loads(answer)["emptied"] == [str(folder)]
    assert f"The folder {folder} stays, empty: it is a mount point." in done.stderr
    assert ("Emptied" in done.stderr) == (mounted == "")


def test_purge_that_cannot_remove_a_file_names_it(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.up()
    shell.run("down")
    kept = shell.dirs.state / "network.json"
    real = os.unlink

    def refused(path: Any, *args: Any, **options: Any) -> None:
        if Path(path).name == kept.name:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        real(path, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refused)
        done = shell.call("down", "--purge", "--yes", code=1)
    assert f"cannot remove {shell.dirs.state}: Operation not permitted [storage-failed]" in done.stderr
    assert f"remove the rest by hand: {shell.dirs.state}" in done.stderr
    assert "Removed" not in done.stderr
    assert list(shell.dirs.state.iterdir()) == [kept], "all else is gone"
