"""Enrolment over HTTP: on the disk before the answer, refused with a reason, and without an election too."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.elections import UUID, key_of
from support.page import Page, play
from support.web_pages import FixedView, secret_snapshot, shown
from votenet.core.election.voting_code import code_from, invitation_hash, shown_code
from votenet.storage.enrolment_store import EnrolmentStore, InvitationsFile, Invited
from votenet.web.enrolment import desk
from votenet.web.serving.server import make_app
from votenet.web.settings import WebSettings

ANN, BO, STRANGE = (code_from(bytes([n]) * 14) for n in range(3))


def folder(tmp_path: Path, uuid: str = UUID) -> Path:
    members = (Invited("ann", "Ann", 1, invitation_hash(ANN)), Invited("bo", "Bo", 1, invitation_hash(BO)))
    EnrolmentStore(tmp_path).invite(InvitationsFile(uuid=uuid, title='"<b>Board', members=members))
    return tmp_path


async def send(page: Page, invitation: Any, name: str = "a") -> httpx.Response:
    asked = {"invitation": invitation, "public_key": key_of(name).public_hex}
    return await page.client.post("/api/v1/enrolments", json=asked)


def test_before_the_election_every_way_leads_to_the_page_of_enrolment(tmp_path: Path) -> None:
    async def scenario(page: Page) -> None:
        first = await page.client.get("/", follow_redirects=True)
        assert (first.status_code, first.url.path) == (200, "/enrol")
        assert f'data-uuid="{UUID}"' in first.text
        assert "<b>Board" not in first.text
        assert "/static/enrol.js" in first.text
        indonesian = await page.client.get("/enrol?lang=id")
        assert "Buat kode suara Anda" in indonesian.text
        later = await page.client.get("/vote?lang=en")
        assert (later.status_code, "Voting has not begun yet" in later.text) == (404, True)
        for answer in (first, later, await page.client.get("/nothing")):
            links = re.findall(r'<a [^>]*href="(/[^"]*)"', answer.text)
            assert {(await page.client.get(link)).status_code for link in links} <= {200, 307}, links
        for _ in range(2):
            answer = await send(page, shown_code(ANN).lower())
            assert (answer.status_code, answer.json()) == (200, {"voter_id": "ann", "state": "waiting"})
        assert EnrolmentStore(tmp_path).enrolled()["ann"].public_key == key_of("a").public_hex

    play(scenario, setup=folder(tmp_path))


def test_what_is_refused_and_guessing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "WRONG_AT_ONCE", 2.0)
    monkeypatch.setattr(desk, "WRONG_PER_SECOND", 1e-9)

    async def scenario(page: Page) -> None:
        await send(page, ANN)
        for invitation, name, status, code in (
            (ANN, "b", 409, "invitation-used"),
            (BO, "a", 400, "bad-enrolment"),
            (ANN[:-1], "b", 400, "bad-code"),
            (STRANGE, "b", 403, "bad-invitation"),
            (7, "b", 400, "bad-enrolment"),
        ):
            answer = await send(page, invitation, name)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        await send(page, STRANGE, "b")
        answer = await send(page, STRANGE, "b")
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too-many")
        assert int(answer.headers["retry-after"]) > 0
        answer = await send(page, BO, "b")  # another member behind the same router
        assert (answer.status_code, answer.json()["voter_id"]) == (200, "bo")
        assert list(EnrolmentStore(tmp_path).enrolled()) == ["ann", "bo"]

    play(scenario, enrolment=folder(tmp_path))


def test_a_server_without_a_folder_says_so() -> None:
    async def scenario(page: Page) -> None:
        answer = await send(page, ANN)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no-enrolment")
        shown = await page.client.get("/enrol")
        assert (shown.status_code, "no-enrolment" in shown.text) == (404, True)

    play(scenario)


@pytest.mark.parametrize(
    ("state", "code", "said"),
    [
        ("before", "", ""),
        ("open", "", ""),
        ("closed", "closed", "Pemungutan suara sudah berakhir"),
        ("final", "closed", "Pemungutan suara sudah berakhir"),
        ("cancelled", "cancelled", "Panitia telah membatalkan pemilihan ini"),
    ],
)
def test_nobody_enrols_after_closing(tmp_path: Path, state: str, code: str, said: str) -> None:
    view = FixedView(shown(state))
    kept = folder(tmp_path, view.snapshot.election.definition.uuid)
    app = make_app(view, WebSettings(enrolment=kept))  # type: ignore[arg-type]

    async def ask() -> tuple[httpx.Response, httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            asked = {"invitation": ANN, "public_key": key_of("a").public_hex}
            return await client.get("/enrol?lang=id"), await client.post("/api/v1/enrolments", json=asked)

    page, answer = asyncio.run(ask())
    assert page.status_code == 200
    assert ("/static/enrol.js" in page.text, said in page.text) == (not code, True)
    assert (answer.status_code, answer.json().get("error", {}).get("code", "")) == (
        403 if code else 200,
        code,
    )
    assert len(EnrolmentStore(kept).enrolled()) == (0 if code else 1)


def test_nobody_enrols_where_ballots_are_secret(tmp_path: Path) -> None:
    view = FixedView(secret_snapshot())
    kept = folder(tmp_path, view.snapshot.election.definition.uuid)
    app = make_app(view, WebSettings(enrolment=kept))  # type: ignore[arg-type]

    async def ask() -> tuple[httpx.Response, httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            asked = {"invitation": ANN, "public_key": key_of("a").public_hex}
            return await client.get("/enrol"), await client.post("/api/v1/enrolments", json=asked)

    page, answer = asyncio.run(ask())
    assert (page.status_code, "/static/enrol.js" in page.text) == (404, False)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no-enrolment")
    assert EnrolmentStore(kept).enrolled() == {}
