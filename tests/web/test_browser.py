"""The browser of the tests sees what goes wrong in a page, and leaves other tests alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from web.browser import Watch, axe, small_targets, too_wide, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

WRONG = """<!doctype html><html><head>
<meta http-equiv="Content-Security-Policy" content="img-src 'none'">
</head>
<body><img src="http://127.0.0.1:9/other.png"><p style="width: 4000px">wide</p><button>+</button>
<script>
    console.error("said on the console");
    setTimeout(() => { document.body.id = "done"; throw new Error("thrown in the page"); });
</script></body></html>"""


def test_it_sees_what_is_wrong(page: Page, watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "wrong.html").write_text(WRONG)
    with page.expect_event("pageerror"):
        page.goto((tmp_path / "wrong.html").as_uri())
    page.locator("#done").wait_for()
    for what in ("said on the console", "thrown in the page", "Content Security Policy", "another origin"):
        until(page, lambda what=what: what in "\n".join(watch.untold()))
    assert any("image-alt" in one for one in axe(page))
    assert any("wide" in one for one in too_wide(page))
    assert any("<button>" in one for one in small_targets(page))
    watch.allow("")


def test_tests_may_run_event_loops_beside_it(chromium: object) -> None:
    async def answer() -> int:
        return 1

    assert asyncio.run(answer()) == 1
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
