"""`up` in every way it can go, over scripted programs."""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.elections import key_of
from support.network_shell import Shell, alive, end, open_shell, wait_until
from support.refused_calls import FLOCK, PIDFD_OPEN, command
from votenet.cli.network import up
from votenet.cli.network.ls import row_of
from votenet.config import instance_dirs
from votenet.core.election.roll import Roll
from votenet.errors import Locked
from votenet.processes.control import ask
from votenet.processes.identity import leftovers, records_dir
from votenet.processes.instance import claim, load_network
from votenet.processes.spec import votenet_program
from votenet.storage.files import FileLock
from votenet.storage.genesis_file import read_genesis


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    home = tmp_path_factory.mktemp("h")
    monkeypatch.setenv("VOTENET_HOME", str(home))
    with open_shell(home) as found:
        yield found


def test_json_says_the_same_as_the_table(shell: Shell) -> None:
    status = json.loads(shell.up("--json").stdout)
    assert [program["state"] for program in status["programs"]] == ["ready"] * 3
    assert status["supervisor"]["detached"] is True
    assert Path(status["genesis"]).exists()
    assert json.loads(shell.run("down", "--json").stdout)["was_running"] is True


def test_the_election_of_a_file_is_started(shell: Shell) -> None:
    contests = (
        '[[contests]]\nid = "chair"\ntitle = "Chair"\nmethod = "instant-runoff"\ncandidates = ["Ann", "Bo"]\n'
        '[[contests]]\nid = "bylaws"\ntitle = "Bylaws"\nmethod = "motion"\nthreshold = "two-thirds"\n'
    )
    file = shell.home / "election.toml"
    file.write_text(f'title = "Meeting"\ndifficulty = 8\n{contests}')
    start = ("up", "--detach", "--nodes", "2", *shell.program, *shell.ports, "-f", str(file))
    refused = shell.run(*start, "--title", "Another", code=78)
    assert "[contradiction]" in refused.stderr
    assert not shell.dirs.genesis.exists()
    shell.run(*start)
    election = read_genesis(shell.dirs.genesis)
    assert [contest.id for contest in election.definition.contests] == ["chair", "bylaws"]
    assert election.named == 2
    assert "nothing to change" in shell.run(*start).stderr
    file.write_text(f'title = "Meetings"\ndifficulty = 8\n{contests}')
    assert "differs in title [other-election]" in shell.run(*start, code=78).stderr


def test_a_node_that_cannot_work_is_named_with_its_last_words(shell: Shell) -> None:
    shell.plan({"node-2": {"exit_always": 78}})
    done = shell.up(code=6)
    assert "node-2 is failed: exit 78 (bad configuration)" in done.stderr
    assert "| node-2 start 1" in done.stderr
    assert [program["state"] for program in shell.status()["programs"]] == ["ready", "ready", "failed"]


@pytest.mark.long
def test_a_node_that_is_never_ready_is_named(shell: Shell) -> None:
    shell.plan({"node-1": {"ready": False}})
    done = shell.up("--timeout", "12", code=5)
    assert "node-1 is starting" in done.stderr
    assert "| node-1 start 1" in done.stderr
    assert "not everything was ready within 12 s" in done.stderr
    assert alive(shell.pids()[0]), "it goes on in the background"


def test_scenario_18_a_wanted_port_that_is_taken(shell: Shell) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", int(shell.ports[3]) + 1))
        stranger.listen()
        done = shell.up(code=78)
    assert f"port {int(shell.ports[3]) + 1} is taken by pid {os.getpid()}" in done.stderr
    shell.run("ps", code=3)
    assert not any(shell.dirs.logs.iterdir()), "nothing was started"


def test_scenario_18_two_ups_at_once_make_one_supervisor(shell: Shell) -> None:
    both = [shell.start(*shell.up_args("--detach")) for _ in range(2)]
    results = [process.communicate(timeout=150) for process in both]
    assert [process.returncode for process in both] == [0, 0], results
    assert sum("already running" in err for _, err in results) == 1
    status = shell.status()
    assert [program["incarnation"] for program in status["programs"]] == [1, 1, 1]
    assert len(leftovers(shell.dirs)) == 3


