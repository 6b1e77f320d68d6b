"""trustee.html in a real browser, opened from a disk: a trustee without a shell among others who have one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.cli.archive.test_belenios_export import votes
from tests.cli.conftest import CommandResult, cli, node_of

import votenet
from support.ceremonies import Ceremony, run
from support.network_shell import wait_until
from support.secret_archives import archived_setup, named_nodes_of_files, secret_archive
from support.secret_definitions import SecretSetup
from votenet.core.election.ceremony_draft import completed, draft_of
from votenet.core.election.definition import Election
from votenet.core.election.election_file_writer import node_toml
from votenet.core.election.recovery_code import recovery_code
from votenet.core.election.secret_rules import with_belenios
from votenet.core.encoding import canonical
from votenet.secret.documents import encode
from votenet.storage.ceremony_folder import CeremonyFolder, record_name
from votenet.storage.genesis_file import read_genesis
from web.browser import PHONE, SMALL_PHONE, ZOOMED, Watch, axe, small_targets, too_wide

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["cli"]

PAGE = Path(votenet.__file__).parent / "web/static/trustee.html"
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
Cli = Callable[..., CommandResult]
Visit = Callable[..., "Page"]


@pytest.fixture
def folder(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ceremony that has begun, in the folder in which commands are typed."""
    monkeypatch.chdir(tmp_path)
    Path("election.toml").write_text(FILE)
    done = cli("trustee", "init", "election.toml")
    assert done.code == 0, done.err
    return tmp_path / "ceremony"


class TrusteeAtThePage:
    """A trustee with trustee.html: opens the files of the folder, and puts what the page makes into it."""

    def __init__(self, page: Page, folder: Path, name: str) -> None:
        self.page, self.folder, self.name = page, folder, name
        self.code: list[str] = []
        self.reopen()

    def reopen(self) -> None:
        """A new tab: the page knows nothing any more."""
        self.page.goto((self.folder / PAGE.name).as_uri())
        self.page.get_by_role("heading", level=1).wait_for()

    def open_files(self) -> None:
        self.page.locator("#files").set_input_files(sorted(self.folder.glob("*.json")))
        self.settle()
        self.page.get_by_label("Your name among the trustees").wait_for()
        who = self.page.get_by_label("Your name among the trustees")
        if who.input_value() == "":
            who.select_option(label=self.name)
            self.settle()

    def open_more(self, *names: str) -> None:
        """Files beside the folder."""
        self.page.locator("#files").set_input_files([self.folder.parent / name for name in names])
        self.settle()

    def settle(self) -> None:
        """Until the page has done what it was asked to."""
        self.page.locator("[role=status]:empty").wait_for(state="attached")

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name).click()
        self.settle()

    def make_key(self) -> None:
        self.press("Make my key")
        cards = self.page.locator(".card .code")
        first, second = cards.all_inner_texts()
        assert first == second
        self.code = re.sub(r"\s", "", first).split("-")
        self.fill("Type the last group of a card", self.code[-1].lower(), "I have both cards")

    def fill(self, label: str, typed: str, button: str) -> None:
        self.page.get_by_label(label).fill(typed)
        self.press(button)

    def type_card(self, typed: str = "") -> None:
        self.fill("Code on the recovery card", typed or " ".join(self.code).lower(), "Continue")

    def hand_in(self) -> list[str]:
        """Saves every file that the page offers into the folder; returns their names."""
        names = []
        for button in self.page.get_by_role("button", name="Save ").all():
            with self.page.expect_download() as saved:
                button.click()
            names.append(saved.value.suggested_filename)
            saved.value.save_as(self.folder / names[-1])
        return names

    def said(self) -> str:
        return self.page.locator("main").inner_text()


