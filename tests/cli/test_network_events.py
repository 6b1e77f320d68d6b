"""`events` and `wait` over scripted programs."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import click
import pytest

from network_shell import Shell, open_shell
from votenet.cli.network_events import condition


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    home = tmp_path_factory.mktemp("h")
    monkeypatch.setenv("VOTENET_HOME", str(home))
    with open_shell(home) as found:
        yield found


def test_events_and_wait(shell: Shell) -> None:
    assert "votenet up" in shell.call("events", code=3).stderr
    shell.call("wait", "--for", "ready", code=3)
    shell.up()
    follower = shell.start("events", "--json")
    try:
        assert follower.stdout is not None
        first = [json.loads(follower.stdout.readline()) for _ in range(3)]
        assert [(event["name"], event["state"]) for event in first] == [
            ("node-1", "ready"), ("node-2", "ready"), ("bootstrap", "ready"),
        ]  # fmt: skip
        shell.call("wait", "--for", "ready")
        shell.call("wait", "--for", "height=7", "--json")
        shell.call("wait", "--for", "results")
        shell.call("wait", "--for", "height=8", "--timeout", "0.1", code=5)
        assert "node-2  stopped" in shell.call("stop", "node-2").stdout
        told = [json.loads(follower.stdout.readline()) for _ in range(2)]
        assert [event["state"] for event in told] == ["stopping", "stopped"]
        late = shell.call("wait", "--for", "ready", "--timeout", "0", code=5).stderr
        assert "node-2 is stopped. It comes back with: votenet start -i t node-2" in late
        assert "not ready after 0 s: node-2 is stopped" in late
        assert "  votenet start -i t node-2" in late
        shell.call("stop", "node-1")
        shell.call("wait", "--for", "height=1", "--timeout", "0.1", code=5)  # of no node it is not true
        told = [json.loads(follower.stdout.readline()) for _ in range(2)]
        shell.call("wait", "--for", "wonders", code=2)
    finally:
        follower.send_signal(signal.SIGINT)
        follower.communicate(timeout=60)
    assert follower.returncode == 130


@pytest.mark.parametrize(
    "text", ["", "height", "height=", "height=-1", "height=x", "height=9999999999", "now"]
)
def test_no_such_condition(text: str) -> None:
    with pytest.raises(click.BadParameter, match="neither ready"):
        condition(click.Context(click.Command("x")), click.Option(["--for"]), text)


def test_removed_nodes_are_not_waited_for() -> None:
    node = {"role": "node", "state": "ready", "height": 3, "waiting": 0}
    status = {"programs": [node, {**node, "state": "removed", "height": None}]}
    ctx, option = click.Context(click.Command("x")), click.Option(["--for"])
    assert condition(ctx, option, "height=3")(status)
    assert not condition(ctx, option, "height=4")(status)
    assert condition(ctx, option, "results")(status)
    assert not condition(ctx, option, "results")({"programs": [{**node, "state": "stopped"}]})
    assert not condition(ctx, option, "ready")(status)
