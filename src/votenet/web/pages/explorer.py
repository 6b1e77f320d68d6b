"""`/chain`: every block and every vote, and one field to find them."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from votenet.errors import Rejected
from votenet.web.api.chain import Found, block_list, block_page, find, vote_page
from votenet.web.api.requests import asker_of
from votenet.web.frame import words_of
from votenet.web.language import language_of
from votenet.web.pages.block_view import block_item, block_view, vote_view
from votenet.web.pages.links import is_hash, vote_link, voter_link
from votenet.web.pages.standing import standing
from votenet.web.templates import render
from votenet.web.words import Words

BLOCKS_A_PAGE: Final = 20


def _place(request: Request, name: str) -> int | None:
    """A number of the query; None where there is none that makes sense."""
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


async def chain(request: Request) -> Response:
    """`?q=` searches: where one page shows what was found, that page is the answer."""
    view = request.app.state.view
    words = words_of(language_of(request), view.snapshot)
    searched = request.query_params.get("q", "").strip()
    found = await find(view, searched, asker_of(request)) if searched else None
    links = [] if found is None else links_to(words, found)
    if len(links) == 1:
        return RedirectResponse(links[0][0], status_code=303)
    blocks = await block_list(view, _place(request, "from"), BLOCKS_A_PAGE)
    first, last, top = blocks[0].height, blocks[-1].height, view.snapshot.results.height
    return render(
        request,
        "chain.html",
        searched=searched,
        found=links,
        missing=searched if found is not None and found.kind == "none" else None,
        blocks=[block_item(words, block) for block in blocks],
        newer=min(top, first + BLOCKS_A_PAGE) if first < top else None,
        older=last - 1 if last > 0 else None,
    )


def links_to(words: Words, found: Found) -> list[tuple[str, Markup]]:
    """The pages that show what a search has found."""
    links = []
    if found.voter_id is not None:
        name = words.name(found.voter_id)
        if found.vote_id is not None:
            links.append((vote_link(found.voter_id), words.t("chain.vote.title", voter=name)))
        else:
            links.append((voter_link(found.voter_id), words.t("voter.title", voter=name)))
    if found.kind == "block" and found.height is not None:
        links.append((f"/chain/block/{found.height}", words.t("block.title", height=found.height)))
    return links


async def block(request: Request) -> Response:
    """A block by its height, or by its hash."""
    view = request.app.state.view
    snapshot = view.snapshot
    words = words_of(language_of(request), snapshot)
    which, first = request.path_params["which"], _place(request, "from") or 0
    if which.isascii() and which.isdigit() and len(which) < 10:
        found = await block_page(view, int(which), first, who=asker_of(request))
    elif is_hash(which):
        found = await block_page(view, which, first, who=asker_of(request))
    else:
        raise Rejected("not-found", "there is no such block")
    return render(request, "block.html", block=block_view(words, snapshot.election, found))


async def vote(request: Request) -> Response:
    """A vote by its id, or by its voter's."""
    wanted = request.path_params["wanted"]
    view = request.app.state.view
    if is_hash(wanted):
        return await _vote_of(request, (await find(view, wanted, asker_of(request))).voter_id)
    return await _vote_of(request, wanted)


async def vote_of_voter(request: Request) -> Response:
    """The same for `?voter=`: every voter id can stand there."""
    return await _vote_of(request, request.query_params.get("voter", ""))


async def _vote_of(request: Request, voter_id: str | None) -> Response:
    view = request.app.state.view
    snapshot = view.snapshot
    words = words_of(language_of(request), snapshot)
    state = standing(words, snapshot)
    shown = not state.hidden or snapshot.election.secret is not None
    found = None
    if voter_id is not None:
        found = vote_view(words, snapshot.election, await vote_page(view, voter_id), choices_shown=shown)
    if found is None:
        raise Rejected("not-found", "there is no such vote")
    return render(request, "chain_vote.html", vote=found, choices_shown=shown, hidden=state.hidden)
