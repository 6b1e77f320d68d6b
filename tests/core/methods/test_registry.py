"""The methods: one list, which the pages and every reader follow; an unknown one is an error to each."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from click.testing import CliRunner

from support.archives import NOW, canonical_fields, contest_fields, election, other_definition, receipt_with
from support.elections import with_contest
from votenet.cli.network.up import up
from votenet.cli.ui import preferences
from votenet.client.answers import fetch_election
from votenet.core.election.definition import Election, check_definition, election_from_file
from votenet.core.encoding import DOMAIN_GENESIS, canonical, domain_hash
from votenet.core.methods.registry import METHODS, method_named
from votenet.core.records.archive import ArchiveCheck
from votenet.core.records.receipt import check_receipt, decode_receipt
from votenet.errors import ConfigError, NotProven
from votenet.protocol.wire.client_messages import ElectionInfo

DOCS = Path(__file__).parents[3] / "docs"
UNKNOWN = canonical_fields(election().definition) | {"contests": [contest_fields(method="borda")]}


@pytest.mark.parametrize("name", METHODS)
def test_the_page_of_elections_tells_what_each_method_is(name: str) -> None:
    method = METHODS[name]
    page = (DOCS / "elections.md").read_text(encoding="utf-8")
    assert f"| `{name}` | {method.ballot} | {method.counted} |" in page


def test_the_command_line_offers_the_methods_of_the_list() -> None:
    option = next(option for option in up.params if option.name == "method")
    assert list(cast("Any", option.type).choices) == list(METHODS)
    assert CliRunner().invoke(up, ["--method", "borda"]).exit_code == 2


def test_a_name_that_is_not_on_the_list_names_no_method() -> None:
    for read in (method_named, lambda name: preferences(("Ann", "Bo"), name)):
        with pytest.raises(ConfigError, match="'borda' is not known") as refused:
            read("borda")
        assert refused.value.code == "bad-genesis"
        assert ", ".join(METHODS) in refused.value.next_step


def test_no_election_is_made_of_a_definition_with_an_unknown_method() -> None:
    definition = with_contest(election().definition, method="borda")
    for check in (check_definition, Election):
        with pytest.raises(ConfigError, match="'borda' is not known"):
            check(definition)


def test_a_genesis_file_with_an_unknown_method_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'borda' - at `\$.contests\[0\].method`") as refused:
        election_from_file(canonical(UNKNOWN))
    assert refused.value.code == "bad-genesis"


def test_a_node_that_tells_of_an_unknown_method_is_refused() -> None:
    network_id = domain_hash(DOMAIN_GENESIS, canonical(UNKNOWN)).hex()

    class Node:
        address = "node:1"

        async def ask(self, *_: object) -> ElectionInfo:
            return ElectionInfo(definition=msgspec.Raw(canonical(UNKNOWN)), network_id=network_id)

    with pytest.raises(ConfigError, match="'borda'"):
        asyncio.run(fetch_election(cast("Any", Node())))


def test_an_archive_with_an_unknown_method_is_refused() -> None:
    with pytest.raises(NotProven) as refused:
        ArchiveCheck(io.BytesIO(other_definition(contests=UNKNOWN["contests"])), NOW).run()
    assert refused.value.code == "bad-record"


def test_a_receipt_with_an_unknown_method_is_refused() -> None:
    data = receipt_with(definition=UNKNOWN)
    with pytest.raises(NotProven) as refused:
        check_receipt(decode_receipt(data), NOW)
    assert refused.value.code == "bad-record"
