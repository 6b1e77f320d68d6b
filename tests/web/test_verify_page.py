"""verify.html in a real browser, opened from a disk: every kind of file, and nothing leaves the page."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import votenet
from support.secret_files import CHOSEN, SETUP, whole_election
from web import corpus_files, corpus_secret_files
from web.browser import (
    PHONE,
    SMALL_PHONE,
    ZOOMED,
    Watch,
    axe,
    is_golden,
    reading_order,
    small_targets,
    too_wide,
    until,
)

if TYPE_CHECKING:
    from playwright.sync_api import FileChooser, Page

PAGE = Path(votenet.__file__).parent / "web/static/verify.html"
FILES = {
    "receipt.json": "named-receipt-good/final",
    "received.json": "named-receipt-good/received",
    "whole.jsonl": "named-good/whole",
    "result.json": "result/good",
    "evidence.json": "evidence-good/two-proposals",
    "plain.jsonl": "good/archive",
    "packed.jsonl.gz": "good/archive.gz",
    "packed.jsonl.xz": "xz/good/preset-6",
    "changed.jsonl": "archive/choice-flipped",
}
SAID = {
    "receipt.json": "The vote is final. 4 of 5 named nodes signed it",
    "received.json": "The vote was received by",
    "whole.jsonl": "This is the final result",
    "result.json": "The archive gives the same counts.",
    "evidence.json": "It proposed two blocks where it may propose one.",
    "vote.tlog-proof": "Proof that a vote is in the log",
    "plain.jsonl": "its result is never final",
    "packed.jsonl.gz": "its result is never final",
    "packed.jsonl.xz": "never final",
}
ATTEMPTS = (
    "(url) => fetch(url).then(() => 'sent', () => 'refused')",
    """(url) => new Promise((done) => {
        const image = new Image();
        image.onload = () => done("sent");
        image.onerror = () => done("refused");
        image.src = url;
    })""",
    """(url) => {
        try { document.createElement("script").src = url; return "sent"; } catch { return "refused"; }
    }""",
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of verify.html, a good file of each kind, and a changed archive."""
    folder = tmp_path_factory.mktemp("files")
    shutil.copy(PAGE, folder)
    cases = {case.name: case.data for case in (*corpus_files.first_cases(), *corpus_files.named_cases())}
    for name, case in FILES.items():
        (folder / name).write_bytes(cases[case])
    proof = json.loads((folder / "receipt.json").read_bytes())["proof"]
    (folder / "vote.tlog-proof").write_text(proof)
    return folder


@pytest.fixture(scope="module")
def secret_files(files: Path) -> Path:
    """The same folder with files of an election with secret ballots."""
    opened, waiting = (whole_election().rolled(shares=shares) for shares in ((1, 3), (2,)))
    ballots = corpus_secret_files.altered_ballots()
    made = {
        "opened.jsonl": opened.data,
        "waiting.jsonl": waiting.data,
        "roll.json": SETUP.roll.to_file(),
        "secret-receipt.json": corpus_secret_files.receipt_of(ballots["good"]),
        "forged-receipt.json": corpus_secret_files.receipt_of(ballots["swapped"]),
        "tested.json": corpus_secret_files.tested_ballot(CHOSEN[0]),
        "lied.json": corpus_secret_files.tested_ballot((0, 1, 0, 0)),
    }
    for name, data in made.items():
        (files / name).write_bytes(data)
    return files


def opened(page: Page, files: Path) -> Page:
    page.goto((files / PAGE.name).as_uri())
    page.get_by_role("heading", level=1).wait_for()
    return page


def choose(page: Page, *paths: Path) -> None:
    page.locator("#files").set_input_files(paths)


def verdict(page: Page, name: str) -> str:
    """What the page says of a file, once it has checked it."""
    article = page.get_by_role("article").filter(has=page.get_by_text(f": {name}", exact=False))
    article.wait_for()
    return article.inner_text()


def test_a_file_of_every_kind_holds(page: Page, files: Path) -> None:
    opened(page, files)
    choose(page, *(files / name for name in SAID))
    for name, said in SAID.items():
        text = verdict(page, name)
        assert "This file holds" in text, text
        assert said in text, name
    choose(page, files / "changed.jsonl")
    text = verdict(page, "changed.jsonl")
    assert re.search("This file does not hold.*bad-merkle-root", text, re.DOTALL), text


