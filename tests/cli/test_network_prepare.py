"""What `up` decides before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from votenet.cli import network_prepare
from votenet.cli.network_prepare import ELECTION, as_last_time, change, make_policy
from votenet.config import InstanceDirs, instance_dirs
from votenet.errors import ConfigError
from votenet.processes import instance
from votenet.processes.restart import RestartPolicy
from votenet.processes.spec import NetworkSpec

OPTIONS: dict[str, Any] = {
    **dict.fromkeys(ELECTION),
    "candidates": (),
    "nodes": 5,
    "kernel": None,
    "bootstrap_port": None,
    "node_port": None,
    "hang_timeout": 20.0,
    "give_up": False,
    "restart_limit": None,
    "restart_window": None,
    "restart_max_delay": None,
}
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


def test_only_what_somebody_wrote_changes_a_running_network(dirs: InstanceDirs) -> None:
    assert asked(dirs) == {}
    assert asked(dirs, nodes=3) == {"nodes": 3}
    assert asked(dirs, kernel="python") == {"settings": {"node_args": ["--kernel", "python"]}}
    assert asked(dirs, hang_timeout=9.0) == {"settings": {"hang_seconds": 9.0}}
    assert asked(dirs, bootstrap_port=4000, node_port=3000) == {}


def test_a_policy_changes_only_where_it_was_asked(dirs: InstanceDirs) -> None:
    policy = asked(dirs, give_up=True)["settings"]["policy"]
    assert (policy["limit"], policy["window"], policy["retry_removed"]) == (7, 200, None)


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
    assert network_prepare._last_block(dirs, 2) is None
    from votenet.processes import instance
    from votenet.processes.spec import NetworkSpec

    instance.make_dirs(dirs)
    ports = (3000, 3002, 3003)
    instance.save_network(dirs, NetworkSpec(instance="t", genesis="g", bootstrap_port=4000, node_ports=ports))
    wanted = {number: network_prepare._last_block(dirs, number) for number in (2, 3, 5)}
    assert {number: block.nodes for number, block in wanted.items() if block} == {
        2: (3000, 3002),
        3: ports,
        5: (*ports, 3004, 3005),
    }


def test_what_nobody_wrote_is_as_it_was_last_time(dirs: InstanceDirs) -> None:
    """A network of seven became one of five when its supervisor was killed and `up` typed again."""
    assert as_last_time(dirs, OPTIONS, set()) == (OPTIONS, []), "a new one"
    instance.make_dirs(dirs)
    network = NetworkSpec(
        instance="t", genesis="g", bootstrap_port=4000, node_ports=tuple(range(3000, 3007)),
        node_args=("--kernel", "python"), hang_seconds=9.0, policy=RestartPolicy(limit=3, retry_removed=None),
    )  # fmt: skip
    instance.save_network(dirs, network)
    merged, words = as_last_time(dirs, OPTIONS, set())
    assert words == ["--nodes 7", "--kernel python", "--hang-timeout 9.0", "--give-up", "--restart-limit 3"]
    assert (merged["nodes"], merged["kernel"], merged["hang_timeout"]) == (7, "python", 9.0)
    assert make_policy(merged) == network.policy
    asked_for = {**OPTIONS, "nodes": 5, "kernel": "auto"}
    merged, words = as_last_time(dirs, asked_for, {"nodes", "kernel"})
    assert (merged["nodes"], merged["kernel"]) == (5, "auto")
    assert words == ["--hang-timeout 9.0", "--give-up", "--restart-limit 3"]


def test_a_kernel_that_is_none_is_refused_before_a_node_fails_over_it(dirs: InstanceDirs) -> None:
    with pytest.raises(ConfigError, match="no kernel is called 'nonsense'"):
        asked(dirs, kernel="nonsense")
