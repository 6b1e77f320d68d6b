"""The pictures of the page in docs/, taken in a real browser from a real evening of a club.

make pictures   PYTHONPATH=tests python bench/screenshots.py

A network with its page is started as an organiser does it (`votenet up -f`), in a folder of its own. Members
vote with their cards, two of them in a browser, the others as browsers hand a vote in. Then voting is closed.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page, sync_playwright

from votenet.core.election.voting_code import key_of_code, shown_code
from votenet.core.ledger.vote import sign_vote
from web.browser import FLAGS, PATIENCE_MS
from web.voting import BoothVoter

DOCS: Final = Path(__file__).parent.parent / "docs" / "pictures"
QUALITY: Final = 0.72
"""Of WebP: letters stay sharp."""
NOTICE: Final = "+100s"
"""From the end of voting: an amendment needs a minute."""

CHAIR: Final = ("Ann Ångström", "Budi Santoso", "Citra Ayu")
BOARD: Final = ("Dewi Lestari", "Ed Żółć", "Flo Wulandari", "Gus Hakim")
MEMBERS: Final = (
    "Siti Rahayu", "Bo O'Neill", "Eko Nugroho", "Lina Marlina", "Hendra Gunawan", "Maya Sari",
    "Joko Susilo", "Ratna Dewi", "Yusuf Hakim", "Indah Permata", "Bayu Saputra", "Nur Aini",
)  # fmt: skip
ELECTION: Final = f"""\
title = "Rowing club: the board of 2027"
organiser = "Rowing club"
language = "en"
time_zone = "Asia/Jakarta"
closes = {{closes}}
members = "members.csv"
public_url = "https://vote.example.org"
grace = 5

[[contests]]
id = "chair"
title = "Chair"
description = "Who leads the club for two years."
method = "instant-runoff"
candidates = {json.dumps(CHAIR, ensure_ascii=False)}

[[contests]]
id = "board"
title = "Two seats on the board"
method = "stv"
seats = 2
blank = true
candidates = {json.dumps(BOARD, ensure_ascii=False)}

[[contests]]
id = "bylaws"
title = "New bylaws"
method = "motion"
threshold = "two-thirds of votes cast"
"""
BALLOT: Final = {
    "Chair": ["Citra Ayu", "Budi Santoso"],
    "Two seats on the board": ["Gus Hakim", "Dewi Lestari"],
    "New bylaws": ["Yes"],
}
BESIDE: Final = """
<body style="margin:0;padding:24px;display:flex;gap:28px;background:#e9ecef;width:max-content">
<img src="{phone}" style="height:520px;border:10px solid #1c2733;border-radius:26px">
<img src="{screen}" style="height:520px;border:10px solid #1c2733;border-radius:6px">
"""


class Club:
    """The network of the evening, in a folder that goes with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._env = os.environ | {"VOTENET_HOME": str(folder / "h")}
        rows = [f"m{number:02},{name}" for number, name in enumerate(MEMBERS, start=1)]
        (folder / "members.csv").write_text("\n".join(["id,name", *rows]) + "\n", encoding="utf-8")
        closes = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 36_000))
        (folder / "election.toml").write_text(ELECTION.format(closes=closes), encoding="utf-8")
        self.run("up", "-d", "--web", "-f", str(folder / "election.toml"))
        self.url: str = json.loads(self.run("ps", "--json"))["page"]
        self.home = folder / "h" / "default"
        self.codes: dict[str, str] = json.loads((self.home / "codes.json").read_text())["codes"]

    def run(self, *words: str) -> str:
        command = [sys.executable, "-m", "votenet", *words]
        return subprocess.run(command, env=self._env, check=True, text=True, stdout=subprocess.PIPE).stdout

    def api(self, path: str, body: bytes | None = None) -> Any:
        headers = {"Content-Type": "application/json", "Origin": self.url}
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def others_vote(self, voters: Sequence[str]) -> None:
        """Votes of these members, as their browsers hand them in."""
        election = self.api("election")
        uuid, network = election["definition"]["uuid"], election["network_id"]
        chance = random.Random(5)
        for voter in voters:
            first = chance.choices(CHAIR, (2, 3, 5))[0]
            rest = [name for name in CHAIR if name != first]
            motion = chance.choices(("Yes", "No", "Abstain"), (8, 2, 1))
            choices = [[first, *rest[:1]], chance.sample(BOARD, 3), motion]
            key = key_of_code(self.codes[voter], uuid)
            vote = sign_vote(key, network_hex=network, voter_id=voter, choices=choices, time=int(time.time()))
            self.api("votes", vote.record)


