"""Makes the files of a release, by its own commands at their defaults: run once, when it is released.

    PYTHONPATH=tests .venv/bin/python tests/releases/make.py tests/releases/0.2.0

Two elections of `votenet demo` (one public, one secret), one that is amended while it runs, and proofs of
lies. `expected.json` in each folder is what this version says of its files; later versions must say the same.
The files of a version are never made again.
"""

from __future__ import annotations

import json
import lzma
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from support import evidence_files
from votenet.core.records.evidence import encode_evidence

AMENDED = """
title = "Board of the choir"
organiser = "The choir"
closes = 2037-01-01T20:00:00
time_zone = "Asia/Jakarta"
grace = 1
members = "members.csv"

[[contests]]
id = "chair"
title = "Chair"
method = "plurality"
candidates = ["Ana", "Budi", "Citra"]
blank = true

[[contests]]
id = "songs"
title = "Songs for the tour"
method = "approval"
max = 2
candidates = ["Bengawan Solo", "Rayuan Pulau Kelapa", "Yamko Rambe Yamko"]
"""
REGISTERED = "localhost:3999"
MEMBERS = "id,name\n0001,Ani\n0002,Bo\n0003,Cici\n"
VOTES = {
    "0001": ("--in", "chair=Ana", "--in", "songs=Bengawan Solo,Yamko Rambe Yamko"),
    "0002": ("--in", "songs=Bengawan Solo"),
    "0004": ("--in", "chair=Ana", "--in", "songs=Rayuan Pulau Kelapa"),
}


class Typist:
    """Types commands with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {**os.environ, "VOTENET_HOME": str(home), "TMPDIR": str(home)}
        self.env.pop("VOTENET_UP_WEB", None)

    def __call__(self, *words: str) -> str:
        command = [sys.executable, "-m", "votenet", *words]
        done = subprocess.run(
            command, cwd=self.home, env=self.env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{words}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout


def packed(source: Path, target: Path) -> None:
    target.with_name(f"{target.name}.xz").write_bytes(lzma.compress(source.read_bytes()))


def keep_backup(typed: Typist, network: Path, made: Path) -> None:
    """A backup of a stopped node, with the genesis file and the roll that lie in its folder."""
    for name in ("genesis.json", "roll.json"):
        shutil.copy(network / name, network / "node-1" / name)
    typed("backup", "--data-dir", str(network / "node-1"), "-o", str(made / "node.backup"))
    packed(made / "node.backup", made / "node.backup")
    (made / "node.backup").unlink()


def keep_node(data: Path, target: Path) -> None:
    """The folder of a node that is stopped, as it would be copied."""
    target.mkdir()
    for name in ("chain.db", "chain.db-commits", "node.key"):
        packed(data / name, target / name)


def public(typed: Typist, target: Path) -> None:
    """The demonstration's first election, as it leaves it."""
    typed("demo", "--ballots", "60", "--keep")
    for folder in typed.home.glob("votenet-demo-*"):
        network = folder / "default"
        if (network / "roll.json").exists():
            secret(typed, folder, target / "secret")
            continue
        made = target / "public"
        made.mkdir()
        for name in ("election.toml", "result.json", "at-the-page.json", "mpls-000001.json"):
            shutil.copy(folder / name, made / name)
        take_network(typed, network, made)
        shutil.copy(made / "archive.jsonl", typed.home / "election.jsonl")  # its name stands in the minutes
        typed("report", "--archive", "election.jsonl", "-o", str(made / "minutes.json"))
        typed("export", *of(network), "--tiles", str(made / "tiles"))
        finish(typed, made)


def of(network: Path) -> tuple[str, ...]:
    return "--data-dir", str(network / "node-1"), "--genesis", str(network / "genesis.json")


def take_network(typed: Typist, network: Path, made: Path) -> None:
    shutil.copy(network / "genesis.json", made / "genesis.json")
    keep_node(network / "node-1", made / "node")
    typed("export", *of(network), "-o", str(made / "archive.jsonl"))