def status(cli: Cli) -> Any:
    done = cli("trustee", "status", "ceremony", "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def done(result: CommandResult) -> CommandResult:
    assert result.code == 0, result.err
    return result


def join(cli: Cli, *names: str) -> None:
    for name in names:
        done = cli("trustee", "join", "ceremony", name)
        assert done.code == 0, done.err


def rehearse(cli: Cli, *names: str) -> None:
    for name in names:
        place = NAMES.index(name) + 1
        card = Path(f"recovery-{place}.html").read_text()
        code = Path(f"code-{place}.txt")
        code.write_text("".join(re.findall(r"<span>(.*?)</span>", card)[:2]))
        done = cli("trustee", "rehearse", "ceremony", name, "--code-file", str(code))
        assert done.code == 0, done.err


@pytest.mark.parametrize(("name", "is_first"), [("Citra", True), ("Eko", False)])
def test_one_trustee_has_the_page_and_two_have_commands(
    page: Page, cli: Cli, folder: Path, name: str, is_first: bool
) -> None:
    """The first one of a step, in a tab that stays open; the last one, who types the card each time."""
    others = [each for each in NAMES if each != name]
    trustee, place = TrusteeAtThePage(page, folder, name), NAMES.index(name) + 1
    for _ in range(3 if is_first else 2):  # the last one of a step goes on at once
        if not is_first:
            join(cli, *others)
            trustee.reopen()
        trustee.open_files()
        if not trustee.code:
            trustee.make_key()
        elif not is_first:
            trustee.type_card()
        trustee.hand_in()
        if is_first:
            join(cli, *others)
    made = [path.name for path in folder.glob(f"{place}-*.json")]
    assert sorted(one.split("-")[1] for one in made) == ["certificate", "coefficients", "key"]
    join(cli, *others)
    trustee.reopen()
    trustee.open_files()
    facts = status(cli)
    assert (facts["refused"], facts["step"]) == ([], "rehearsal")
    assert facts["spoken"] in trustee.said()
    if is_first:
        rehearse(cli, *others)
    trustee.type_card()
    trustee.hand_in()
    assert "Your card works." in trustee.said()
    if not is_first:
        rehearse(cli, *others)
    assert status(cli)["complete"], status(cli)
    bulletin = CeremonyFolder(folder).bulletin()
    assert all((folder / record_name(record)).is_file() for record in bulletin.records.values())
    trustee.open_files()
    assert "The ceremony is complete" in trustee.said()


def test_a_share_of_the_page_counts_the_votes_of_an_election_that_was_made_with_it(
    page: Page, cli: Cli, folder: Path
) -> None:
    """The whole way: key, cards, ceremony, election, votes, archive, two shares of three, the counts."""
    trustee = TrusteeAtThePage(page, folder, "Citra")
    trustee.open_files()
    trustee.make_key()
    for _ in range(3):
        trustee.hand_in()
        join(cli, "Dewi", "Eko")
        trustee.open_files()
    trustee.type_card()
    trustee.hand_in()
    rehearse(cli, "Dewi", "Eko")
    nodes = "\n".join(map(node_toml, named_nodes_of_files()))
    Path("election.toml").write_text(f"difficulty = 1\n{FILE}\n{nodes}\n")
    Path("members.csv").write_text("id,name\n0001,Ani\n0002,Budi\n0003,Cici\n")
    done(cli("election", "create", "election.toml", "-o", "genesis.json"))
    election = read_genesis(Path("genesis.json"))
    codes = json.loads(Path("codes.json").read_text())["codes"]
    Path("archive.jsonl").write_bytes(secret_archive(election.definition, votes(election, codes)))

    trustee.reopen()
    trustee.open_files()
    trustee.open_more("genesis.json")
    assert "This election has the keys of your ceremony" in trustee.said()
    assert "The organiser alone added 3 voters, and these nodes: node 0, node 1" in trustee.said()
    assert election.network_hex in trustee.said()
    trustee.open_more("archive.jsonl")
    assert "The roll is missing" in trustee.said()
    trustee.open_more("archive.jsonl", "roll.json")
    assert "Pemilihan ketua: the sum of 2 votes will be decrypted." in trustee.said()
    assert axe(page) == []
    trustee.type_card()
    trustee.press("Decrypt my share")
    assert trustee.hand_in() == ["share-1.json"]
    shutil.move(folder / "share-1.json", "share-1.json")

    roll = ("--archive", "archive.jsonl", "--roll", "roll.json")
    done(cli("trustee", "decrypt", "ceremony", "Eko", *roll))
    Path("code").write_text("".join(trustee.code))
    done(cli("trustee", "decrypt", "ceremony", "Citra", *roll, "--code-file", "code", "-o", "same.json"))
    assert Path("share-1.json").read_bytes() == Path("same.json").read_bytes()
    done(cli("import", "archive.jsonl", "--data-dir", "node", "--roll", "roll.json"))
    export = ("export", "--data-dir", "node", "--genesis", "genesis.json", "--belenios", "e.bel")
    told = done(cli(*export, "--roll", "roll.json", "--share", "share-1.json", "--share", "share-3.json"))
    assert "Ketua: Ani 0, Budi 2" in told.out


def program(*words: str) -> subprocess.CompletedProcess[str]:
    """A command of its own process: it asks nodes, which this one cannot while it drives a browser."""
    return subprocess.run(
        [sys.executable, "-m", "votenet", *words], capture_output=True, text=True, timeout=120, check=False
    )


def test_a_node_takes_the_share_of_the_page(page: Page, folder: Path) -> None:
    """An election that closed before its node began: nobody has voted, and that is decrypted, too."""
    setup = SecretSetup(closes=int(time.time()) - 60, nodes=1, grace=1, weights=(1, 1))
    base = msgspec.structs.replace(setup.definition, belenios="", trustees=None)
    ceremony = run(draft=draft_of(base, NAMES, 2))
    hand_over(ceremony, folder)
    Path("roll.json").write_bytes(setup.roll.to_file())
    election = Election(with_belenios(completed(base, ceremony.bulletin)))
    with node_of(election, folder.parent, "--roll", "roll.json") as node:
        where = ("--node", str(node.address))
        shown: dict[str, Any] = {}

        def is_final() -> bool:
            told = program("results", *where, "--json")
            shown.update(json.loads(told.stdout) if told.returncode == 0 else {})
            return bool(shown.get("final"))

        wait_until(is_final)
        program("export", *where, "-o", "archive.jsonl").check_returncode()
        trustee = TrusteeAtThePage(page, folder, "Dewi")
        trustee.open_files()
        trustee.open_more("archive.jsonl", "roll.json")
        trustee.type_card(recovery_code(ceremony.seeds[1].text))
        trustee.press("Decrypt my share")
        assert trustee.hand_in() == ["share-2.json"]
        program("trustee", "submit", str(folder / "share-2.json"), *where).check_returncode()
        Path("code").write_text(recovery_code(ceremony.seeds[2].text))
        words = ("trustee", "decrypt", "ceremony", "Eko", "--code-file", "code")
        program(*words, *where, "--roll", "roll.json").check_returncode()
        wait_until(lambda: is_final() and shown["contests"])
        assert shown["decrypted_by"] == [2, 3]


def hand_over(ceremony: Ceremony, folder: Path) -> None:
    """A whole ceremony takes the place of the one in the folder."""
    (folder / "draft.json").write_bytes(encode(ceremony.draft))
    for record in ceremony.bulletin.records.values():
        (folder / record_name(record)).write_bytes(encode(record))


def test_another_election_is_refused_and_so_is_one_that_is_not_final(page: Page, folder: Path) -> None:
    setup = archived_setup(weights=(1, 1))
    base = msgspec.structs.replace(setup.definition, belenios="", trustees=None)
    ceremony = run(draft=draft_of(base, NAMES, 2))
    own = with_belenios(completed(base, ceremony.bulletin))
    hand_over(ceremony, folder)
    Path("roll.json").write_bytes(setup.roll.to_file())
    Path("other.json").write_bytes(canonical(setup.definition))
    Path("other.jsonl").write_bytes(secret_archive(setup.definition, [setup.vote("voter-1")]))
    Path("early.jsonl").write_bytes(secret_archive(own, [], closed=False))
    Path("cut.jsonl").write_bytes(secret_archive(own, [])[:-20])
    trustee = TrusteeAtThePage(page, folder, "Dewi")
    trustee.open_files()
    for names, words in (
        (["other.json"], "This file is of another election"),
        (["other.jsonl", "roll.json"], "its trustees, or their keys, are not those of the ceremony"),
        (["early.jsonl"], "The result is not final yet"),
        (["cut.jsonl"], "The file ends too early"),
    ):
        trustee.open_more(*names)
        assert words in trustee.said(), names
        assert "Decrypt my share" not in trustee.said()


def test_a_card_that_is_damaged_or_of_another_trustee_is_told(page: Page, cli: Cli, folder: Path) -> None:
    trustee = TrusteeAtThePage(page, folder, "Citra")
    trustee.open_files()
    trustee.make_key()
    trustee.hand_in()
    join(cli, "Dewi", "Eko")
    trustee.reopen()
    trustee.open_files()
    damaged = trustee.code[2][:-1] + ("0" if trustee.code[2][-1] != "0" else "1")
    trustee.type_card("-".join([*trustee.code[:2], damaged, *trustee.code[3:]]))
    assert f"Group 3 is not right: {damaged}." in trustee.said()
    assert page.evaluate("document.activeElement.id") == "card-code"
    assert axe(page) == []
    trustee.type_card("".join(trustee.code)[:-1])
    assert "A code has 32 characters. This one has 31." in trustee.said()
    card = Path("recovery-2.html").read_text()
    trustee.type_card("".join(re.findall(r"<span>(.*?)</span>", card)[:2]))
    assert "This is not the card of Citra in this ceremony." in trustee.said()
    trustee.type_card()
    assert trustee.hand_in()[0].startswith("1-coefficients-")


def test_a_key_is_handed_in_only_when_a_card_was_read(page: Page, folder: Path) -> None:
    trustee = TrusteeAtThePage(page, folder, "Citra")
    trustee.open_files()
    trustee.press("Make my key")
    trustee.fill("Type the last group of a card", "000000", "I have both cards")
    assert "That is not the last group." in trustee.said()
    assert page.get_by_role("button", name="Save ").count() == 0
    page.emulate_media(media="print")
    assert not page.locator("main").is_visible()
    assert [card.is_visible() for card in page.locator(".card").all()] == [True, True]


def test_files_that_do_not_belong_are_named_and_a_ceremony_with_two_records_ends(
    visit: Visit, cli: Cli, folder: Path
) -> None:
    trustee = TrusteeAtThePage(visit(), folder, "Eko")
    join(cli, "Citra", "Dewi")
    shutil.copytree(folder, folder.parent / "before")
    join(cli, "Eko")
    (folder / "holiday.json").write_text('{"where": "Bali"}')
    trustee.open_files()
    assert re.search(r"Files that do not count\s+holiday.json: It is not the file that", trustee.said())
    assert "Nothing to do at the moment" in trustee.said(), "Eko has typed the command"
    other = TrusteeAtThePage(visit(), folder.parent / "before", "Eko")
    other.open_files()
    other.make_key()
    [certificate, _] = other.hand_in()
    shutil.copy(other.folder / certificate, folder)
    trustee.reopen()
    trustee.open_files()
    said = trustee.said()
    assert axe(trustee.page) == []
    assert "The ceremony has ended without a key" in said
    assert "Eko handed in two different records of one step (Made a key)" in said
    assert certificate in said
    assert "Make my key" not in said


def test_the_draft_of_another_election_is_refused_by_name_and_stops_nothing(
    page: Page, cli: Cli, folder: Path
) -> None:
    trustee = TrusteeAtThePage(page, folder, "Citra")
    draft = folder / "draft.json"
    join(cli, "Citra")
    page.locator("#files").set_input_files(next(folder.glob("1-*.json")))
    page.get_by_text("draft.json is not among these files").wait_for()
    trustee.open_files()
    draft.write_text(draft.read_text().replace("Pemilihan ketua", "Another one"))
    page.locator("#files").set_input_files(draft)
    page.get_by_text("It belongs to another election, or to an older draft of this one.").wait_for()
    assert "draft.json" in trustee.said()
    assert "This does not go on" not in trustee.said()


@pytest.mark.parametrize("language", ["en", "id"])
def test_it_is_readable_for_everybody(visit: Visit, cli: Cli, folder: Path, language: str) -> None:
    """The colours take turns: a language changes the words alone."""
    (folder / "holiday.json").write_text("{}")
    windows = ({"viewport": PHONE}, {"viewport": SMALL_PHONE, "color_scheme": "dark"}, ZOOMED)
    for number, window in enumerate(windows):
        page = visit(locale=language, **window)
        page.goto(PAGE.as_uri())
        page.locator("#files").set_input_files(sorted(folder.glob("*.json")))
        page.locator("#who").select_option("1")
        page.locator("#turn .main").click()
        page.locator("#last-group").wait_for()
        page.locator("[role=status]:empty").wait_for(state="attached")
        assert page.evaluate("document.documentElement.lang") == language
        if number % 2 == (language == "id"):
            assert axe(page) == []
        assert too_wide(page) == []
        assert small_targets(page) == []


def test_it_sends_and_keeps_nothing(page: Page, watch: Watch, folder: Path) -> None:
    trustee = TrusteeAtThePage(page, folder, "Citra")
    trustee.open_files()
    trustee.make_key()
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    policy = page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    watch.allow("Content Security Policy|127.0.0.1")
    refused = "fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')"
    assert page.evaluate(f"() => {refused}") == "refused"
    trustee.press("Forget my key")
    assert page.locator(".card").count() == 0
    assert "Make my key" not in trustee.said()
