"""`partition`, `heal`, `slow`: how groups and delays are read, refused and shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from network_shell import Shell, open_shell
from votenet.cli import network_links
from votenet.cli.network_links import parse_delay, parse_groups
from votenet.network import link_faults


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    home: Path = tmp_path_factory.mktemp("h")
    monkeypatch.setenv("VOTENET_HOME", str(home))
    with open_shell(home) as found:
        yield found


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
    assert network_links._MAX_DELAY == link_faults.MAX_DELAY


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