def test_a_gzip_file_of_several_parts_is_no_damaged_file(page: Page, files: Path) -> None:
    whole = (files / "whole.jsonl").read_bytes()
    end = whole.index(b"\n", len(whole) // 2) + 1
    (files / "parts.jsonl.gz").write_bytes(gzip.compress(whole[:end]) + gzip.compress(whole[end:]))
    (files / "behind.jsonl.gz").write_bytes(gzip.compress(whole) + b"something else")
    opened(page, files)
    choose(page, files / "parts.jsonl.gz", files / "behind.jsonl.gz")
    for name in ("parts.jsonl.gz", "behind.jsonl.gz"):
        text = verdict(page, name)
        assert "This file could not be checked" in text, text
        assert "Unpack it first (gunzip)" in text, text


def test_a_secret_election_is_counted_again(page: Page, secret_files: Path) -> None:
    opened(page, secret_files)
    choose(page, secret_files / "opened.jsonl")
    assert "Drop the roll of the election, too" in verdict(page, "opened.jsonl")
    choose(page, secret_files / "roll.json")
    page.get_by_text("This is the final result.").wait_for()
    said = verdict(page, "opened.jsonl")
    assert "These trustees decrypted their sums, and proved it: Trustee 1 and Trustee 3." in said
    assert re.search(r"Elected: Bob\..*Bob\s+7\s.*Their weight is 7\.", said, re.DOTALL), said
    choose(page, secret_files / "waiting.jsonl")
    said = verdict(page, "waiting.jsonl")
    assert "Votes: 3, encrypted. Waiting for trustees: 1 of the 2 who are needed" in said
    assert "Bob" not in said
    assert axe(page) == []


def test_the_ballot_in_a_receipt_is_checked(page: Page, secret_files: Path) -> None:
    opened(page, secret_files)
    choose(page, *(secret_files / name for name in ("secret-receipt.json", "forged-receipt.json")))
    said = verdict(page, "secret-receipt.json")
    assert "This file holds" in said
    assert "The vote is encrypted." in said
    assert re.search("does not hold.*bad-ballot-signature", verdict(page, "forged-receipt.json"), re.DOTALL)


def test_a_tested_ballot_is_opened(page: Page, secret_files: Path) -> None:
    opened(page, secret_files)
    choose(page, *(secret_files / name for name in ("tested.json", "lied.json")))
    said = verdict(page, "tested.json")
    ballot = json.loads((secret_files / "tested.json").read_bytes())["ballot"]
    shown = base64.b64encode(hashlib.sha256(ballot.encode()).digest()).decode().rstrip("=")
    assert re.search(r"This file holds.*encrypts what the device said.*Ketua\s+Bob", said, re.DOTALL), said
    assert shown in said
    said = verdict(page, "lied.json")
    assert re.search("does not hold.*does not encrypt what the device said.*Ketua\\s+Bob", said, re.DOTALL), (
        said
    )
    assert axe(page) == []


def test_a_dropped_file_is_checked(page: Page, files: Path) -> None:
    opened(page, files)
    data = base64.b64encode((files / "receipt.json").read_bytes()).decode()
    held = page.evaluate_handle(
        """(data) => {
            const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
            const held = new DataTransfer();
            held.items.add(new File([bytes], "dropped.json"));
            return held;
        }""",
        data,
    )
    page.dispatch_event("main", "drop", {"dataTransfer": held})
    assert SAID["receipt.json"] in verdict(page, "dropped.json")


def test_a_keyboard_is_enough_in_two_languages(page: Page, files: Path) -> None:
    choosers: list[FileChooser] = []
    page.on(
        "filechooser", lambda chooser: choosers.append(chooser)
    )  # before all else: the browser must know when the key is pressed
    opened(page, files)
    for name in ("English", "Bahasa Indonesia"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == name
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Periksa", exact=False).wait_for()
    assert page.evaluate("document.documentElement.lang") == "id"
    assert page.evaluate("document.activeElement.textContent") == "Bahasa Indonesia"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "files"
    with page.expect_event("filechooser"):
        page.keyboard.press("Enter")
    choosers[0].set_files(files / "receipt.json")
    assert "Suara ini final." in verdict(page, "receipt.json")
    assert is_golden("verify.id.yml", reading_order(page)), reading_order(page)


@pytest.mark.parametrize("language", ["en", "id"])
def test_it_is_readable_for_everybody(visit: Callable[..., Page], files: Path, language: str) -> None:
    windows = ({"viewport": PHONE}, {"viewport": SMALL_PHONE, "color_scheme": "dark"}, ZOOMED)
    for window in windows:
        page = opened(visit(locale=language, **window), files)
        choose(page, *(files / name for name in ("receipt.json", "whole.jsonl", "changed.jsonl")))
        verdict(page, "changed.jsonl")
        assert page.evaluate("document.documentElement.lang") == language
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        assert axe(page) == []
        assert too_wide(page) == []
        assert small_targets(page) == []


def test_it_cannot_send_anything(page: Page, watch: Watch, files: Path) -> None:
    opened(page, files)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        where = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        watch.allow(f"Content Security Policy|TrustedScriptURL|{where}")
        for attempt in ATTEMPTS:
            with page.expect_console_message():
                assert page.evaluate(attempt, where) == "refused"
        with pytest.raises(BlockingIOError):
            listener.accept()
        until(page, lambda: len(watch.troubles) >= len(ATTEMPTS))


def test_without_javascript_it_says_what_it_needs(visit: Callable[..., Page], files: Path) -> None:
    page = visit(java_script_enabled=False)
    page.goto((files / PAGE.name).as_uri())
    told = page.locator("noscript").inner_text()
    assert "it needs JavaScript" in told
    assert "memerlukan JavaScript" in told
