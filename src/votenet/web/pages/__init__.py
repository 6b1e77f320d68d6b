"""The pages for people: all but casting a vote works without JavaScript."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from votenet.web.pages.booth import booth
from votenet.web.pages.check import check
from votenet.web.pages.explorer import block, chain, vote, vote_of_voter
from votenet.web.pages.help import help_page
from votenet.web.pages.home import home
from votenet.web.pages.nodes import nodes
from votenet.web.pages.results import results
from votenet.web.pages.results_csv import results_csv
from votenet.web.pages.screen import screen
from votenet.web.pages.voter_view import voter


def routes() -> list[BaseRoute]:
    """All of them but that of the enrolment."""
    return [
        Route("/", home),
        Route("/vote", booth),
        Route("/results", results),
        Route("/results.csv", results_csv),
        Route("/screen", screen),
        Route("/nodes", nodes),
        Route("/chain", chain),
        Route("/chain/block/{which}", block),
        Route("/chain/vote", vote_of_voter),
        Route("/chain/vote/{wanted:path}", vote),
        Route("/chain/voter", voter),
        Route("/chain/voter/{wanted:path}", voter),
        Route("/check", check),
        Route("/help", help_page),
    ]
