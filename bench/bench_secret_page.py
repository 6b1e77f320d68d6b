"""T17, in the browser: how long a voter waits for a secret ballot.

Chromium starts the worker of secret ballots anew for each ballot, as a voter's browser does. The time is from
there to the ballot: load of its code, rules of the definition, tables of the election's key, the ballot, and
the worker's check of it. Each ballot must hold here. The goal is for one contest of 20 candidates.

    pytest bench/bench_secret_page.py --benchmark-only -s
"""

from __future__ import annotations

import json
import os
import random
import statistics
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from lines import add_line
from support.secret_definitions import UUID, SecretSetup, contest
from votenet.core.election.voting_code import code_from
from votenet.core.encoding import canonical
from votenet.secret.ballot import check_ballot
from votenet.secret.credentials import credential_of_code, public_credential
from votenet.secret.definition import read_election
from votenet.web.files import static_files
from web.browser import chromium, visit, watch

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

__all__ = ["chromium", "visit", "watch"]

HOME = "http://booth.test/"
BALLOTS = int(os.environ.get("BENCH_SECRET_BALLOTS", "7"))
MAKE = """async ({ definition, choices, code }) => {
    const began = performance.now();
    const worker = new Worker("/secret_worker.js");
    try {
        return await new Promise((resolve, reject) => {
            worker.onerror = (event) => reject(new Error(event.message));
            worker.onmessage = ({ data }) => {
                if (data.kind === "fault") reject(new Error(`${data.code}: ${data.where}`));
                if (data.kind === "ballot") resolve([data.ballot, (performance.now() - began) / 1000]);
            };
            const secret = { code: new TextEncoder().encode(code) };
            worker.postMessage({ kind: "make", definition, choices, secret }, [secret.code.buffer]);
        });
    } finally {
        worker.terminate();
    }
}"""


@pytest.fixture(scope="session")
def worker() -> str:
    """The text of the worker."""
    return static_files()["secret_worker.js"].body.decode()


def serve(page: Page, worker: str) -> None:
    """Opens a page that can load the worker, and nothing else."""
    files = {HOME: ("text/html", "<!doctype html><title>.</title><link rel=icon href=data:,>")}
    files[f"{HOME}secret_worker.js"] = ("text/javascript", worker)

    def fulfil(route: Route) -> None:
        kind, body = files[route.request.url]
        route.fulfill(status=200, content_type=f"{kind}; charset=utf-8", body=body)

    page.route("**/*", fulfil)
    page.goto(HOME)


def setup_of(contests: int, candidates: int) -> SecretSetup:
    names = [f"Candidate {number}" for number in range(1, candidates + 1)]
    return SecretSetup([contest(f"Office {number}", names, id=f"{number}") for number in range(contests)])


def make_one(page: Page, setup: SecretSetup) -> float:
    """Seconds until the browser had a ballot, which holds."""
    code = code_from(random.randbytes(14))
    names = [[random.choice(one.candidates).name] for one in setup.contests]
    given = {"definition": json.loads(canonical(setup.definition)), "choices": names, "code": code}
    ballot, seconds = page.evaluate(MAKE, given)
    credential = public_credential(credential_of_code(code, UUID), UUID)
    check_ballot(read_election(setup.definition.belenios.encode()), ballot.encode(), {credential})
    return float(seconds)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("contests", "candidates"), [(1, 20), (1, 5), (5, 20)])
def test_t17_browser(
    benchmark: Any, visit: Callable[..., Page], worker: str, contests: int, candidates: int
) -> None:
    setup = setup_of(contests, candidates)
    page = visit()
    serve(page, worker)
    times = benchmark.pedantic(lambda: [make_one(page, setup) for _ in range(BALLOTS)], rounds=1)
    within = f" in each of {contests} contests" if contests > 1 else ""
    what = f"a ballot made in Chromium, {candidates} candidates{within}"
    goal = 1.0 if (contests, candidates) == (1, 20) else None
    add_line(benchmark, "T17", what, statistics.median(times), "s", goal=goal, at_least=False)
    print(f"    fastest {min(times):.3f} s, slowest {max(times):.3f} s")
