"""`votenet trustee submit`: shares that come as files reach a node, and what is no share does not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.cli.conftest import CommandResult, node_of

from support.ceremonies import NAMES, run
from support.network_shell import wait_until
from support.secret_definitions import SecretSetup
from votenet.core.election.ceremony_draft import completed, draft_of
from votenet.core.election.definition import Election
from votenet.core.election.recovery_code import recovery_code
from votenet.core.election.secret_rules import with_belenios
from votenet.secret.ceremony.bulletin import read_record
from votenet.storage.ceremony_folder import CeremonyFolder

Cli = Callable[..., CommandResult]


def test_what_is_no_share_is_refused_before_a_node_is_asked(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("share.json").write_text("{}")
    done = cli("trustee", "submit", "share.json", "--node", "127.0.0.1:1")
    assert "[bad-document]" in done.err
    done = cli("trustee", "submit", "none.json", "--node", "127.0.0.1:1")
    assert "[bad-share-file]" in done.err


def test_shares_of_files_are_checked_and_counted_by_a_node(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An election that closed before its node began: its archive comes from the node, the shares from it."""
    monkeypatch.chdir(tmp_path)
    setup = SecretSetup(closes=int(time.time()) - 60, nodes=1, grace=1, weights=(1, 1))
    base = msgspec.structs.replace(setup.definition, belenios="", trustees=None)
    ceremony = run(draft=draft_of(base, NAMES[:3], 2))
    election = Election(with_belenios(completed(base, ceremony.bulletin)))
    folder = CeremonyFolder(Path("ceremony"))
    folder.begin(ceremony.draft)
    for raw in ceremony.files.values():
        folder.hand_in(read_record(raw))
    Path("roll.json").write_bytes(setup.roll.to_file())
    with node_of(election, tmp_path, "--roll", "roll.json") as node:
        where = ("--node", str(node.address))
        shown: dict[str, Any] = {}

        def is_final() -> bool:
            done = cli("results", *where, "--json")
            shown.update(json.loads(done.out) if done.code == 0 else {})
            return bool(shown.get("final"))

        wait_until(is_final)
        assert cli("export", *where, "-o", "e.jsonl").code == 0
        for place in (1, 3):
            Path("code").write_text(recovery_code(ceremony.seeds[place - 1].text))
            words = ("trustee", "decrypt", "ceremony", NAMES[place - 1], "--code-file", "code")
            done = cli(*words, "--archive", "e.jsonl", "--roll", "roll.json", "--key", f"key-{place}")
            assert done.code == 0, done.err
            assert f"votenet trustee submit share-{place}.json" in done.out
        share = Path("share-1.json").read_bytes()
        Path("moved.json").write_bytes(share.replace(b'"place":1', b'"place":2'))
        assert "[bad-decryption]" in cli("trustee", "submit", "moved.json", *where).err
        done = cli("trustee", "submit", "share-1.json", *where)
        assert "taken the share of trustee 1: share-1.json" in done.out, done.err
        done = cli("trustee", "submit", "share-1.json", "share-3.json", *where, "--json")
        assert json.loads(done.out) == {"handed_in": [1, 3]}, done.err
        wait_until(lambda: is_final() and shown["contests"])
        assert shown["decrypted_by"] == [1, 3]