def secret(typed: Typist, folder: Path, made: Path) -> None:
    """The demonstration's second election: trustees, encrypted votes, shares."""
    made.mkdir()
    network = folder / "default"
    for name in ("roll.json", "trustees.json", "members.json", "codes.json"):
        shutil.copy(network / name, made / name)
    for share in folder.glob("share-*.json"):
        shutil.copy(share, made / share.name)
    (made / "ceremony").mkdir()
    for record in (folder / "ceremony").glob("*.json"):
        shutil.copy(record, made / "ceremony" / record.name)
    take_network(typed, network, made)
    roll = ("--roll", str(made / "roll.json"), "--trustees", str(made / "trustees.json"))
    typed("export", *of(network), *roll, "--belenios", str(made / "election.bel"))
    again = Typist(folder)
    again("up", "-d", "--no-web")
    try:
        again("receipt", "m-1", "-o", str(made / "m-1.json"))
        again("peers", "register", REGISTERED)
    finally:
        again("down")
    packed(network / "bootstrap" / "peers.db", made / "peers.db")
    finish(typed, made, "--roll", str(made / "roll.json"))


def amended(typed: Typist, made: Path) -> None:
    """An election on cards: a late member, a longer hour, an early end, a vote that was only received."""
    made.mkdir()
    (typed.home / "election.toml").write_text(AMENDED)
    (typed.home / "members.csv").write_text(MEMBERS)
    typed("up", "-d", "--nodes", "4", "--no-web", "-f", "election.toml")
    try:
        network = typed.home / "default"
        typed("voters", "add", "0004", "--card", "--name", "Didi", "--reason", "joined yesterday")
        codes = codes_of(network)
        for voter, choices in VOTES.items():
            file = typed.home / f"code-{voter}"
            file.write_text(codes[voter])
            name = "received" if voter == "0002" else voter
            wait = ("--wait", "0") if voter == "0002" else ()
            typed("vote", "--code-file", str(file), *choices, *wait, "--receipt", str(made / f"{name}.json"))
        typed("receipt", "0001", "-o", str(made / "0001-later.json"))
        typed("election", "extend", "+2h", "--reason", "the bus was late")
        typed("election", "close", "+70s", "--reason", "all are here")
        typed("wait", "--for", "final", "--timeout", "240")
        typed("results", "--final", "-o", str(made / "result.json"))
    finally:
        typed("down")
    for name in ("roll.json", "codes.json", "members.json"):
        shutil.copy(network / name, made / name)
    shutil.copy(typed.home / "election.toml", made / "election.toml")
    shutil.copy(typed.home / "members.csv", made / "members.csv")
    take_network(typed, network, made)
    keep_backup(typed, network, made)
    finish(typed, made, "--roll", str(made / "roll.json"))


def codes_of(network: Path) -> dict[str, str]:
    return {
        str(voter): str(code)
        for voter, code in json.loads((network / "codes.json").read_text())["codes"].items()
    }


def finish(typed: Typist, made: Path, *roll: str) -> None:
    """What this version says of the archive and of every receipt; then the archive is packed."""
    expected: dict[str, Any] = {
        "archive": json.loads(typed("audit", str(made / "archive.jsonl"), *roll, "--json"))
    }
    del expected["archive"]["compared_with"]
    for path in sorted(made.glob("*.json")):
        if '"votenet-receipt"' in path.read_text():
            found = json.loads(typed("verify", str(path), *roll, "--json"))
            expected[path.name] = {name: found[name] for name in found if name != "compared_with"}
    packed(made / "archive.jsonl", made / "archive.jsonl")
    (made / "archive.jsonl").unlink()
    (made / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def evidence(made: Path) -> None:
    made.mkdir()
    (made / "genesis.json").write_bytes(evidence_files.ELECTION.to_file())
    for name, proof in evidence_files.GOOD.items():
        (made / f"{name}.json").write_bytes(encode_evidence(proof))


def main() -> None:
    target = Path(sys.argv[1]).resolve()
    target.mkdir(parents=True)
    evidence(target / "evidence")
    for make in (public, lambda typed, folder: amended(typed, folder / "amended")):
        with tempfile.TemporaryDirectory() as home:
            make(Typist(Path(home)), target)


if __name__ == "__main__":
    main()
