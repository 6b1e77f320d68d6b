"""The tutorial, followed: each block of docs/tutorial.md is run as printed, and a member votes in a browser.

python -m support.tutorial     (make tutorial)

A copy of the sources is installed as the page says, in a folder of its own, by a user who has no files yet.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import sync_playwright

from votenet.core.election.voting_code import shown_code
from web.browser import FLAGS, PATIENCE_MS, PHONE
from web.voting import BoothVoter

ROOT: Final = Path(__file__).parent.parent.parent
PAGE: Final = ROOT / "docs" / "tutorial.md"
BLOCK: Final = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS: Final = 900
BALLOT: Final = {"Chair": ["Citra Ayu", "Budi Santoso"], "New bylaws": ["Yes"]}
EXPECTED: Final = {
    "votenet election check": "The election is in order.",
    "votenet voters status": "Hendra Gunawan",
    "votenet results\n": "Winner: Citra Ayu",
    "votenet audit": "final result: signed by 5 of 5",
    "votenet down": "no process left",
}
"""What a block with this command must print."""


class Follower:
    """Someone who types what the page shows, block after block, in one terminal."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.cwd = folder, folder / "votenet"
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("VOTENET_", "XDG_", "PYTHON", "VIRTUAL"))
        }
        self._env = kept | {"HOME": str(folder)}
        self.cwd.mkdir()
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, check=True, stdout=subprocess.PIPE
        ).stdout
        for name in filter(None, os.fsdecode(listed).split("\0")):
            (self.cwd / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, self.cwd / name)

    def type(self, block: str) -> str:
        """Runs a block, and shows it with what it prints."""
        print(block, flush=True)
        said = self.run(block)
        print(said, flush=True)
        return said

    def run(self, block: str) -> str:
        """What the commands of a block print. Folder and variables are left as they are for the next one."""
        left, where = self._folder / "variables", self._folder / "where"
        script = f"set -e\n{block}\nenv -0 >'{left}'\npwd >'{where}'\n"
        done = subprocess.run(
            ["bash", "-c", script], env=self._env, cwd=self.cwd, text=True, timeout=SECONDS,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise SystemExit(f"{done.stdout}\nexit code {done.returncode} of:\n{block}")
        self.cwd = Path(where.read_text(encoding="utf-8").rstrip("\n"))
        pairs = left.read_text(encoding="utf-8").rstrip("\0").split("\0")
        self._env = dict(pair.split("=", 1) for pair in pairs)
        return done.stdout

    def vote(self) -> None:
        """The first member scans the card, chooses, casts, and waits until the vote is final."""
        url = json.loads(self.run("votenet ps --json"))["page"]
        (network,) = json.loads(self.run("votenet ls --json"))
        codes = json.loads((Path(network["genesis"]).parent / "codes.json").read_text(encoding="utf-8"))[
            "codes"
        ]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=list(FLAGS), timeout=PATIENCE_MS
            )
            page = browser.new_page(viewport=PHONE, locale="en-GB")
            page.set_default_timeout(PATIENCE_MS)
            voter = BoothVoter(page, url)
            voter.scan(shown_code(codes["m01"]))
            voter.choose(BALLOT)
            voter.cast()
            voter.wait_until_final()
            browser.close()


def follow(folder: Path) -> None:
    reader = Follower(folder)
    try:
        for block in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
            said = reader.type(block)
            for command, expected in EXPECTED.items():
                if command in block and expected not in said:
                    raise SystemExit(f"not printed: {expected}")
            if "votenet up" in block:
                reader.vote()
        minutes = (reader.cwd / "minutes.html").read_text(encoding="utf-8")
        if "Citra Ayu" not in minutes:
            raise SystemExit("the minutes do not name the winner")
    finally:
        reader.run("! command -v votenet >/dev/null || votenet down >/dev/null 2>&1 || true")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="vt-") as name:
        follow(Path(name))
    print("the tutorial works as printed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
