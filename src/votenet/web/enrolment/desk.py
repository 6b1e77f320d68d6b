"""The page on which members make their own keys, and what becomes of what it sends."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from votenet.errors import ConfigError, Rejected, VotenetError
from votenet.storage.enrolment_store import Enrolled, EnrolmentStore, InvitationsFile
from votenet.web.limits import TokenBuckets, asked_by
from votenet.web.refusals import refusal
from votenet.web.templates import render

WRONG_AT_ONCE, WRONG_PER_SECOND = 60.0, 1.0
"""Invitations of one client address that no member has. A hall of members may sit behind one address."""


class _Request(msgspec.Struct):
    """What the page sends; other members of the object are ignored."""

    invitation: str
    public_key: str


class EnrolmentDesk:
    """The folder of a server, opened with its first request, and who has guessed."""

    def __init__(self) -> None:
        self._stores: dict[Path, EnrolmentStore] = {}
        self._wrong = TokenBuckets(WRONG_AT_ONCE, WRONG_PER_SECOND)

    async def page(self, request: Request) -> Response:
        """Where a member makes a voting code that only this member has."""
        invitations = await self._invitations(request)
        over = _over(request)
        return render(
            request, "enrol.html", uuid=invitations.uuid, title=invitations.title, over=over and over.code
        )

    async def not_begun(self, request: Request) -> Response:
        """What stands before the election where later its pages are."""
        invitations = await self._invitations(request)
        return render(request, "not_begun.html", status_code=404, title=invitations.title)

    async def enrol(self, request: Request) -> Response:
        """Keep a member's public key; it is on the disk before the answer.

        Only wrong invitations are limited: a guesser locks out no member behind the same router. No guesser
        finds 105 random bits at any rate.

        Raises:
            Rejected: closed, cancelled; and as `EnrolmentStore.enrol`.
            ConfigError, StorageError: as there.
        """
        await self._invitations(request)
        if (over := _over(request)) is not None:
            raise over
        asked = _asked(await request.body())
        store = self._store(request)
        try:
            made = await asyncio.to_thread(store.enrol, asked.invitation, asked.public_key, int(time.time()))
        except Rejected as error:
            who = asked_by(request, request.app.state.settings.trusted_proxies)
            if error.code == "bad-invitation" and (wait := self._wrong.wait(who, time.monotonic())):
                return _too_many(request, wait)
            raise
        said = {"voter_id": made.voter_id, "state": _state(request, made)}
        return JSONResponse(said, headers={"Cache-Control": "no-store"})

    def _store(self, request: Request) -> EnrolmentStore:
        settings = request.app.state.settings
        folder = settings.setup or settings.enrolment
        if folder is None:
            raise ConfigError(
                "members do not make their own keys here",
                code="no-enrolment",
                next_step="Ask the organisers how you get your voting code.",
            )
        return self._stores.setdefault(folder, EnrolmentStore(folder))

    async def _invitations(self, request: Request) -> InvitationsFile:
        """Raises ConfigError: no-enrolment, bad-enrolment."""
        found = await asyncio.to_thread(self._store(request).invitations)
        latest = request.app.state.view.latest
        if latest is not None and latest.election.definition.uuid != found.uuid:
            raise ConfigError(
                "the invitations on this server are of another election",
                code="no-enrolment",
                next_step="Tell the organisers: their server has a wrong folder.",
            )
        if latest is not None and latest.election.secret is not None:
            raise ConfigError(
                "ballots are secret here: a code that a member makes cannot vote",
                code="no-enrolment",
                next_step="Ask the organisers for a voting card.",
            )
        return found


def _asked(body: bytes) -> _Request:
    try:
        return msgspec.json.decode(body, type=_Request)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Rejected("bad-enrolment", f"this is no enrolment: {error}") from error


def _over(request: Request) -> Rejected | None:
    """Why no key that is made now can vote: voting has ended, or the election was cancelled."""
    latest = request.app.state.view.latest
    if latest is None or latest.state in ("before", "open"):
        return None
    if latest.state == "cancelled":
        return Rejected("cancelled", "this election was cancelled")
    return Rejected("closed", "voting has ended: a key that is made now cannot vote")


def _state(request: Request, made: Enrolled) -> str:
    """`on-roll` once the member can vote, `waiting` before."""
    latest = request.app.state.view.latest
    registered = None if latest is None else latest.election.registered
    on_roll = registered is not None and registered.get(made.voter_id) == made.public_key
    return "on-roll" if on_roll else "waiting"


def _too_many(request: Request, wait: float) -> Response:
    error = VotenetError(
        "too many wrong invitations came from this address",
        code="too-many",
        next_step="Wait a few seconds, and compare the invitation with your letter.",
    )
    return refusal(request, error, headers={"Retry-After": str(int(wait) + 1)})
