"""Pages are escaped, in the reader's language, which a link can choose."""

from __future__ import annotations

from support.elections import make_election
from support.lying_node import lying_node, results_info
from support.page import Page, play

EVIL = "<script>alert(1)</script>"


def test_text_of_others_is_escaped() -> None:
    election = make_election(title=EVIL)

    async def scenario(page: Page) -> None:
        text = (await page.client.get("/")).text
        assert EVIL not in text
        assert "&lt;script&gt;" in text

    with lying_node(election, {"get_results": lambda _: results_info(election)}) as node:
        play(scenario, node)


def test_the_language_of_the_query_is_kept_in_a_cookie() -> None:
    async def scenario(page: Page) -> None:
        english = await page.client.get("/nothing")
        assert english.headers["content-language"] == "en"
        assert "set-cookie" not in english.headers
        chosen = await page.client.get("/nothing?lang=id")
        assert '<html lang="id"' in chosen.text
        assert "SameSite=lax" in chosen.headers["set-cookie"]
        assert (await page.client.get("/nothing")).headers["content-language"] == "id"

    play(scenario)
