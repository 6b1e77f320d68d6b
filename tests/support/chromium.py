"""A page in a real browser that is started for it: what is drawn of it, as text or as a PDF file."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ATTEMPTS = 4


def need_chromium() -> str:
    """The path of the browser; skips the test where there is none."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no Chromium here: the page is not drawn (package chromium)")
    return found


def drawn(browser: str, folder: Path, page: str, *options: str) -> str:
    """What the browser prints of a page. On a busy machine it may fail to start: it is tried again.

    Each start has a profile of its own: a browser that still ends would take the page of the next one.
    """
    (folder / "page.html").write_text(page)
    for attempt in range(ATTEMPTS):
        profile = folder / f"profile-{len(list(folder.glob('profile-*')))}-{attempt}"
        command = [
            *(browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--no-first-run", "--disable-extensions", "--disable-background-networking"),
            *(f"--user-data-dir={profile}", *options, f"file://{folder / 'page.html'}"),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        except subprocess.TimeoutExpired:
            continue
        if done.returncode == 0:
            return done.stdout
    pytest.fail("the browser does not start")
