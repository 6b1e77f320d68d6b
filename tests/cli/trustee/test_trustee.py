"""`votenet trustee` as typed: from the election file to a complete ceremony, and back from a card."""

from __future__ import annotations

import json
import re
import shlex
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import CommandResult

from support.ceremonies import Ceremony
from votenet.core.election.recovery_code import RECOVERY_FORM, read_recovery_code
from votenet.secret.ceremony.bulletin import read_record
from votenet.storage.ceremony_folder import CeremonyFolder

Cli = Callable[..., CommandResult]
NAMES = ("Citra", "Dewi", "Eko")
FILE = """\
title = "Pemilihan ketua"
secrecy = "secret"
closes = 2060-05-31T20:00:00+02:00
members = "members.csv"

[trustees]
names = ["Citra", "Dewi", "Eko"]

[[contests]]
title = "Ketua"
candidates = ["Ani", "Budi"]
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An election file, in the folder in which commands are typed."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "election.toml"
    path.write_text(FILE)
    return path


def begun(cli: Cli, file: Path) -> str:
    done = cli("trustee", "init", str(file))
    assert done.code == 0, done.err
    return "ceremony"


def status(cli: Cli, folder: str = "ceremony") -> Any:
    done = cli("trustee", "status", folder, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def code_on(page: Path) -> str:
    """The code on both cards of a page."""
    first, second = re.findall(r'<p class="code"><span>(.*?)</span><span>(.*?)</span>', page.read_text())
    assert first == second
    return "".join(first)


def joined(cli: Cli, times: int = 3) -> None:
    for _ in range(times):
        for name in NAMES:
            done = cli("trustee", "join", "ceremony", name)
            assert done.code == 0, done.err


def write_code(place: int) -> str:
    path = Path(f"code-{place}.txt")
    path.write_text(code_on(Path(f"recovery-{place}.html")).lower())
    return str(path)


def test_a_whole_ceremony(cli: Cli, file: Path) -> None:
    folder = begun(cli, file)
    assert status(cli)["waiting_for"] == list(NAMES)
    joined(cli)
    assert status(cli) | {"refused": []} == status(cli)
    assert (status(cli)["step"], status(cli)["complete"]) == ("rehearsal", False)
    for place, name in enumerate(NAMES, start=1):
        done = cli("trustee", "rehearse", folder, name, "--code-file", write_code(place))
        assert done.code == 0, done.err
        assert "Your card works." in done.out
    assert status(cli)["complete"]
    assert "The ceremony is complete" in cli("trustee", "status", folder).out
    assert "Handed in" not in cli("trustee", "join", folder, "Citra").out


def test_the_check_of_an_election_says_that_its_trustees_come_first(cli: Cli, file: Path) -> None:
    Path("members.csv").write_text("id,name\n1,Ani\n")
    told = cli("election", "check", str(file)).out
    assert "votenet trustee init" in told
    assert "votenet up" not in told
    begun(cli, file)
    assert "waits for Citra, Dewi, Eko" in cli("election", "check", str(file)).out


def test_who_is_waited_for_is_told_with_what_to_type(cli: Cli, file: Path) -> None:
    folder = begun(cli, file)
    cli("trustee", "join", folder, "Citra")
    told = cli("trustee", "join", folder, "Eko").out
    assert "Waiting for Dewi." in told
    assert "votenet trustee join ceremony Dewi" in told
    cli("trustee", "join", folder, "Dewi")
    told = cli("trustee", "status", folder).out
    assert "Waiting for Citra, Eko." in told, "the last one goes on at once"


def test_a_key_and_its_cards_are_for_the_trustee_alone(cli: Cli, file: Path, tmp_path: Path) -> None:
    begun(cli, file)
    done = cli("trustee", "join", "ceremony", "Citra")
    page = Path("recovery-1.html")
    code = code_on(page)
    seed = read_recovery_code(code)
    (key,) = (tmp_path / "home" / "keys").glob("trustee-*.json")
    assert json.loads(key.read_text())["seed"] == seed
    for path in (page, key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    public = "".join(path.read_text() for path in Path("ceremony").iterdir())
    for secret in (seed, code, code.replace("-", "")):
        assert secret not in done.out + done.err + public


def test_no_key_and_no_card_is_written_into_the_folder_that_all_trustees_get(
    cli: Cli, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(cli, file)
    home = tmp_path / "another home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    (tmp_path / "link").symlink_to("ceremony")
    before = sorted((tmp_path / "ceremony").iterdir())
    inside = ("--cards", "link/a.html"), ("--cards", "ceremony/new/../a.html"), ("--key", "ceremony/key.json")
    for options in inside:
        done = cli("trustee", "join", "ceremony", "Citra", *options)
        assert (done.code, "[open-file]" in done.err) == (78, True)
    monkeypatch.chdir("ceremony")
    refused = cli("trustee", "join", ".", "Citra")
    assert "[open-file]" in refused.err
    assert sorted((tmp_path / "ceremony").iterdir()) == before
    assert not list((tmp_path / "home").rglob("trustee-*.json")), "no key without its cards"
    typed = refused.err[refused.err.index("votenet trustee join") :]
    assert cli(*shlex.split(typed)[1:]).code == 0
    assert code_on(home / "recovery-1.html")
    assert "[open-file]" in cli("trustee", "join", ".", "Citra", "--cards", "again.html").err
    assert cli("trustee", "join", ".", "Citra").code == 0, "nothing is written that is secret"
    assert "[open-file]" in cli("trustee", "recover", ".", "Citra", "--key", "key.json").err


def test_cards_are_printed_again_but_replace_no_file(cli: Cli, file: Path) -> None:
    begun(cli, file)
    cli("trustee", "join", "ceremony", "Citra")
    assert cli("trustee", "join", "ceremony", "Citra", "--cards", "again.html").code == 0
    assert code_on(Path("again.html")) == code_on(Path("recovery-1.html"))
    assert "[file-exists]" in cli("trustee", "join", "ceremony", "Citra", "--cards", "again.html").err


def test_a_lost_key_comes_back_from_a_card(cli: Cli, file: Path, tmp_path: Path) -> None:
    begun(cli, file)
    joined(cli, 1)
    for key in (tmp_path / "home" / "keys").glob("trustee-*-1.json"):
        kept = key.read_bytes()
        key.unlink()
    refused = cli("trustee", "join", "ceremony", "Citra")
    assert "[no-key]" in refused.err
    assert "votenet trustee recover" in refused.err
    assert cli("trustee", "recover", "ceremony", "Citra", "--code-file", write_code(1)).code == 0
    assert key.read_bytes() == kept
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    joined(cli, 2)
    assert status(cli)["step"] == "rehearsal"


def test_the_wrong_card_and_a_damaged_one_are_told_apart(cli: Cli, file: Path) -> None:
    begun(cli, file)
    joined(cli)
    wrong = cli("trustee", "rehearse", "ceremony", "Citra", "--code-file", write_code(2))
    assert "[wrong-card]" in wrong.err
    assert "not the card of Citra" in wrong.err
    groups = list(RECOVERY_FORM.groups_of(code_on(Path("recovery-1.html")).replace("-", "")))
    groups[3] = groups[3][:-1] + ("0" if groups[3][-1] != "0" else "1")
    Path("code.txt").write_text("-".join(groups))
    damaged = cli("trustee", "rehearse", "ceremony", "Citra", "--code-file", "code.txt")
    assert "group 4 of the code is wrong [bad-code]" in damaged.err
    assert "".join(groups) not in damaged.err


def test_a_rehearsal_before_there_is_a_key_is_refused(cli: Cli, file: Path) -> None:
    begun(cli, file)
    joined(cli, 1)
    done = cli("trustee", "rehearse", "ceremony", "Citra", "--code-file", write_code(1))
    assert "[ceremony-incomplete]" in done.err


def test_a_record_that_does_not_count_is_handed_in_once(cli: Cli, file: Path, tmp_path: Path) -> None:
    """Somebody who is two trustees has one key for both: it is told, and nothing is tried again and again."""
    begun(cli, file)
    cli("trustee", "join", "ceremony", "Citra")
    (key,) = (tmp_path / "home" / "keys").glob("trustee-*-1.json")
    other = key.with_name(key.name.replace("-1.json", "-2.json"))
    other.write_text(key.read_text().replace('"place":1', '"place":2'))
    other.chmod(0o600)
    Path("ceremony", "1").mkdir()
    for path in Path("ceremony").glob("1-*.json"):
        path.rename(Path("ceremony", "1", path.name))
    told = cli("trustee", "join", "ceremony", "Dewi").out
    assert told.count("Handed in") == 1
    for path in Path("ceremony", "1").iterdir():
        path.rename(Path("ceremony", path.name))
    told = cli("trustee", "status", "ceremony").out
    assert "Citra and Dewi have the same key" in told


def test_two_records_of_one_trustee_end_the_ceremony(cli: Cli, file: Path) -> None:
    begun(cli, file)
    joined(cli, 1)
    folder = CeremonyFolder(Path("ceremony"))
    other = Ceremony(folder.draft())
    other.do("certificate", (2,))
    folder.hand_in(read_record(other.files["2-certificate"]))
    told = cli("trustee", "status", "ceremony").out
    assert "The ceremony has ended without a key" in told
    assert len(set(re.findall(r"2-certificate-[0-9a-f]{8}\.json", told))) == 2
    assert [one["trustee"] for one in status(cli)["two_records"]] == ["Dewi"]
    assert "[two-records]" in cli("trustee", "join", "ceremony", "Citra").err


def test_all_trustees_are_needed_only_where_that_is_said(cli: Cli, file: Path) -> None:
    assert "[contradiction]" in cli("trustee", "init", str(file), "--all-needed").err
    file.write_text(FILE.replace("[trustees]", "[trustees]\nthreshold = 3"))
    refused = cli("trustee", "init", str(file))
    assert "[all-needed]" in refused.err
    assert "no vote is ever counted" in refused.err
    assert not Path("ceremony").exists()
    done = cli("trustee", "init", str(file), "--all-needed")
    assert (done.code, "no vote is ever counted" in done.out) == (0, True)
    assert status(cli)["threshold"] == 3


def test_a_ceremony_is_begun_once_and_for_one_draft(cli: Cli, file: Path) -> None:
    begun(cli, file)
    draft = Path("ceremony/draft.json").read_bytes()
    begun(cli, file)
    assert Path("ceremony/draft.json").read_bytes() == draft
    file.write_text(FILE.replace("Budi", "Budi II"))
    changed = cli("trustee", "init", str(file))
    assert "the election has changed in: contests [bad-draft]" in changed.err
    assert Path("ceremony/draft.json").read_bytes() == draft


def test_an_election_that_is_public_or_faulty_has_no_ceremony(cli: Cli, file: Path) -> None:
    file.write_text(FILE.replace("closes", "# closes"))
    assert "[bad-genesis]" in cli("trustee", "init", str(file)).err
    public = FILE.replace('secrecy = "secret"\n', "").replace("[trustees]\nnames", "# names", 1)
    file.write_text(re.sub(r"# names.*\n", "", public))
    assert "[contradiction]" in cli("trustee", "init", str(file)).err
    assert "[no-ceremony]" in cli("trustee", "join", "ceremony", "Citra").err
    file.write_text(FILE)
    begun(cli, file)
    assert "no trustee of this election is called 'Fajar'" in cli("trustee", "join", "ceremony", "Fajar").err
