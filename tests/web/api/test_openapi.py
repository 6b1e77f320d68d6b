"""The OpenAPI document names every route, and says what real answers are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from starlette.routing import Route
from tests.cli.conftest import RunningNode

from support.page import Page, play
from votenet.web import api, enrolment
from votenet.web.api.openapi import document, document_bytes
from votenet.web.refusals import STATUS

PAGE = Path(__file__).parents[3] / "docs" / "web-api.md"

BY_ROUTE = {"not-on-roll": {"403", "404"}, "not-final": {"404", "409"}, "network-mismatch": {"400"}}
"""Statuses of codes that are answered differently by different routes."""


def described() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(document_bytes())
    assert made == document()
    return made


def test_every_route_is_described_and_every_description_is_a_route() -> None:
    routes = {
        (re.sub(r":path", "", route.path), method.lower())
        for route in (*api.routes(), *enrolment.routes())
        if isinstance(route, Route) and route.path != "/enrol"
        for method in (route.methods or set()) - {"HEAD"}
    }
    told = {(path, method) for path, one in described()["paths"].items() for method in one}
    assert told == routes - {("/api/v1/openapi.json", "get")}


def test_every_reference_leads_to_a_schema_and_every_route_has_its_name_and_its_errors() -> None:
    made = described()
    schemas = made["components"]["schemas"]
    for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(made)):
        assert name in schemas
    assert "\\Z" not in json.dumps(schemas)
    operations = [one for path in made["paths"].values() for one in path.values()]
    assert len({one["operationId"] for one in operations}) == len(operations)
    for one in operations:
        assert {"200", "429", "503"} <= one["responses"].keys()


def test_a_code_stands_at_the_status_that_it_is_answered_with() -> None:
    for path, methods in described()["paths"].items():
        for one in methods.values():
            for status, answer in one["responses"].items():
                for code in re.findall(r"[a-z]+(?:-[a-z]+)+", answer["description"]):
                    own = {
                        "not-on-roll": {"403", "404"},
                        "not-final": {"404", "409"},
                        "network-mismatch": {"400"},
                    }
                    expected = own.get(code, {str(STATUS.get(code, status))})
                    assert status in expected, f"{path}: {code}"


def test_the_page_of_the_documentation_has_every_route() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for path, methods in described()["paths"].items():
        (method,) = methods
        shown = path.removeprefix("/api/v1/")
        assert f"`{method.upper()} {shown}" in text, path


def test_it_is_served(named_node: RunningNode) -> None:
    async def scenario(page: Page) -> None:
        answer = await page.client.get("/api/v1/openapi.json")
        assert (answer.status_code, answer.content) == (200, document_bytes())
        for method in ("PUT", "DELETE", "PATCH", "POST"):
            refused = await page.client.request(method, "/api/v1/state", json={})
            assert (refused.status_code, refused.json()["error"]["code"]) == (405, "bad-method")
        for path in ("state", "election", "amendments", "nodes", "results", "blocks"):
            answers = answer.json()["paths"][f"/api/v1/{path}"]["get"]["responses"]
            schema = answers["200"]["content"]["application/json"]["schema"]
            shown = (await page.client.get(f"/api/v1/{path}")).json()
            assert shown.keys() >= set(schema["required"]) == set(schema["properties"]), path

    play(scenario, named_node.address)
