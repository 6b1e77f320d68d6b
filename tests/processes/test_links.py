"""Partition, heal, slow: the contents of each node's file; bad requests change nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from votenet.errors import NoSuchNode, StorageError, VotenetError
from votenet.network.link_faults import LINK_FAULTS_FILE, LinkFaults
from votenet.processes import links
from votenet.processes.links import forget, read, write
from votenet.processes.machine import State

Network = Callable[..., Any]


async def nothing(event: Mapping[str, Any]) -> None:
    return None


async def ask(net: Any, command: str, **fields: Any) -> Mapping[str, Any]:
    return await net.supervisor.requests.handle({"command": command, **fields}, nothing)


def faults(net: Any) -> dict[str, LinkFaults]:
    return {name: read(net.program(name).spec.data_dir) for name in net.table.programs if name != "bootstrap"}


def addresses(net: Any, *numbers: int) -> tuple[str, ...]:
    return tuple(str(net.program(f"node-{number}").spec.address) for number in numbers)


def test_partition_slow_and_heal_are_written_followed_and_shown(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "FOLLOW_SECONDS", 60.0)
    net = network(nodes=4)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        answer = await ask(net, "partition", groups=[["node-1"], ["node-[23]"]])
        assert answer["late"] == []
        shown = {program["name"]: program["links"] for program in answer["programs"]}
        assert shown["node-1"] == {"cut": addresses(net, 2, 3), "delay": 0.0}
        assert shown["node-4"] is None
        one = addresses(net, 1)
        assert faults(net) == {
            "node-1": LinkFaults(cut=addresses(net, 2, 3)),
            "node-2": LinkFaults(cut=one),
            "node-3": LinkFaults(cut=one),
            "node-4": LinkFaults(),
        }
        await ask(net, "slow", names=["node-2", "node-4"], delay=0.2)
        assert faults(net)["node-2"] == LinkFaults(cut=one, delay=0.2)
        await ask(net, "partition", groups=[["node-3"], ["node-4"]])
        assert faults(net) == {
            "node-1": LinkFaults(),
            "node-2": LinkFaults(delay=0.2),
            "node-3": LinkFaults(cut=addresses(net, 4)),
            "node-4": LinkFaults(cut=addresses(net, 3), delay=0.2),
        }
        await ask(net, "heal")
        answer = await ask(net, "slow", names=["node-*"], delay=0)
        assert not any(faults(net).values())
        assert {program["links"] for program in answer["programs"]} == {None}

    assert net.play(scenario) == []


def test_a_node_that_is_started_again_is_as_cut_off_as_before(network: Network) -> None:
    net = network(nodes=2)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        await ask(net, "stop", names=["node-2"])
        answer = await ask(net, "partition", groups=[["node-1"], ["node-2"]])
        assert answer["late"] == []  # it reads its file when it starts
        await ask(net, "start", names=["node-2"], wait=20)
        await net.until(lambda: net.program("node-2").heartbeat.links == LinkFaults(cut=addresses(net, 1)))

    assert net.play(scenario) == []


def test_a_node_that_does_not_follow_is_named(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "FOLLOW_SECONDS", 60.0)
    net = network(nodes=2, plans={"node-2": {"mute": True}})

    async def scenario(net: Any) -> None:
        await net.all_ready()
        await ask(net, "stop", names=["node-2"])  # nobody need wait for it now
        assert (await ask(net, "slow", names=["node-1"], delay=1.0))["late"] == []
        await ask(net, "start", names=["node-2"], wait=50)
        monkeypatch.setattr(links, "FOLLOW_SECONDS", 0.3)
        assert (await ask(net, "slow", names=["node-*"], delay=1.0))["late"] == ["node-2"]

    assert net.play(scenario) == []


@pytest.mark.parametrize(
    ("command", "fields", "words"),
    [
        ("partition", {}, "`groups`"),
        ("partition", {"groups": [["node-1"]]}, "`groups`"),
        ("partition", {"groups": [["node-1"], []]}, "`names`"),
        ("partition", {"groups": [["node-1"], ["node-*"]]}, "more than one group"),
        ("partition", {"groups": [["bootstrap"], ["node-1"]]}, "between nodes"),
        ("partition", {"groups": [["node-1"], ["node-9"]]}, "no node"),
        ("slow", {"names": ["node-1"]}, "`delay`"),
        ("slow", {"names": ["node-1"], "delay": True}, "`delay`"),
        ("slow", {"names": ["node-1"], "delay": -1}, "`delay`"),
        ("slow", {"names": ["node-1"], "delay": 3600}, "`delay`"),
        ("slow", {"names": ["bootstrap"], "delay": 1}, "between nodes"),
    ],
)
def test_bad_requests_change_nothing(network: Network, command: str, fields: Any, words: str) -> None:
    net = network(nodes=2)

    async def scenario(net: Any) -> None:
        with pytest.raises((VotenetError, NoSuchNode), match=words):
            await ask(net, command, **fields)
        assert not any(faults(net).values())

    assert net.play(scenario) == []


def test_a_network_that_starts_anew_starts_whole(network: Network, tmp_path: Path) -> None:
    net = network(nodes=1)
    write(net.program("node-1").spec.data_dir, LinkFaults(delay=1.0))

    async def scenario(net: Any) -> None:
        await net.reaches("node-1", State.READY)
        assert not read(net.program("node-1").spec.data_dir)

    assert net.play(scenario) == []


def test_files(tmp_path: Path) -> None:
    folder = tmp_path / "node-1"
    write(folder, LinkFaults())
    assert not folder.exists()
    write(folder, LinkFaults(delay=0.5))
    assert (folder / LINK_FAULTS_FILE).stat().st_mode & 0o777 == 0o600
    assert read(folder) == LinkFaults(delay=0.5)
    write(folder, LinkFaults())
    assert not (folder / LINK_FAULTS_FILE).exists()
    (folder / LINK_FAULTS_FILE).write_text("{")
    assert read(folder) == LinkFaults()
    forget([folder, tmp_path / "nobody"])
    assert list(folder.iterdir()) == []
    (folder / LINK_FAULTS_FILE).mkdir()
    with pytest.raises(StorageError):
        write(folder, LinkFaults())