def test_scenario_18_two_instances_side_by_side(shell: Shell) -> None:
    shell.run("up", "--nodes", "1", "--difficulty", "8", "--detach", *shell.program)
    other = ("up", "-i", "other", "--nodes", "1", "--difficulty", "8", "--detach", *shell.program)
    try:
        shell.run(*other)
        second = ask(instance_dirs("other"), {"command": "status"})
        first = shell.status()
        assert not {*first["nodes"], first["bootstrap"]} & {*second["nodes"], second["bootstrap"]}
        shell.run("down")
        assert json.loads(shell.run("ps", "-i", "other", "--json").stdout)["phase"] == "running"
    finally:
        end(instance_dirs("other"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_scenario_14_foreground_until_a_signal(shell: Shell, number: signal.Signals, code: int) -> None:
    process = shell.start(*shell.up_args())
    assert process.stdout is not None
    table = [process.stdout.readline() for _ in range(4)]
    assert table[-1].startswith("node-2")
    pids = shell.pids()
    process.send_signal(number)
    _, err = process.communicate(timeout=150)
    assert process.returncode == code, err
    assert "Ctrl-C" in err
    assert err.rstrip().endswith("stopped")
    assert not any(map(alive, pids))


def test_scenario_03_up_after_a_killed_supervisor_adopts_running_programs(shell: Shell) -> None:
    shell.up()
    programs = shell.pids()[1:]
    shell.kill_supervisor()
    alone = shell.run("ps", code=3).stderr
    assert "still run: bootstrap, node-1, node-2" in alone
    assert "votenet up -i t --nodes 2 --detach" in alone
    shell.up()
    status = shell.status()
    assert shell.pids()[1:] == programs
    assert [program["incarnation"] for program in status["programs"]] == [1, 1, 1]
    assert len(leftovers(shell.dirs)) == 3
    assert "adopted" in shell.run("logs", "supervisor").stdout
    os.kill(programs[1], signal.SIGKILL)
    wait_until(lambda: shell.status()["programs"][1]["incarnation"] == 2)
    wait_until(lambda: shell.status()["programs"][1]["state"] == "ready")
    node = shell.status()["programs"][1]
    assert (node["incarnation"], node["restarts"]) == (2, 1)
    assert "an earlier supervisor had started it" in node["cause"]


@pytest.mark.parametrize("record", ['{"v":1,"inst', None])
def test_scenario_04_a_program_without_a_record_does_not_block_its_port(
    shell: Shell, record: str | None
) -> None:
    """The supervisor died before it wrote who it had started; or the disk lost it."""
    shell.up()
    before = shell.pids()
    shell.kill_supervisor()
    path = records_dir(shell.dirs) / "node-1.json"
    told = json.loads(path.read_text())
    path.write_text(record or json.dumps({**told, "intent": "starting", "pid": 0, "start_ticks": 0}))
    shell.up()
    after = shell.pids()
    assert not alive(before[2]), "ended, as it is not known which one it was"
    assert (after[1], after[3]) == (before[1], before[3]), "adopted"
    assert [program["state"] for program in shell.status()["programs"]] == ["ready"] * 3


def test_scenario_03_programs_whose_settings_changed_are_not_adopted(shell: Shell) -> None:
    shell.up(nodes=3)
    bootstrap, *nodes = shell.pids()[1:]
    shell.kill_supervisor()
    done = shell.up("--kernel", "python")
    assert "left from a supervisor that died; stopping it" in done.stderr
    assert not any(map(alive, nodes)), "two with other arguments, one too many"
    assert shell.pids()[1] == bootstrap
    assert [program["incarnation"] for program in shell.status()["programs"]] == [1, 2, 2]


def test_scenario_03_a_refused_up_leaves_running_programs_alone(shell: Shell) -> None:
    shell.up()
    programs = shell.pids()[1:]
    shell.kill_supervisor()
    shell.up("--candidate", "Zoe", code=78)
    shell.up("--restart-limit", "20", "--restart-max-delay", "60", code=78)
    assert all(map(alive, programs))
    assert [left.pid for left in leftovers(shell.dirs)] == programs


def test_scenario_03_the_foreground_starts_anew(shell: Shell) -> None:
    shell.up()
    programs = shell.pids()[1:]
    shell.kill_supervisor()
    process = shell.start(*shell.up_args())
    assert process.stdout is not None
    for _ in range(4):
        process.stdout.readline()
    assert not any(map(alive, programs))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=150)


def test_a_supervisor_that_dies_while_starting_leaves_its_last_words(shell: Shell) -> None:
    (shell.dirs.run / "notify.sock").mkdir(parents=True, mode=0o700)
    shell.dirs.run.chmod(0o700)
    done = shell.start(*shell.up_args("--detach"))
    _, err = done.communicate(timeout=150)
    assert done.returncode == 1, err
    assert "the supervisor ended with exit code" in err
    assert f"no socket can be made in {shell.dirs.run}" in err
    assert "notify.sock" in shell.run("down", code=1).stderr
    (shell.dirs.run / "notify.sock").rmdir()


def test_supervise_by_hand_starts_the_same_network(shell: Shell) -> None:
    shell.up()
    before = shell.status()
    shell.run("down")
    process = shell.start("supervise")
    try:
        assert process.stderr is not None
        seen = ""
        while "node-1: ready" not in seen or "node-2: ready" not in seen:
            seen += process.stderr.readline()
        after = shell.status()
        assert (after["nodes"], after["bootstrap"]) == (before["nodes"], before["bootstrap"])
        assert shell.run("supervise", code=75).stderr.startswith("Error: another supervisor")
    finally:
        process.terminate()
        process.communicate(timeout=150)
    assert process.returncode == 0


def test_method_hours_and_roll_reach_the_genesis_and_the_nodes(shell: Shell, tmp_path: Path) -> None:
    roll = tmp_path / "roll.json"
    roll.write_bytes(Roll([("ann", key_of("ann").public_hex)]).to_file())
    before = int(time.time())
    options = ("--method", "instant-runoff", "--opens", "+30m", "--closes", "+2h", "--roll", str(roll))
    status = json.loads(shell.up("--json", *options).stdout)
    election = read_genesis(Path(status["genesis"]))
    held = election.definition
    assert (election.contests[0].method.name, election.contests[0].definition.max) == ("instant-runoff", 3)
    assert (held.registration, held.roll_size) == ("roll", 1)
    assert held.opens is not None
    assert held.closes == held.opens + 5400
    assert before + 1800 <= held.opens <= time.time() + 1800
    kept = ("--roll", str(Path(status["genesis"]).with_name("roll.json")))
    assert load_network(shell.dirs).node_args[-2:] == kept


def test_grace_and_witness_reach_the_genesis(shell: Shell, tmp_path: Path) -> None:
    key = shell.run("witness", "--show-key", "--data-dir", str(tmp_path / "w")).stdout.strip()
    outsider = ("Union", key, "http://127.0.0.1:4100")
    status = json.loads(shell.up("--json", "--named-nodes", "--grace", "5", "--witness", *outsider).stdout)
    held = read_genesis(Path(status["genesis"])).definition
    assert held.chain.grace_seconds == 5
    assert [(one.name, one.key, one.url) for one in held.witnesses] == [outsider]


@pytest.mark.parametrize("option", ["--opens", "--closes"])
def test_an_hour_without_a_zone_is_refused(shell: Shell, option: str) -> None:
    assert "has no zone" in shell.up(option, "2027-05-31T18:00", code=2).stderr


def test_a_silently_held_lock_is_waited_for_within_limits(shell: Shell) -> None:
    held = claim(shell.dirs)
    with pytest.raises(Locked, match="does not answer"):
        up.status_or_lock(shell.dirs, 0.2)
    threading.Timer(0.3, held.release).start()
    ours = up.status_or_lock(shell.dirs, 60.0)
    assert isinstance(ours, FileLock), "the other one has died: we start"
    ours.release()


def test_the_owner_of_the_working_folder_does_not_matter(shell: Shell, tmp_path: Path) -> None:
    """A file called as a module of Python's is not run; a folder that is gone, or is wanted back, is free."""
    folder = tmp_path / "of-somebody"
    folder.mkdir()
    (folder / "sqlite3.py").write_text("raise SystemExit('the wrong one')")
    shell.env["VOTENET_HOME"] = os.path.relpath(shell.home, folder)
    typed = [*votenet_program(), "up", "-d", "--nodes", "1", "--difficulty", "8", *shell.ports]
    done = subprocess.run(typed, env=shell.env, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shell.env["VOTENET_HOME"] = str(shell.home)
    status = shell.status()
    for pid in (status["supervisor"]["pid"], *(program["pid"] for program in status["programs"])):
        assert os.readlink(f"/proc/{pid}/cwd") == str(shell.dirs.state)
    shutil.rmtree(folder)
    asked = [*votenet_program(), "ps"]
    code = f"import os, sys; os.mkdir({str(folder)!r}); os.chdir({str(folder)!r}); os.rmdir({str(folder)!r})"
    gone = subprocess.run(
        [sys.executable, "-c", f"{code}; os.execv(sys.executable, {asked!r})"],
        env=shell.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (gone.returncode, "node-1" in gone.stdout) == (0, True), gone.stderr


def test_up_restarts_stopped_programs_and_waits_for_nothing_else(shell: Shell) -> None:
    shell.up()
    before = shell.pids()
    shell.run("stop", "node-1")
    assert shell.status()["phase"] == "running", "as another command wants it"
    assert json.loads(shell.run("up", "--dry-run", "--json").stdout)["starts"] == ["node-1"]
    again = shell.run("up", "--detach", "--timeout", "60")
    assert "starting again what was out: node-1" in again.stderr
    after = shell.pids()
    assert after[2] != before[2]
    assert [*after[:2], after[3]] == [*before[:2], before[3]]
    shell.plan({"node-1": {"exit_always": 78}})
    shell.run("restart", "node-1", code=6)
    assert "not every program came up" in shell.run("up", "--detach", code=6).stderr
    shell.plan({})
    shell.run("up", "--detach")
    assert {program["state"] for program in shell.status()["programs"]} == {"ready"}


READ_ONLY = 'mount --rbind /tmp /tmp && mount -o remount,ro,bind /tmp && ! mkdir "/tmp/x$$" 2>/dev/null'
FOREIGN = 'd="/tmp/votenet-$(id -u)"; mkdir -p "$d" && mount -t tmpfs none "$d" && chown 12345 "$d"'


@pytest.mark.parametrize("spoil", [READ_ONLY, FOREIGN], ids=["read-only", "foreign"])
def test_a_temporary_folder_that_cannot_be_used_is_done_without(shell: Shell, spoil: str) -> None:
    """In a mount namespace: nothing of this machine's own folders is touched."""
    own_mounts = ("unshare", "--mount", "--propagation", "private", "sh", "-c")
    try:
        subprocess.run([*own_mounts, spoil], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs root: mount namespaces")
    votenet = f"{sys.executable} -m votenet"
    up = shlex.join(shell.up_args("--detach", nodes=1))
    script = f'mount --bind "$1" "$1" && {spoil} && {votenet} {up} && {votenet} ps --json && {votenet} down'
    done = subprocess.run(
        [*own_mounts, script, "sh", str(shell.home)],
        env=shell.env,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"phase":"running"' in done.stdout.replace(" ", "")


@pytest.mark.parametrize(
    ("call", "number", "code"),
    [
        (PIDFD_OPEN, errno.ENOSYS, "no-pidfd"),
        (PIDFD_OPEN, errno.EPERM, "no-pidfd"),
        (FLOCK, errno.ENOLCK, "no-locks"),
    ],
)
def test_a_refusal_of_the_kernel_is_named_at_once(shell: Shell, call: int, number: int, code: str) -> None:
    """An old kernel, a seccomp profile, a network filesystem without locks: nothing is begun, or retried."""
    argv = command({call: number}, sys.executable, "-m", "votenet", *shell.up_args("--detach"))
    done = subprocess.run(argv, env=shell.env, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 78, done.stderr
    assert f"[{code}]" in done.stderr
    assert leftovers(shell.dirs) == []


def test_a_machine_whose_ports_are_all_for_outgoing_connections_has_a_network(shell: Shell) -> None:
    """In a network namespace: this machine's own range is not touched."""
    own_network = ("unshare", "--net", "sh", "-c")
    narrow = "ip link set lo up && echo 1024 65535 >/proc/sys/net/ipv4/ip_local_port_range"
    try:
        subprocess.run([*own_network, narrow], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs root and `ip`: network namespaces")
    votenet = f"{sys.executable} -m votenet"
    up = shlex.join(("up", "--detach", "--nodes", "2", "--difficulty", "8", *shell.program))
    script = f"{narrow} && {votenet} {up} && {votenet} scale 3 && {votenet} ps --json && {votenet} down"
    done = subprocess.run(
        [*own_network, script], env=shell.env, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "no block is free below 1024" in done.stderr
    status = json.loads(done.stdout.strip().splitlines()[-1])
    assert [program["state"] for program in status["programs"]] == ["ready"] * 4


def test_after_a_killed_supervisor_up_goes_on_with_the_network_as_it_was(shell: Shell) -> None:
    shell.up("--kernel", "python", nodes=3)
    before = shell.pids()
    shell.kill_supervisor()
    again = shell.run("up", "--detach", *shell.program)
    assert "as last time: --nodes 3, --kernel python" in again.stderr
    assert shell.pids()[1:] == before[1:], "adopted, all of them"


def test_settings_that_need_no_restart_are_said_to_change(shell: Shell) -> None:
    """It said: nothing to change."""
    shell.up()
    before = shell.pids()
    told = shell.call("up", "--hang-timeout", "33", "--restart-limit", "4", "--detach").stderr
    assert "changed: hang timeout from 20 to 33 s, restart limit from 5 to 4" in told
    assert shell.pids() == before
    assert "nothing to change" in shell.call("up", "--hang-timeout", "33", "--detach").stderr
    told = shell.call("up", "--give-up", "--detach").stderr
    assert "changed: removed programs stay out" in told
    told = shell.call("up", "--no-give-up", "--detach").stderr
    assert "changed: removed programs are tried again every 300 s" in told
    assert shell.pids() == before


def test_an_election_that_differs_says_in_what(shell: Shell) -> None:
    shell.up("--candidate", "Ann", "--candidate", "Bo")
    told = shell.run("up", "-d", "--candidate", "Ann", "--title", "X", "--difficulty", "9", code=78).stderr
    assert (
        "'Election', which cannot be changed: --title is 'Election', not 'X'; "
        "--candidate is Ann, Bo, not Ann; --difficulty is 8, not 9"
    ) in told
    assert "votenet down -i t --purge" in told
    shell.run("up", "-d", "--candidate", "Ann", "--candidate", "Bo", "--difficulty", "8")


def test_a_network_of_another_name_is_pointed_at(shell: Shell) -> None:
    shell.up()
    told = shell.call("ps", "-i", "other", code=3).stderr
    assert "no network is running (instance 'other'); others run: t (use -i NAME)" in told
    told = shell.call("peers", "list", "-i", "other", code=3).stderr
    assert "no network is running (instance 'other')" in told, "another one's server was asked"
    assert row_of("t").state == "running"
    shell.kill_supervisor()
    assert row_of("t").state == "no supervisor"