class Camera:
    """Takes pictures, and keeps them small."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._dark_room = browser.new_page()

    def visit(self, width: int, height: int, **options: Any) -> Page:
        context = self._browser.new_context(
            viewport={"width": width, "height": height}, **({"locale": "en-GB"} | options)
        )
        context.set_default_timeout(PATIENCE_MS)
        return context.new_page()

    def take(self, page: Page, name: str, *, height: int | None = None, width: int | None = None) -> str:
        """Saves what the window shows, or its upper part so high; `width`: scaled to so many pixels."""
        size = page.viewport_size
        assert size is not None
        page.evaluate("scrollTo(0, 0)")
        box = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"]}
        data = page.screenshot(clip=box, full_page=height is not None)  # type: ignore[arg-type]
        picture = self._dark_room.evaluate(DEVELOP, [list(data), width or 0, QUALITY])
        path = DOCS / f"{name}.webp"
        path.write_bytes(bytes(picture))
        print(f"{path.name}: {path.stat().st_size:,} bytes", flush=True)
        return path.as_uri()


DEVELOP: Final = """async ([bytes, width, quality]) => {
    const image = await createImageBitmap(new Blob([new Uint8Array(bytes)], { type: "image/png" }));
    const scale = width > 0 ? width / image.width : 1;
    const canvas = new OffscreenCanvas(image.width * scale, image.height * scale);
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    const made = await canvas.convertToBlob({ type: "image/webp", quality });
    return [...new Uint8Array(await made.arrayBuffer())];
}"""


def evening(club: Club, camera: Camera) -> None:
    cards = camera.visit(794, 640)
    cards.goto((club.home / "cards.html").as_uri())
    camera.take(cards, "cards")
    phone = BoothVoter(camera.visit(360, 740, device_scale_factor=1.5), club.url)
    phone.scan(shown_code(club.codes["m01"]))
    phone.choose(BALLOT)
    camera.take(phone.page, "review")
    phone.page.go_back()
    phone.page.go_back()
    phone.heading("Two seats").wait_for()
    ballot = camera.take(phone.page, "ballot")
    phone.page.go_forward()
    phone.page.go_forward()
    phone.cast()
    phone.wait_until_final()
    camera.take(phone.page, "final")
    receipt = phone.keep_receipt(club.folder)
    other = BoothVoter(camera.visit(360, 740, device_scale_factor=1.5, locale="id-ID"), club.url, "id")
    other.scan(shown_code(club.codes["m02"]))
    other.choose(BALLOT)
    camera.take(other.page, "review_id")
    other.cast()
    other.wait_until_final()
    club.others_vote(list(club.codes)[2:11])
    closed(club, camera, ballot, receipt)


def closed(club: Club, camera: Camera, ballot: str, receipt: Path) -> None:
    """Closes the election, and takes the pictures of its end."""
    wall = camera.visit(1920, 1080)
    wall.goto(f"{club.url}/screen")
    wall.get_by_text("11 of 12 have voted").wait_for()
    club.run("election", "close", NOTICE)
    wall.get_by_text("Final, signed by").first.wait_for(timeout=5 * PATIENCE_MS)
    screen = camera.take(wall, "screen", width=1100)
    results = camera.visit(1000, 900)
    results.goto(f"{club.url}/results")
    camera.take(results, "results", height=1300, width=800)
    check = camera.visit(900, 900)
    offline = club.folder / "verify.html"
    with urllib.request.urlopen(f"{club.url}/verify.html", timeout=60) as answer:
        offline.write_bytes(answer.read())
    check.goto(offline.as_uri())
    check.locator("input[type=file]").set_input_files(receipt)
    check.get_by_text("The vote is final.").wait_for()
    camera.take(check, "verify", height=1000, width=760)
    beside = camera.visit(1360, 590)
    (club.folder / "beside.html").write_text(BESIDE.format(phone=ballot, screen=screen), encoding="utf-8")
    beside.goto((club.folder / "beside.html").as_uri())
    camera.take(beside, "evening", width=1200)


def main() -> None:
    DOCS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="vn-") as name:
        club = Club(Path(name))
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path="/usr/bin/chromium", args=list(FLAGS), timeout=PATIENCE_MS
                )
                evening(club, Camera(browser))
                browser.close()
        finally:
            club.run("down")


if __name__ == "__main__":
    main()
