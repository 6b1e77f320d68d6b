"""The configurations of proxies: judged by the proxies themselves."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support.deploy_tools import run, tool
from support.ports import free_port
from support.tls import certificate
from support.tls_proxies import KINDS, _Places, commands
from support.unit_files import DEPLOY
from votenet.protocol.wire.address import Address


def places(folder: Path) -> _Places:
    return _Places(Address("127.0.0.1", free_port()), free_port(), free_port(), *certificate(folder))


@pytest.mark.parametrize("kind", KINDS)
def test_each_proxy_accepts_its_file(kind: str, tmp_path: Path) -> None:
    check, _, env = commands(kind, tmp_path, places(tmp_path))
    said = run(*check, cwd=tmp_path, **env)
    assert ("Valid configuration" if kind == "caddy" else "test is successful") in said
    assert "[warn]" not in said


@pytest.mark.parametrize(("kind", "file"), [("nginx", "votenet.conf"), ("caddy", "Caddyfile")])
def test_each_proxy_says_what_is_wrong_with_a_file(kind: str, file: str, tmp_path: Path) -> None:
    check, _, env = commands(kind, tmp_path, places(tmp_path))
    path = tmp_path / file
    path.write_text(path.read_text().replace("proxy", "prxy"))
    done = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, **env})
    assert done.returncode != 0
    assert "prxy" in done.stderr


def test_caddy_accepts_its_file_as_it_is(tmp_path: Path) -> None:
    program = tool("caddy", "the Debian package caddy")
    run(program, "validate", "--adapter", "caddyfile", "--config", DEPLOY / "caddy/Caddyfile",
        cwd=tmp_path, HOME=str(tmp_path), XDG_DATA_HOME=str(tmp_path))  # fmt: skip
