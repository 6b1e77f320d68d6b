"""Where a ceremony stands, in words and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from support.ceremonies import Ceremony, run
from votenet.cli.trustee.bulletin_view import bulletin_facts, bulletin_lines, next_command
from votenet.secret.ceremony.bulletin import STEPS

FOLDER = Path("a folder")


def shown(ceremony: Ceremony) -> str:
    return "\n".join(bulletin_lines(ceremony.bulletin, FOLDER))


def test_who_has_done_what_and_what_the_others_type() -> None:
    ceremony = run(STEPS[:3])
    ceremony.do("rehearsal", (2,))
    told = shown(ceremony)
    assert "1. made a key: Citra, Dewi, Eko" in told
    assert "4. decrypted the test tally from the card: Dewi" in told
    assert "Waiting for Citra, Eko." in told
    assert "votenet trustee rehearse 'a folder' Citra" in told
    assert str(next_command("key", FOLDER, "Eko")) == "votenet trustee join 'a folder' Eko"


def test_a_file_that_does_not_count_is_named() -> None:
    ceremony = Ceremony()
    ceremony.files["letter.json"] = b"hello"
    assert "Not counted: letter.json" in shown(ceremony)
    facts = json.loads(json.dumps(bulletin_facts(ceremony.bulletin)))
    assert facts["refused"][0]["file"] == "letter.json"
    assert facts["complete"] is False


def test_a_complete_ceremony_says_so() -> None:
    ceremony = run()
    assert "The ceremony is complete: the organiser can make the election" in shown(ceremony)
    assert "votenet up -d -f election.toml\n" in shown(ceremony)
    assert shown(ceremony).endswith("votenet trustee status 'a folder' --genesis genesis.json")
    assert bulletin_facts(ceremony.bulletin)["complete"] is True


def test_what_to_read_out_is_told_once_there_are_keys() -> None:
    assert "by telephone" not in shown(run(STEPS[:2]))
    ceremony = run(STEPS[:3])
    assert ceremony.bulletin.spoken() in shown(ceremony)
    assert bulletin_facts(ceremony.bulletin)["spoken"] == ceremony.bulletin.spoken()
