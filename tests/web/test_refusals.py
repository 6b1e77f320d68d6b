"""Errors as answers: JSON below /api, pages elsewhere."""

from __future__ import annotations

import pytest

from support.page import Page, play
from votenet.errors import NotProven, Rejected, StorageError, Unreachable, VotenetError
from votenet.web.refusals import status_of


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Rejected("already-voted", ""), 409),
        (Rejected("closed", ""), 403),
        (Rejected("bad-vote", ""), 400),
        (Rejected("busy", ""), 503),
        (Rejected("not-found", ""), 404),
        (Unreachable(""), 503),
        (StorageError(""), 503),
        (NotProven("", code="wrong-answer"), 502),
        (NotProven("", code="not-final"), 409),
        (VotenetError("", code="too-many"), 429),
        (VotenetError(""), 400),
    ],
)
def test_the_status_of_an_error(error: VotenetError, status: int) -> None:
    assert status_of(error) == status


def test_every_answer_says_what_happened_and_what_to_do() -> None:
    async def scenario(page: Page) -> None:
        lost = await page.client.get("/api/v1/nothing")
        assert lost.status_code == 404
        assert lost.json()["error"].keys() == {"code", "message", "next"}
        shown = await page.client.get("/nothing")
        assert shown.status_code == 404
        assert "not-found" in shown.text
        wrong = await page.client.delete("/", headers={"content-type": "application/json"})
        assert (wrong.status_code, "GET" in wrong.headers["allow"]) == (405, True)
        away = await page.client.get("/")
        assert away.status_code == 503
        assert "unreachable" in away.text

    play(scenario)
