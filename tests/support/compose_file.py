"""The containers of deploy/compose as processes on loopback: what Docker would run, with addresses mapped."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from support.ports import free_port
from support.unit_files import DEPLOY

COMPOSE: Final = DEPLOY / "compose"
NODES: Final = ("north", "south", "east", "west", "centre")
PORTS: Final = {"bootstrap": 4000, "web": 8080} | dict.fromkeys(NODES, 3000)
"""Of each service, in its container."""
STATE: Final = "/var/lib/votenet"
_NOT_OURS: Final = ("apt-get", "useradd", "chown")
"""Commands of the Dockerfile that change the container's system: here they do nothing."""


def read_compose(path: Path = COMPOSE / "compose.yaml") -> dict[str, Any]:
    """The file with its anchors resolved; skips the test where no YAML reader is installed."""
    yaml = pytest.importorskip("yaml", reason="no YAML reader: pip install 'votenet[dev]'")
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def instructions(path: Path = COMPOSE / "Dockerfile") -> list[tuple[str, str]]:
    """Of the Dockerfile: instruction and the rest of its line."""
    lines = path.read_text().replace("\\\n", " ").splitlines()
    parts = (line.partition(" ") for line in lines if line and not line.startswith("#"))
    return [(name, rest) for name, _, rest in parts]


def entrypoint() -> list[str]:
    """What the image runs before a service's command."""
    words: list[str] = json.loads(dict(instructions())["ENTRYPOINT"])
    return words


def process_of(service: dict[str, Any]) -> list[str]:
    """The words of the process of a service."""
    return [*service.get("entrypoint", entrypoint()), *service.get("command", [])]


class Mount(NamedTuple):
    """A volume in a container."""

    volume: str
    target: str
    read_only: bool

    def holds(self, path: str) -> bool:
        return path == self.target or path.startswith(f"{self.target}/")


def mounts_of(service: dict[str, Any]) -> list[Mount]:
    """The volumes of a service, without files of the machine; one that is below another comes first."""
    parts = (text.split(":") for text in service.get("volumes", []))
    found = [
        Mount(volume, target, mode == ["ro"]) for volume, target, *mode in parts if volume[0] not in "./"
    ]
    return sorted(found, key=lambda mount: -len(mount.target))


class LoopbackContainers:
    """Where the containers' addresses and folders are on this machine, for one network in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"
        self.services = read_compose()["services"]
        self.ports = {name: free_port() for name in PORTS}
        self.etc = folder / "etc"
        self.etc.mkdir()
        for name in ("ceremony.sh", "election.toml"):
            (self.etc / name).write_text(self._placed("ceremony", (COMPOSE / name).read_text()))

    def words(self, name: str, words: list[str]) -> list[str]:
        """The words of a command in the container `name`, for this machine."""
        return [self._of(name, self._placed(name, word)) for word in words]

    def _placed(self, name: str, text: str) -> str:
        """The text with a container's paths as they are here; those in no volume are in its own folder."""
        for mount in mounts_of(self.services[name]):
            text = text.replace(mount.target, str(self._folder_of(mount.volume)))
        own = str(self.folder / f"only-{name}")
        return text.replace(STATE, own).replace("/etc/votenet", str(self.etc))

    def _folder_of(self, volume: str) -> Path:
        """Where a volume is: those of the ceremony below one another, as it sees them."""
        for mount in mounts_of(self.services["ceremony"]):
            if mount.volume == volume:
                return self.state / Path(mount.target).relative_to(STATE)
        return self.folder / f"volume-{volume}"

    def _of(self, name: str, word: str) -> str:
        for other, port in PORTS.items():
            word = re.sub(rf"\b{other}:{port}\b", f"127.0.0.1:{self.ports[other]}", word)
        if name in self.ports:
            inside = PORTS[name]
            word = word.replace(f"127.0.0.1:{inside}", f"127.0.0.1:{self.ports[name]}")
            word = word.replace(f"--port={inside}", f"--port={self.ports[name]}")
        return word.replace("--host=0.0.0.0", "--host=127.0.0.1").replace("${SITE:-localhost}", "localhost")


def build(folder: Path) -> Path:
    """Replay the Dockerfile, each stage in a fresh virtual environment; where the last one's programs are.

    The folder `state` in `folder` is the container's folder for data.
    """
    stubs = folder / "stubs"
    stubs.mkdir()
    for name in _NOT_OURS:
        (stubs / name).write_text("#!/bin/sh\n")
        (stubs / name).chmod(0o755)
    programs = stubs
    for number, (name, rest) in enumerate(instructions()):
        if name == "FROM":
            subprocess.run([sys.executable, "-m", "venv", str(folder / f"stage{number}")], check=True)
            programs = folder / f"stage{number}/bin"
        elif name == "COPY" and rest == ". /src":
            copy_sources(folder / "src")
        elif name == "RUN":
            _run(re.sub(r"(?<=\s)/(src|dist)\b", rf"{folder}/\1", rest), folder, stubs, programs)
    return programs


def _run(line: str, folder: Path, stubs: Path, programs: Path) -> None:
    path = f"{stubs}:{programs}:/usr/local/bin:/usr/bin:/bin"
    done = subprocess.run(
        ["sh", "-ec", line.replace(STATE, str(folder / "state"))],
        env={"PATH": path, "HOME": str(folder)}, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def copy_sources(target: Path) -> None:
    """What Docker sends: the files that Dockerfile.dockerignore lets through."""
    allowed = re.findall(r"^!(.+)$", (COMPOSE / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    target.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info")
    for name in allowed:
        path = DEPLOY.parent / name
        if path.is_dir():
            shutil.copytree(path, target / name, ignore=ignored)
        elif path.exists():
            shutil.copy(path, target)
