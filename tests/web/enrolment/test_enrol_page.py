"""A member enrols on the set-up page in a real browser: the code stays there, the organiser has its key."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.elections import UUID
from support.ports import free_port
from votenet.core.election.voting_code import code_from, invitation_hash, key_of_code, read_code, shown_code
from votenet.storage.enrolment_store import EnrolmentStore, InvitationsFile, Invited
from web.browser import SMALL_PHONE, Watch, axe, small_targets, too_wide

if TYPE_CHECKING:
    from playwright.sync_api import Page

INVITATION = code_from(b"an invitation!")
CODE = re.compile("[0-9A-Z]{5}(?:-[0-9A-Z]{5}){3}-[0-9A-Z]{6}")
TITLE = "\u202b<b>Election</b> of the board"


@pytest.fixture
def store(tmp_path: Path) -> EnrolmentStore:
    made = EnrolmentStore(tmp_path / "enrolment")
    members = (Invited("0017", "Ann Lee", 1, invitation_hash(INVITATION)),)
    made.invite(InvitationsFile(uuid=UUID, title=TITLE, members=members))
    return made


@pytest.fixture
def url(store: EnrolmentStore, tmp_path: Path) -> Iterator[str]:
    """A real `votenet web --setup`."""
    port = free_port()
    command = [sys.executable, "-m", "votenet", "web", "--setup", str(store.folder), "--port", str(port)]
    said = tmp_path / "log"
    with said.open("wb") as log, subprocess.Popen(command, stderr=log) as program:
        found = f"http://127.0.0.1:{port}"
        while not _answers(found):
            assert program.poll() is None
            time.sleep(0.05)
        yield found
        program.terminate()
        assert program.wait(150) == 0
    assert "WARNING" not in said.read_text(encoding="utf-8"), "it looks for no nodes"


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=60):
            return True
    except (urllib.error.URLError, OSError):
        return False


def test_the_code_that_the_browser_shows_gives_the_key_that_the_folder_has(
    store: EnrolmentStore, url: str, visit: Callable[..., Page], watch: Watch
) -> None:
    page = visit(viewport=SMALL_PHONE)
    page.goto(f"{url}/enrol#{shown_code(INVITATION)}")
    page.locator("#enrol[data-step=keep]").wait_for()
    assert shown_code(INVITATION) not in page.url
    (code,) = CODE.findall(page.locator("#enrol").inner_text())
    assert (axe(page), too_wide(page), small_targets(page)) == ([], [], [])
    assert store.enrolled() == {}, "nothing is sent before the member has kept the code"
    page.get_by_role("button", name="I have kept it").click()
    page.locator("#enrol[data-step=done]").wait_for()
    assert "When voting begins" in page.locator("#enrol").inner_text()
    assert page.locator("#enrol a").count() == 0, "there is no ballot yet"
    assert "0017" in page.locator("#enrol").inner_text()
    assert (axe(page), too_wide(page)) == ([], [])
    key = key_of_code(read_code(code), UUID).public_hex
    assert store.enrolled()["0017"].public_key == key
    again = visit(locale="id-ID")
    watch.allow("409")
    again.goto(f"{url}/enrol#{shown_code(INVITATION)}")
    again.locator("#enrol[data-step=keep]").wait_for()
    assert again.locator("html").get_attribute("lang") == "id"
    again.get_by_role("button", name="Sudah saya simpan").click()
    again.get_by_text("invitation-used").wait_for()
    assert store.enrolled()["0017"].public_key == key
