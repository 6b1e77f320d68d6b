"""The Dockerfile and compose.yaml: judged by the schema, and their commands by the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from support.cli_arguments import check_arguments
from support.compose_file import (
    COMPOSE,
    NODES,
    STATE,
    instructions,
    mounts_of,
    process_of,
    read_compose,
)
from support.deploy_tools import run, tool


def validate(path: Path) -> str:
    pytest.importorskip("check_jsonschema", reason="no check-jsonschema: pip install 'votenet[dev]'")
    return run(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", path)


def test_the_schema_of_compose_files_accepts_it(tmp_path: Path) -> None:
    validate(COMPOSE / "compose.yaml")
    wrong = tmp_path / "compose.yaml"
    wrong.write_text((COMPOSE / "compose.yaml").read_text().replace("    restart:", "    restrt:"))
    with pytest.raises(AssertionError, match="restrt"):
        validate(wrong)


def test_the_command_line_takes_the_command_of_each_service() -> None:
    services = read_compose()["services"]
    assert set(services) == {"ceremony", "bootstrap", *NODES, "web", "caddy"}
    for name, service in services.items():
        if service["image"] == "votenet" and name != "ceremony":
            program, *words = process_of(service)
            assert program == "votenet"
            check_arguments(words)
        probe = service.get("healthcheck", {}).get("test")
        if probe and probe[1] == "votenet":
            check_arguments(probe[2:])


def test_a_wrong_command_would_be_seen() -> None:
    with pytest.raises(click.UsageError, match="--hostt"):
        check_arguments(["web", "--hostt=0.0.0.0"])


def test_the_container_has_no_rights_that_it_does_not_need() -> None:
    for service in read_compose()["services"].values():
        if service["image"] == "votenet":
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
    found = dict(instructions())
    assert found["USER"] == "10001:10001"
    check_arguments(json.loads(found["HEALTHCHECK"].partition("CMD ")[2])[1:])


def volume_of(service: dict[str, Any], path: str) -> str:
    """The volume that has a path of a container."""
    return next(mount.volume for mount in mounts_of(service) if mount.holds(path))


def test_no_container_can_read_a_key_that_is_not_its_own() -> None:
    """Strangers talk to the page: who takes it over must find no key of a node or the authority."""
    services = read_compose()["services"]
    ceremony = services["ceremony"]
    who = {
        name: {mount.volume for mount in mounts_of(service)}
        for name, service in services.items()
        if name != "ceremony"
    }

    def readers(path: str) -> set[str]:
        return {name for name, volumes in who.items() if volume_of(ceremony, f"{STATE}/{path}") in volumes}

    assert readers("authority.key") == readers("election.toml") == set()
    for name in NODES:
        assert readers(f"{name}/node.key") == {name}
    assert readers("election/genesis.json") == {"bootstrap", *NODES, "web"}


def test_each_file_of_a_command_is_in_a_volume_and_the_election_is_only_read() -> None:
    told = read_compose()
    made = " ".join(rest for name, rest in instructions() if name == "RUN" and "mkdir" in rest).split()
    for name, service in told["services"].items():
        for mount in mounts_of(service):
            assert mount.volume in told["volumes"]
            if service["image"] == "votenet":
                assert {mount.target, Path(mount.target).name} & set(made), "it would belong to root"
                assert mount.read_only == (mount.volume == "election" and name != "ceremony")
        for word in service.get("command", []):
            if f"={STATE}/" in word:
                assert volume_of(service, word.partition("=")[2])


def test_the_ceremony_names_the_nodes_that_run() -> None:
    services = read_compose()["services"]
    assert services["ceremony"]["command"] == list(NODES)
    for name in NODES:
        words = services[name]["command"]
        assert {f"--name={name}", f"--data-dir=/var/lib/votenet/{name}", f"--advertise={name}:3000"} <= set(
            words
        )
        assert f"--node={name}:3000" in services["web"]["command"]


def test_caddy_accepts_the_file_for_the_containers(tmp_path: Path) -> None:
    program = tool("caddy", "the Debian package caddy")
    run(program, "validate", "--adapter", "caddyfile", "--config", COMPOSE / "Caddyfile", cwd=tmp_path,
        HOME=str(tmp_path), XDG_DATA_HOME=str(tmp_path), SITE="vote.example.org")  # fmt: skip
