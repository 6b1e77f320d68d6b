"""A log as votenet writes it, read by the tools of Go's checksum database: notes, tiles and proofs."""

from __future__ import annotations

import os
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path

import pytest

from support.elections import keys_of_node, make_election, named_nodes
from support.log_tiles import tile_widths
from votenet.core.log.certificate import checkpoint_text, cosign_checkpoint, make_certificate
from votenet.core.log.signed_note import SignedNote, sign_note
from votenet.core.log.tiles import (
    LogFrontier,
    consistency_proof,
    inclusion_proof,
    log_files,
    tile_path,
)
from votenet.core.log.tlog_proof import TlogProof

PROGRAM = Path(__file__).parent / "go_tools" / "main.go"
LIBRARIES = Path("/usr/share/gocode")
"""Where Debian's packages put the source of Go libraries."""
SIZE, OLD, INDEX = 70_000, 1234, 65_537
ELECTION = make_election(nodes=named_nodes(5))


def go() -> str:
    program = shutil.which("go")
    if program is None or not (LIBRARIES / "src" / "golang.org" / "x" / "mod" / "sumdb" / "tlog").is_dir():
        pytest.skip("no Go tools here: install the Debian packages golang-go and golang-golang-x-mod-dev")
    return program


def certified(frontier: LogFrontier) -> SignedNote:
    text = checkpoint_text(ELECTION.network_id, frontier.size, frontier.root)
    lines = [cosign_checkpoint(keys_of_node(node).cosign, node, text, 1_800_000_000) for node in range(4)]
    return make_certificate(text, [sign_note(keys_of_node(0).log, ELECTION.named_keys.origin, text), *lines])


def written(folder: Path) -> None:
    """The log, and what the program looks at beside it."""
    files: dict[str, bytes] = {}
    making = log_files(b"record %d" % n for n in range(SIZE))
    while True:
        try:
            path, content = next(making)
        except StopIteration as end:
            frontier: LogFrontier = end.value
            break
        files[path] = content
    widths = {(level, number): width for level, number, width in tile_widths(SIZE)}

    def read(level: int, number: int) -> bytes:
        return files[tile_path(level, number, widths[level, number])]

    note = certified(frontier)
    proof = TlogProof(INDEX, tuple(inclusion_proof(INDEX, SIZE, read)), note)
    keys = [ELECTION.named_keys.log_keys[0], *ELECTION.named_keys.cosign_keys]
    lines = {
        "checkpoint": str(note),
        "keys": "\n".join(map(str, keys)),
        "proof.tlog-proof": str(proof),
        "consistency": "\n".join(b64encode(step).decode() for step in consistency_proof(OLD, SIZE, read)),
        "old-root": b64encode(LogFrontier.load(OLD, read).root).decode(),
    }
    for path, content in {**files, **{name: text.encode() for name, text in lines.items()}}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def test_the_tools_of_another_make_take_all_of_it_and_notice_a_change(tmp_path: Path) -> None:
    program = go()
    written(tmp_path)
    env = {**os.environ, "GO111MODULE": "off", "GOPATH": str(LIBRARIES), "GOFLAGS": ""}
    env["GOCACHE"] = env.get("GOCACHE", str(tmp_path / "cache"))
    checker = tmp_path / "checker"
    subprocess.run([program, "build", "-o", checker, PROGRAM], env=env, check=True, timeout=110)

    def check() -> subprocess.CompletedProcess[str]:
        return subprocess.run([checker, tmp_path, str(OLD)], capture_output=True, text=True, timeout=150)

    done = check()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"signatures 5 size {SIZE}\n"
    changes = {
        "checkpoint": 72,  # in the line of the origin
        "proof.tlog-proof": 60,
        "consistency": 20,
        "old-root": 20,
        "tile/0/000": 4000,
        "tile/entries/000": 4,
    }
    for name, at in changes.items():
        path = tmp_path / name
        kept = path.read_bytes()
        path.write_bytes(kept[:at] + bytes([kept[at] ^ 1]) + kept[at + 1 :])
        assert check().returncode == 1, name
        path.write_bytes(kept)
