"""start, stop, restart, kill, pause, resume and scale as a person types them, over scripted programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from support.network_shell import Shell, open_shell, wait_until
from votenet.cli.main import main
from votenet.cli.network import control
from votenet.cli.network.control import parse_delay, parse_groups
from votenet.network import link_faults
from votenet.processes.ports import is_free
from votenet.storage.files import FileLock


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    home = tmp_path_factory.mktemp("h")
    monkeypatch.setenv("VOTENET_HOME", str(home))
    with open_shell(home) as found:
        yield found


def programs(shell: Shell) -> dict[str, dict[str, Any]]:
    return {program["name"]: program for program in shell.status()["programs"]}


def test_stop_start_restart_and_the_faults(shell: Shell) -> None:
    shell.up()
    first = programs(shell)["node-1"]["pid"]
    stopped = shell.run("stop", "node-1")
    assert "node-1  stopped" in stopped.stdout
    done = json.loads(shell.call("start", "node-1", "--json").stdout)
    assert [(p["name"], p["state"], p["incarnation"]) for p in done["programs"]] == [("node-1", "ready", 2)]
    assert done["programs"][0]["pid"] != first
    done = json.loads(shell.call("restart", "node-*", "--json").stdout)
    assert [p["incarnation"] for p in done["programs"]] == [3, 2]
    assert "node-2  paused" in shell.call("pause", "node-2").stdout
    assert "node-2  ready" in shell.call("resume", "node-2").stdout


def test_kill_says_why_this_process_ended_when_the_next_cannot_start(shell: Shell) -> None:
    """It said of the killed process that it ended because the next could not be started (a full disk)."""
    shell.up()
    record = shell.dirs.state / "programs" / "node-2.json"
    record.unlink()
    (record / "in the way").mkdir(parents=True)
    done = shell.run("kill", "node-2")
    assert ", which ended: killed by SIGKILL. It is " in done.stderr
    wait_until(lambda: "could not be started" in (programs(shell)["node-2"]["cause"] or ""))


def test_kill_reports_its_effect(shell: Shell) -> None:
    """It showed the program as it was before, alive and with its old pid."""
    shell.up()
    old = programs(shell)["node-2"]["pid"]
    done = shell.call("kill", "node-2")
    new = programs(shell)["node-2"]["pid"]
    assert f"node-2: SIGKILL sent to pid {old}, which ended: killed by SIGKILL. It is " in done.stderr
    assert str(new) in done.stdout.split()
    assert str(old) not in done.stdout.split()
    wait_until(lambda: programs(shell)["node-2"]["state"] == "ready")
    answer = json.loads(shell.call("kill", "-s", "term", "node-2", "--json").stdout)
    cause = "exit 0 (ended by itself, not asked to)"
    told = {"name": "node-2", "pid": new, "sent": True, "ended": True, "cause": cause}
    assert answer["signals"] == [told]
    assert answer["programs"][0]["cause"] == cause
    shell.call("pause", "node-1")
    goes_on = shell.call("kill", "-s", "cont", "node-1")
    assert "SIGCONT sent to pid" in goes_on.stderr
    assert "which goes on." in goes_on.stderr
    stopped = shell.call("kill", "-s", "stop", "node-1")
    assert "which is paused." in stopped.stderr
    assert "votenet resume -i t node-1" in stopped.stderr


def test_a_command_that_does_not_fit_the_state_names_one_that_does(shell: Shell) -> None:
    shell.up()
    shell.call("stop", "node-1")
    for command in ("kill", "pause", "resume"):
        told = shell.call(command, "node-*", code=3).stderr
        assert "node-1 is stopped: no process to signal" in told
        assert "  votenet start -i t node-1" in told
    paused = shell.call("pause", "node-2")
    assert "votenet logs" not in paused.stderr, "it was asked for: its log explains nothing"
    assert "|" not in paused.stderr
    told = shell.call("start", "node-2", code=5).stderr
    assert "node-2 is paused" in told
    assert "  votenet resume -i t node-2" in told
    assert "node-2 is paused. Next: votenet resume -i t node-2" in shell.call("ps").stderr


def test_stop_fails_when_something_is_left(shell: Shell) -> None:
    """Its help said exit code 1, and it ended 0."""
    shell.up()
    lock = shell.dirs.data_dir("node-1") / "stranger.lock"
    held = FileLock.acquire(lock)
    try:
        done = shell.call("stop", "node-1", code=1)
        assert "[not-clean]" in done.stderr
        assert f"node-1: the lock {lock} is still held" in done.stderr
        assert json.loads(shell.call("stop", "node-1", "--json", code=1).stdout)["programs"][0]["problem"]
    finally:
        held.release()
    shell.call("start", "node-1")


def test_a_removed_node_is_shown_with_its_last_words_and_comes_back_with_its_data(shell: Shell) -> None:
    shell.up("--restart-limit", "2")
    shell.plan({"node-1": {"exit_always": 1}})
    shell.call("kill", "node-1")
    wait_until(lambda: programs(shell)["node-1"]["state"] == "removed")
    shown = shell.call("ps")
    assert "removed" in shown.stdout
    assert "exit 1 (a failure); next try in" in shown.stdout
    assert "node-1 is removed: exit 1 (a failure)" in shown.stderr
    assert "| node-1 start 2" in shown.stderr
    error = json.loads(shell.call("start", "node-1", "--json", code=6).stdout)
    assert error["programs"][0]["state"] == "removed"
    shell.plan({})
    assert "node-1  ready" in shell.call("start", "node-1").stdout
    starts = int((shell.dirs.data_dir("node-1") / "starts").read_text())
    assert starts == programs(shell)["node-1"]["incarnation"], "the same data folder all the time"


def test_scale_and_rolling(shell: Shell) -> None:
    shell.up(nodes=2)
    planned = shell.call("scale", "4", "--dry-run")
    assert "starts    node-3, node-4" in planned.stdout
    done = shell.call("scale", "4")
    assert "changed: node-3, node-4" in done.stderr
    assert "node-4     ready" in done.stdout
    assert "nothing to change" in shell.call("scale", "4").stderr
    gone = programs(shell)["node-4"]["address"].rpartition(":")[2]
    answer = json.loads(shell.call("scale", "1", "--json").stdout)
    assert [p["name"] for p in answer["programs"]] == ["bootstrap", "node-1"]
    assert is_free("127.0.0.1", int(gone))
    rolled = json.loads(shell.call("restart", "--rolling", "--json").stdout)
    assert rolled == {"restarted": ["node-1", "bootstrap"]}
    shell.plan({"node-1": {"exit_always": 78}})
    failed = shell.call("restart", "--rolling", code=6)
    assert "node-1 is failed: exit 78" in failed.stderr
    assert "not restarted: bootstrap" in failed.stderr


@pytest.mark.parametrize("command", ["start", "stop", "restart", "kill", "pause", "resume"])
def test_nothing_runs(shell: Shell, command: str) -> None:
    assert "votenet up" in shell.call(command, "node-1", code=3).stderr


def test_bad_input_changes_nothing(shell: Shell) -> None:
    shell.up()
    before = shell.pids()
    for command in ("start", "stop", "restart", "kill", "pause", "resume"):
        done = shell.call(command, "node-1", "node-9", code=4)
        assert "there are bootstrap, node-1, node-2" in done.stderr
    assert "no signal" in shell.call("kill", "-s", "VANISH", "node-1", code=2).stderr
    assert "--rolling" in shell.call("restart", code=2).stderr
    shell.call("scale", "0", code=2)
    shell.call("scale", "65", code=2)
    shell.call("scale", "many", code=2)
    shell.call("stop", code=2)
    assert shell.pids() == before


@pytest.mark.parametrize("command", ["start", "stop", "restart", "kill", "pause", "resume", "scale"])
def test_help_teaches_with_examples(command: str) -> None:
    done = CliRunner().invoke(main, [command, "--help"])
    assert done.exit_code == 0
    for word in ("Examples:", f"votenet {command}", "Exit codes:", "--json", "--instance"):
        assert word in done.output


@pytest.mark.parametrize(
    ("words", "groups"),
    [
        (("a,b", "/", "c,d,e"), [["a", "b"], ["c", "d", "e"]]),
        (("a,b/c",), [["a", "b"], ["c"]]),
        (("a", "b", "/", "c,", "d"), [["a", "b"], ["c", "d"]]),
        (("a / b / node-*",), [["a"], ["b"], ["node-*"]]),
    ],
)
def test_groups(words: tuple[str, ...], groups: list[list[str]]) -> None:
    assert parse_groups(words) == groups


@pytest.mark.parametrize("words", [("a",), ("a", "b"), ("a", "/"), ("/", "a"), ("/",), ("a//b",), (",/,",)])
def test_groups_that_are_none(words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="two groups"):
        parse_groups(words)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("200ms", 0.2), ("1.5s", 1.5), ("0ms", 0.0), ("0s", 0.0), ("0", 0.0), (" 60s ", 60.0)],
)
def test_delays(text: str, seconds: float) -> None:
    assert parse_delay(text) == seconds


@pytest.mark.parametrize("text", ["", "fast", "200", "-1ms", "1e3ms", "61s", "60001ms", "1 s", "infs", "²ms"])
def test_delays_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"no delay|longer than"):
        parse_delay(text)


def test_the_longest_delay_is_the_nodes_own() -> None:
    assert control._MAX_DELAY == link_faults.MAX_DELAY


def test_a_partition_is_shown_and_healed_and_mistakes_are_told(shell: Shell) -> None:
    shell.call("heal", code=3)
    shell.up(nodes=3)
    assert "cut off" not in shell.call("ps").stdout
    shell.call("partition", "node-1", "/", "node-2,node-3")
    shell.call("slow", "node-3", "200ms")
    rows = {line.split()[0]: line for line in shell.call("ps").stdout.splitlines()}
    ports = [program["address"] for program in shell.status()["programs"]]
    assert "a partition keeps it from node-2, node-3" in rows["node-1"]
    assert "a partition keeps it from node-1; slowed by 200 ms" in rows["node-3"]
    assert all(rows[name].split()[1:3] == ["cut", "off"] for name in ("node-1", "node-2", "node-3"))
    told = shell.call("ps").stderr.splitlines()
    why = "node-1 is cut off: a partition keeps it from node-2, node-3."
    assert f"{why} Next: votenet heal -i t" in told
    programs = {
        p["name"]: p for p in json.loads(shell.call("slow", "node-3", "0ms", "--json").stdout)["programs"]
    }
    assert programs["node-3"]["links"] == {"cut": [ports[1]], "delay": 0.0}
    assert "cut off" not in shell.call("heal").stdout
    assert "more than one group" in shell.call("partition", "node-1 / node-*", code=2).stderr
    assert "no node 'x'" in shell.call("partition", "node-1 / x", code=4).stderr
    assert "two groups" in shell.call("partition", "node-1,node-2", code=2).stderr
    assert "no delay" in shell.call("slow", "node-1", "soon", code=2).stderr
