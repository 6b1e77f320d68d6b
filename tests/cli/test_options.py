"""Options that several commands share."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from votenet.cli.main import PROGRAMS, main
from votenet.cli.options import (
    FiniteRange,
    FlagOnly,
    hour,
    instance_option,
    json_option,
    node_option,
    parse_hour,
    placed,
)
from votenet.errors import Command, NextStep


@click.command()
@node_option
@instance_option
@json_option
def _echo(node: str | None, instance: str, as_json: bool) -> None:
    click.echo(f"{node} {instance} {as_json}")


def test_defaults_flags_and_environment() -> None:
    run = CliRunner()
    assert run.invoke(_echo, []).output == "None default False\n"
    assert run.invoke(_echo, ["-i", "x", "--node", "h:1", "--json"]).output == "h:1 x True\n"
    environment = {"VOTENET_INSTANCE": "y", "VOTENET_NODE": "h:2"}
    assert run.invoke(_echo, [], env=environment).output == "h:2 y False\n"
    assert run.invoke(_echo, ["-i", "x"], env=environment).output == "h:2 x False\n"


def test_a_program_takes_each_option_from_the_variable_of_its_name() -> None:
    """Environment files of services name options as they are typed: VOTENET_NODE_HOST for `node --host`."""
    context = click.Context(main, auto_envvar_prefix="VOTENET")
    for program in PROGRAMS - {"supervise"}:
        command = main.get_command(context, program)
        assert command is not None
        inner = click.Context(command, parent=context, info_name=program)
        for option in command.params:
            if isinstance(option, FlagOnly) or option.name == "as_json" or option.is_eager:
                continue
            variable = f"VOTENET_{program}_{max(option.opts, key=len)[2:]}".upper().replace("-", "_")
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv(variable, "1")
                assert option.resolve_envvar_value(inner) == "1", variable


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("+30m", 1000 + 1800),
        ("+2h", 1000 + 7200),
        ("+1d2h3m4s", 1000 + 93784),
        ("+0s", 1000),
        ("1970-01-01T02:00+02:00", 0),
        (" 2027-05-31T18:00:00Z ", 1811786400),
    ],
)
def test_hours_are_relative_or_iso_with_a_zone(text: str, seconds: int) -> None:
    assert parse_hour(text, 1000.9) == seconds


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("+", "neither like"),
        ("+2", "neither like"),
        ("2h", "neither like"),
        ("+2h30", "neither like"),
        ("soon", "neither like"),
        ("2027-05-31T18:00", "no zone"),
        ("1969-12-31T00:00Z", "before 1970"),
    ],
)
def test_malformed_hours_are_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_hour(text, 0)


def test_an_hour_as_typed() -> None:
    @click.command()
    @click.option("--at", callback=hour)
    def command(at: int | None) -> None:
        click.echo(repr(at))

    run = CliRunner()
    assert run.invoke(command, []).output == "None\n"
    assert run.invoke(command, ["--at", "1970-01-01T00:00:07Z"]).output == "7\n"
    refused = run.invoke(command, ["--at", "noon"])
    assert refused.exit_code == 2
    assert "neither like +2h" in refused.output


def test_the_hours_of_one_command_count_from_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second could pass between two of them: a poll of 90 minutes was one of 5,401 seconds."""

    @click.command()
    @click.option("--opens", callback=hour)
    @click.option("--closes", callback=hour)
    def command(opens: int, closes: int) -> None:
        click.echo(closes - opens)

    clock = itertools.count(1000)
    monkeypatch.setattr("time.time", lambda: float(next(clock)))
    assert CliRunner().invoke(command, ["--opens", "+30m", "--closes", "+2h"]).output == "5400\n"


def test_no_color_is_as_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @json_option
    def command(as_json: bool) -> None:
        click.echo(os.environ.get("NO_COLOR", "coloured"))

    monkeypatch.setenv("NO_COLOR", "")
    assert CliRunner().invoke(command, []).output == "\n"
    assert CliRunner().invoke(command, ["--no-color"]).output == "1\n"


def _placed(*commands: Command, instance: str = "default", node: str | None = None) -> str:
    return placed(NextStep.of(*commands), instance, node)


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        (("down", "--purge"), "votenet down -i b --purge"),
        (("logs", "node-1"), "votenet logs -i b node-1"),
        (("peers", "remove", "HOST:PORT"), "votenet peers remove -i b HOST:PORT"),
        (("keys", "make", "votenet down"), "votenet keys make -i b 'votenet down'"),
        (("receipt", "--", "-i"), "votenet receipt -i b -- -i"),
        (("audit", "FILE"), "votenet audit -i b FILE"),
        (("help", "up"), "votenet help up"),
        (("ls",), "votenet ls"),
    ],
)
def test_the_instance_goes_into_the_commands_that_know_it(command: tuple[str, ...], wanted: str) -> None:
    assert _placed(Command(*command), instance="b") == wanted
    assert "-i b" not in _placed(Command(*command))


def test_text_stays_as_it_is() -> None:
    assert (
        placed("what another program says: votenet ps", "b", "h:1") == "what another program says: votenet ps"
    )
    assert placed(NextStep("{}: {}", "votenet ps", Command("ps")), "b") == "votenet ps: votenet ps -i b"


def test_the_node_that_was_named_goes_in_where_a_command_knows_it() -> None:
    with_node = ("vote", "receipt", "results", "status", "replay", "export")
    for name in ("up", "scale", "verify", "bootstrap", *with_node):
        assert ("--node" in _placed(Command(name), node="h:1")) == (name in with_node), name
    assert _placed(Command("peers", "ban", "x"), node="h:1") == "votenet peers ban x"
    assert _placed(Command("status"), instance="b", node="[::1]:1") == "votenet status -i b --node '[::1]:1'"


def test_an_address_in_place_of_a_network_id_is_told_where_it_belongs() -> None:
    def said(*words: str) -> str:
        done = CliRunner().invoke(main, [*words, "--network", "https://vote.example.org"])
        assert done.exit_code == 2
        return " ".join(done.output.split())

    assert "digits; a network elsewhere is asked with --node" in said("report", "-o", "minutes.html")
    assert "--node" not in said("node", "join", "genesis.json")


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "NaN", "1e999"])
@pytest.mark.parametrize("kind", [FiniteRange(0), FiniteRange(0.1, 3600), FiniteRange(0, min_open=True)])
def test_what_is_no_finite_number_is_in_no_range(kind: FiniteRange, text: str) -> None:
    assert kind.convert("2.5", None, None) == 2.5
    with pytest.raises(click.BadParameter):
        kind.convert(text, None, None)


def test_no_command_takes_a_range_that_nan_is_in() -> None:
    def commands(group: click.Group, ctx: click.Context) -> Iterator[click.Command]:
        for name in group.list_commands(ctx):
            found = group.get_command(ctx, name)
            assert found is not None
            yield from commands(found, ctx) if isinstance(found, click.Group) else (found,)

    kinds = [param.type for command in commands(main, click.Context(main)) for param in command.params]
    ranges = [kind for kind in kinds if isinstance(kind, click.FloatRange)]
    assert len(ranges) >= 11
    assert all(isinstance(kind, FiniteRange) for kind in ranges)
