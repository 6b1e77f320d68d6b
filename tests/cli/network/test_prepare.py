"""What `up` decides before anything runs."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.network_shell import Shell, alive, open_shell
from votenet.cli.network import prepare
from votenet.cli.network.prepare import ELECTION, as_last_time, change, make_policy
from votenet.config import InstanceDirs, instance_dirs
from votenet.errors import ConfigError, StorageError, VotenetError
from votenet.processes import instance
from votenet.processes.ports import Lease, PortBlock
from votenet.processes.restart import RestartPolicy
from votenet.processes.spec import NetworkSpec, WebSpec

OPTIONS: dict[str, Any] = {
    **dict.fromkeys(ELECTION),
    "candidates": (),
    "nodes": 5,
    "kernel": None,
    "bootstrap_port": None,
    "node_port": None,
    "hang_timeout": 20.0,
    "give_up": False,
    "force": False,
    "restart_limit": None,
    "restart_window": None,
    "restart_max_delay": None,
    "web": True,
    "web_port": None,
    "web_host": "127.0.0.1",
    "kiosk": False,
    "tls_cert": None,
    "tls_key": None,
    "public_url": None,
}
START: dict[str, Any] = {
    **OPTIONS, "nodes": 1, "difficulty": 8, "force": True, "web": False, "program": None,
}  # fmt: skip
"""Options of a start."""
STATUS: dict[str, Any] = {
    "instance": "t",
    "bootstrap": "127.0.0.1:4000",
    "nodes": ["127.0.0.1:3000"],
    "settings": {"node_args": [], "hang_seconds": 20.0, "policy": {"limit": 7, "window": 200}},
}


@pytest.fixture
def dirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InstanceDirs:
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path))
    return instance_dirs("t")


def asked(dirs: InstanceDirs, **given: Any) -> dict[str, Any]:
    return change(dirs, STATUS, {**OPTIONS, **given}, set(given))


def test_only_given_settings_change_a_running_network(dirs: InstanceDirs) -> None:
    assert asked(dirs) == {}
    assert asked(dirs, nodes=3) == {"nodes": 3}
    assert asked(dirs, kernel="python") == {"settings": {"node_args": ["--kernel", "python"]}}
    assert asked(dirs, hang_timeout=9.0) == {"settings": {"hang_seconds": 9.0}}
    assert asked(dirs, bootstrap_port=4000, node_port=3000) == {}


def test_a_policy_changes_only_where_it_was_asked(dirs: InstanceDirs) -> None:
    policy = asked(dirs, give_up=True)["settings"]["policy"]
    assert (policy["limit"], policy["window"], policy["retry_removed"]) == (7, 200, None)


def test_a_network_that_gave_programs_up_can_be_told_to_retry_them_again(dirs: InstanceDirs) -> None:
    gave_up = {**STATUS, "settings": {**STATUS["settings"], "policy": {"limit": 7, "retry_removed": None}}}
    request = change(dirs, gave_up, {**OPTIONS, "give_up": False}, {"give_up"})
    policy = request["settings"]["policy"]
    assert (policy["limit"], policy["retry_removed"]) == (7, RestartPolicy().retry_removed)
    instance.make_dirs(dirs)
    instance.save_network(
        dirs,
        NetworkSpec(
            instance="t", genesis="g", bootstrap_port=4000, node_ports=(3000,),
            policy=RestartPolicy(retry_removed=None),
        ),
    )  # fmt: skip
    assert as_last_time(dirs, OPTIONS, set())[0]["give_up"] is True
    assert as_last_time(dirs, OPTIONS, {"give_up"})[0]["give_up"] is False


@pytest.mark.parametrize("ports", [{"bootstrap_port": 4100}, {"node_port": 3001}])
def test_ports_of_a_running_network_stay(dirs: InstanceDirs, ports: dict[str, int]) -> None:
    with pytest.raises(ConfigError) as caught:
        asked(dirs, **ports)
    assert (caught.value.code, caught.value.exit_code) == ("cannot-change", 78)
    assert "votenet down" in caught.value.next_step


def test_a_policy_whose_limit_cannot_fire_is_refused() -> None:
    assert make_policy(OPTIONS) == RestartPolicy()
    assert make_policy({**OPTIONS, "give_up": True}).retry_removed is None
    assert make_policy({**OPTIONS, "restart_limit": 3, "restart_window": 60.0}).window == 60.0
    with pytest.raises(ConfigError, match="the limit could never fire"):
        make_policy({**OPTIONS, "restart_limit": 50})


def test_ports_of_the_last_run_are_kept_and_continued(
    dirs: InstanceDirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert prepare.ports_of_last_run(dirs, 2) is None
    from votenet.processes import instance
    from votenet.processes.spec import NetworkSpec

    instance.make_dirs(dirs)
    ports = (3000, 3002, 3003)
    instance.save_network(dirs, NetworkSpec(instance="t", genesis="g", bootstrap_port=4000, node_ports=ports))
    wanted = {number: prepare.ports_of_last_run(dirs, number) for number in (2, 3, 5)}
    assert {number: block.nodes for number, block in wanted.items() if block} == {
        2: (3000, 3002),
        3: ports,
        5: (*ports, 3004, 3005),
    }


def test_settings_that_are_not_given_stay_as_in_the_last_run(dirs: InstanceDirs) -> None:
    """A network of seven became one of five when its supervisor was killed and `up` typed again."""
    assert as_last_time(dirs, OPTIONS, set()) == (OPTIONS, []), "a new one"
    instance.make_dirs(dirs)
    network = NetworkSpec(
        instance="t", genesis="g", bootstrap_port=4000, node_ports=tuple(range(3000, 3007)),
        node_args=("--kernel", "python"), hang_seconds=9.0, policy=RestartPolicy(limit=3, retry_removed=None),
        web=WebSpec(port=8081, on=False),
    )  # fmt: skip
    instance.save_network(dirs, network)
    merged, words = as_last_time(dirs, OPTIONS, set())
    rest = ["--hang-timeout 9.0", "--give-up", "--restart-limit 3", "--no-web"]
    assert words == ["--nodes 7", "--kernel python", *rest]
    assert (merged["nodes"], merged["kernel"], merged["hang_timeout"]) == (7, "python", 9.0)
    assert make_policy(merged) == network.policy
    asked_for = {**OPTIONS, "nodes": 5, "kernel": "auto"}
    merged, words = as_last_time(dirs, asked_for, {"nodes", "kernel"})
    assert (merged["nodes"], merged["kernel"]) == (5, "auto")
    assert words == rest


def test_a_full_disk_refuses_a_start_before_what_runs_is_stopped(
    dirs: InstanceDirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageError("no space left on device")

    def stopped(*_: object) -> None:
        pytest.fail("nothing may be stopped for a start that is refused")

    lock = instance.claim(dirs)
    monkeypatch.setattr(prepare, "_lease", lambda *_: Lease(PortBlock(4000, (3000,)), []))
    monkeypatch.setattr(prepare, "end_leftovers", stopped)
    monkeypatch.setattr(instance, "saving_network", full)
    try:
        with pytest.raises(StorageError):
            prepare.prepare(dirs, lock, START, adopt=True)
    finally:
        lock.release()


def test_a_start_that_leftovers_refuse_keeps_the_settings_of_the_last_run(
    dirs: InstanceDirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = ["node-1: pid 7 does not end"]
    monkeypatch.setattr(prepare, "_lease", lambda *_: Lease(PortBlock(4000, (3000,)), []))
    monkeypatch.setattr(prepare, "end_leftovers", lambda *_: (1, problems))
    lock = instance.claim(dirs)
    try:
        with pytest.raises(VotenetError, match="does not end"):
            prepare.prepare(dirs, lock, START, adopt=True)
        assert not instance.network_file(dirs).exists(), "there was no run before"
        last = NetworkSpec(instance="t", genesis="g", bootstrap_port=4000, node_ports=(3000, 3001))
        instance.save_network(dirs, last)
        with pytest.raises(VotenetError, match="does not end"):
            prepare.prepare(dirs, lock, {**START, "hang_timeout": 9.0}, adopt=True)
        assert instance.load_network(dirs) == last
        assert not list(dirs.state.glob(".network.json*")), "nor is a new file left"
        problems.clear()
        prepare.prepare(dirs, lock, {**START, "hang_timeout": 9.0}, adopt=True)
        assert instance.load_network(dirs).hang_seconds == 9.0
    finally:
        lock.release()


def test_a_kernel_that_is_none_is_refused_before_a_node_fails_over_it(dirs: InstanceDirs) -> None:
    with pytest.raises(ConfigError, match="no kernel is called 'nonsense'"):
        asked(dirs, kernel="nonsense")


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    home = tmp_path_factory.mktemp("h")
    monkeypatch.setenv("VOTENET_HOME", str(home))
    with open_shell(home) as found:
        yield found


def test_up_shows_ports_folders_and_commands_and_leaves_no_trace(shell: Shell) -> None:
    done = shell.up("--dry-run", "--kernel", "python")
    assert "Nothing was started" in done.stdout
    assert str(shell.dirs.data_dir("node-2")) in done.stdout
    assert f"--port {int(shell.ports[3]) + 1}" in done.stdout
    assert "--kernel python" in done.stdout
    assert not shell.dirs.state.exists()
    plan = json.loads(shell.up("--dry-run", "--json").stdout)
    assert [program["name"] for program in plan["programs"]] == ["bootstrap", "node-1", "node-2"]
    assert (plan["election"], plan["stops"]) == ("is made", [])


def test_a_dry_run_refuses_the_same_as_up(shell: Shell) -> None:
    shell.up("--dry-run", "--candidate", "A", "--candidate", "A", code=78)
    shell.up("--dry-run", "--restart-limit", "0", code=78)
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", int(shell.ports[3])))
        stranger.listen()
        assert "is taken by pid" in shell.up("--dry-run", code=78).stderr
    assert not shell.dirs.state.exists()


def test_leftovers_that_would_go_on_or_stop(shell: Shell) -> None:
    shell.up()
    left = shell.pids()[1:]
    shell.kill_supervisor()
    plan = json.loads(shell.up("--dry-run", "--json", nodes=1).stdout)
    assert [program["adopts_pid"] for program in plan["programs"]] == left[:2]
    assert plan["stops"] == [f"node-2 (pid {left[2]})"]
    assert all(map(alive, left))


def test_a_running_network(shell: Shell) -> None:
    shell.up()
    before = shell.pids()
    plan = json.loads(shell.up("--dry-run", "--json", "--kernel", "python", nodes=3).stdout)
    assert (plan["starts"], plan["restarts"]) == (["node-3"], ["node-1", "node-2"])
    assert "Nothing would change" in shell.up("--dry-run").stdout
    assert shell.pids() == before


def test_scale_down_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [{"name": f"node-{number}", "role": "node", "state": "ready"} for number in (1, 2, 3)]
    status: dict[str, Any] = {"instance": "t", "nodes": ["a", "b", "c"], "programs": nodes, "settings": {}}
    prepare.show_change(status, 1, False)
    assert "stops     node-2, node-3" in capsys.readouterr().out


def shown(capsys: pytest.CaptureFixture[str], nodes: int, **options: Any) -> dict[str, Any]:
    """The plan for a running network of two nodes, one of them removed, with a page."""
    states = {"bootstrap": "ready", "node-1": "ready", "node-2": "removed", "web": "ready"}
    roles = {"bootstrap": "bootstrap", "web": "web"}
    programs = [
        {"name": name, "role": roles.get(name, "node"), "state": state, "outdated": name != "bootstrap"}
        for name, state in states.items()
    ]
    page = {"port": 8080, "on": True, "host": "127.0.0.1"}
    settings = {"node_args": [], "web": page}
    status = {"instance": "t", "nodes": ["a", "b"], "programs": programs, "settings": settings}
    prepare.show_change(status, nodes, True, **options)
    plan: dict[str, Any] = json.loads(capsys.readouterr().out)
    return plan


def test_a_dry_run_shows_restarts_that_an_interrupted_change_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert shown(capsys, 2)["restarts"] == ["node-1", "web"]
    assert shown(capsys, 2, asked=False)["restarts"] == [], "without a change `up` completes none"
    settings = {"hang_seconds": 9.0}
    assert shown(capsys, 2, settings=settings)["restarts"] == [], "a change does what it changes"


def test_a_dry_run_shows_that_a_page_starts_again_with_other_first_nodes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert shown(capsys, 3)["restarts"] == ["web"]
    assert shown(capsys, 1)["restarts"] == ["web"]
    assert shown(capsys, 1, settings={"web": {"port": 8080, "on": False}})["restarts"] == []


def test_a_dry_run_restarts_only_what_runs(capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"node_args": ["--kernel", "python"], "web": {"port": 8080, "on": True, "kiosk": True}}
    plan = shown(capsys, 2, settings=settings, idle=["node-2"])
    assert (plan["restarts"], plan["starts"]) == (["node-1", "web"], ["node-2"])


def test_a_dry_run_has_the_page_that_the_election_file_asks_for(shell: Shell) -> None:
    file = shell.home / "election.toml"
    file.write_text(
        'title = "Board"\ndifficulty = 8\npublic_url = "https://vote.example"\n[[contests]]\nid = "1"\n'
        'title = "Chair"\nmethod = "plurality"\ncandidates = ["Ann", "Bo"]\n'
    )
    typed = ("up", "--nodes", "1", *shell.program, *shell.ports, *shell.page, "-f", str(file))
    plan = json.loads(shell.run(*typed, "--dry-run", "--json").stdout)
    argv = plan["programs"][-1]["argv"]
    assert argv[argv.index("--public-url") + 1] == "https://vote.example"
