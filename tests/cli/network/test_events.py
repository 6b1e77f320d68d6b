"""`events` and `wait` over scripted programs."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import click
import msgspec
import pytest

from support.amendments import amendable, amendment
from support.elections import CREATED, make_election, named_nodes
from support.network_shell import Shell, open_shell
from votenet.cli import targets
from votenet.cli.network.events import (
    check_will_be_final,
    condition,
    final_result_is_there,
    too_late,
)
from votenet.errors import VotenetError
from votenet.protocol.wire.client_messages import Results


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
        assert "[never-final]" in shell.call("wait", "--for", "final", code=1).stderr
    finally:
        follower.send_signal(signal.SIGINT)
        follower.communicate(timeout=150)
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


def test_what_can_never_be_final_is_not_waited_for() -> None:
    closes = CREATED + 3600
    check_will_be_final(make_election(nodes=named_nodes(4), closes=closes))
    with pytest.raises(VotenetError, match="anybody may rewrite this") as refused:
        check_will_be_final(make_election(closes=closes))
    assert refused.value.next_step == "Wait until every vote is in a block: votenet wait --for results"
    with pytest.raises(VotenetError, match="no closing time") as refused:
        check_will_be_final(make_election(nodes=named_nodes(4)))
    assert "votenet election close +2h" in refused.value.next_step
    assert refused.value.code == "never-final"
    election = amendable()
    with pytest.raises(VotenetError, match="it has no result") as refused:
        check_will_be_final(election.amended([amendment(election, "cancel")]))
    assert (refused.value.code, "votenet results" in refused.value.next_step) == ("cancelled", True)


def test_no_result_is_waited_for_once_the_election_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Results(
        title="T", contests=(), votes=0, waiting=0, height=1, tip="00" * 32, network_id="00" * 32,
        final_height=1, over=True,
    )  # fmt: skip
    for answer, there in ((told, True), (msgspec.structs.replace(told, final_height=0), False)):
        client = contextlib.nullcontext(SimpleNamespace(results=lambda answer=answer: answer))
        monkeypatch.setattr(targets, "connect", lambda instance, client=client: client)
        assert final_result_is_there("default") is there
    cancelled = msgspec.structs.replace(told, cancelled=True)
    client = contextlib.nullcontext(SimpleNamespace(results=lambda: cancelled))
    monkeypatch.setattr(targets, "connect", lambda instance: client)
    with pytest.raises(VotenetError) as refused:
        final_result_is_there("default")
    assert refused.value.code == "cancelled"


def test_what_keeps_a_result_from_being_final(tmp_path: Path) -> None:
    now, genesis = int(time.time()), tmp_path / "genesis.json"
    node = {
        "name": "node-1",
        "role": "node",
        "state": "ready",
        "height": 2,
        "address": "127.0.0.1:3000",
        "links": None,
        "finality": {"height": 2, "index": 0, "named": 4, "quorum": 3, "reachable": [0, 1]},
    }
    away = {**node, "name": "node-3", "state": "stopped", "finality": None}
    status = {"instance": "none-runs", "genesis": str(genesis), "programs": [node, away]}
    genesis.write_bytes(make_election(created=now, nodes=named_nodes(4), closes=now + 7200).to_file())
    early = too_late(status, "final", 60.0)
    assert early.message.startswith("voting goes on for 1h59m")
    assert re.fullmatch(r"Wait longer: votenet wait --for final --timeout 73[12]\d", early.next_step)
    genesis.write_bytes(make_election(created=now - 9, nodes=named_nodes(4), closes=now - 5).to_file())
    late = too_late(status, "final", 60.0)
    assert late.message == (
        "the result is not final after 60 s: node-3 is stopped, "
        "2 of 4 named nodes are connected, 3 must agree"
    )
    assert late.next_step == "votenet start node-3"
    assert too_late({**status, "programs": [node]}, "results", 1.0).next_step == "votenet ps"
