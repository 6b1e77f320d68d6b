"""The limits in docs/ have the values of the constants (docs/audit.md: tests/verifier/test_limits.py)."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Final

import pytest

from votenet.core import limits
from votenet.core.ledger import mempool
from votenet.network import listener, transport
from votenet.network.bootstrap import server
from votenet.network.node import backpressure, links, memory_limit, serving
from votenet.protocol import reference_go
from votenet.protocol.bootstrap import bootstrap_messages, registry, server_core
from votenet.protocol.node import acceptances, block_lists, proposed_blocks, sync, vote_request_tracker
from votenet.protocol.peers import address_manager, dial_planner, dial_rates, discovery, selection
from votenet.protocol.wire import client_messages, framing, named_messages, peer_messages
from votenet.protocol.wire import limits as rates
from votenet.web import events, live_view
from votenet.web import limits as page
from votenet.web.api import archive_answer

DOCS: Final = Path(__file__).parents[1] / "docs"
KIB, MIB = 1024, 1024 * 1024


def size(count: float) -> str:
    """Bytes as the tables write them."""
    return f"{count / MIB:g} MiB" if count >= MIB else f"{count / KIB:g} KiB"


def rows(page: str) -> dict[str, str]:
    """First cell to second cell of all tables of a page."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return {row[0]: " | ".join(row[1:]) for row in cells}


LINK: Final = transport.LinkLimits(max_line=0)
TRANSPORT: Final = inspect.signature(listener.Listener.__init__).parameters
CLIENT, PEER = rates.CLIENT_RATES, rates.PEER_RATES
STATEMENTS_UNITS: Final = rates.EXPENSIVE_UNITS[named_messages.GetConsensus]

PROTOCOL: Final = {
    "line of a client or stranger at a node": size(framing.MAX_CLIENT_LINE),
    "line of a peer, after the handshake": size(framing.MAX_PEER_LINE),
    "time to the first line, for the rest of a line, idle": (
        f"{LINK.first_line:g} s, {LINK.partial_line:g} s, {LINK.idle:g} s"
    ),
    "unread answers of a client": (
        f"{size(links.CLIENT_LIMITS.unread or 0)}, then its requests wait; {LINK.unread_seconds:g} s"
    ),
    "unread lines of a peer": size(LINK.max_unsent),
    "connections, in all and from one address": (
        f"{TRANSPORT['max_links'].default}, {TRANSPORT['max_links_per_host'].default}"
    ),
    "new connections of one address": (
        f"{rates.CONNECTIONS_AT_ONCE:,g} at once, {rates.CONNECTIONS_PER_SECOND:g} a second"
    ),
    "peers that have dialled, in all and from one address": (
        f"{links.MAX_INBOUND}, {links.MAX_INBOUND_OF_ADDRESS}"
    ),
    "messages waiting for the core: a client's link, a peer's, all of an address; lines in checking; bytes": (
        f"{backpressure.MAX_PENDING_OF_STRANGER}, {backpressure.MAX_PENDING}, "
        f"{backpressure.MAX_PENDING_OF_ADDRESS}; {backpressure.MAX_JOBS}; "
        f"{backpressure.MAX_HELD / MIB:g} and {size(backpressure.MAX_HELD_OF_PEER)}"
    ),
    "questions of one link whose answers wait to be read from the disk": (
        f"{serving.MAX_QUESTIONS}, then `rate-limited`; "
        f"a client's link is not read while {backpressure.MAX_JOBS} wait"
    ),
    "links of one address that have a long answer under way": f"{serving.READERS};",
    "memory of what waits for all links together, and of it for links without a handshake (a line in the "
    "queue counts three times: its votes are objects)": (
        f"{size(memory_limit.MAX_MEMORY)}, {size(memory_limit.MAX_STRANGERS_MEMORY)}"
    ),
    "work of a client's link, and of all clients of an address": (
        f"{CLIENT.units_at_once:,.0f} units at once, {CLIENT.units_per_second:,.0f} a second"
    ),
    "work of a peer's link, and of all peers of an address": (
        f"{PEER.units_at_once:,.0f} units at once, {PEER.units_per_second:,.0f} a second"
    ),
    "bytes of a link, client and peer; of all clients of an address": (
        f"{CLIENT.bytes_at_once / MIB:g} and {size(PEER.bytes_at_once)} at once, "
        f"{CLIENT.bytes_per_second / MIB:g} and {size(PEER.bytes_per_second)} a second"
    ),
    "peers dialled and kept; feelers beyond them; known addresses": (
        f"{selection.OUTBOUND}; {dial_planner.FEELERS_AT_ONCE} at once, "
        f"one in {1 / dial_planner.FEELERS_PER_SECOND:g} s; "
        f"{address_manager.MAX_KNOWN:,}"
    ),
    "headers with less work than our tip": f"{sync.MAX_SIDE_HEADERS:,}",
    "votes in one line; one vote, with an encrypted ballot": (
        f"{peer_messages.MAX_VOTES_IN_LINE:,}; {size(limits.MAX_VOTE_BYTES)}, "
        f"{limits.MAX_RECORD_BYTES:,} bytes"
    ),
    "memory of waiting votes (some 70,000 with one choice)": size(mempool.MAX_POOL_BYTES),
    "votes asked of peers at one time, in all and of one": (
        f"{vote_request_tracker.MAX_ASKED:,}, {vote_request_tracker.MAX_ASKED_OF_PEER:,}"
    ),
    "votes and bytes of one block": f"{limits.MAX_BLOCK_VOTES:,}; {size(limits.MAX_BLOCK_BYTES)}",
}
PRICES: Final = {
    "a line, with an answer of up to 8 KiB; each 8 KiB more of an answer": f"{rates.LINE_UNITS:g}; 1",
    "a vote submitted or passed on; one with a false signature": (
        f"{rates.VOTE_UNITS:g}; {rates.BAD_SIGNATURE_UNITS:g} more"
    ),
    "short ids announced, asked for, or in a compact block; headers": (
        f"1 for each {rates.SHORT_IDS_IN_UNIT}; 1 for each {rates.HEADERS_IN_UNIT}"
    ),
    "`get_proof`": (
        f"{rates.EXPENSIVE_UNITS[client_messages.GetProof]:g} more; "
        f"for the first of a block whose Merkle levels are not kept, "
        f"{rates.LEVELS_UNITS:g} for each of its votes"
    ),
    "a block asked for, whole or in part": (
        f"{rates.BLOCK_UNITS:g} more, 1 for each {rates.POSITIONS_IN_UNIT} positions, "
        f"1 for each {size(rates.BYTES_READ_IN_UNIT)} that are read, and what is sent"
    ),
    "`request_blockchain`": (
        f"{rates.EXPENSIVE_UNITS[peer_messages.RequestBlockchain]:g} more; for the first at a tip "
        f"{rates.CHAIN_UNITS:g} for each vote of the chain"
    ),
    "a prevote, a precommit, a proposal told again; an acceptance that is handed on; "
    "a signature in a commit, a line of a certificate": f"{rates.VOTE_UNITS:g}",
    "a path in the log or its growth (`get_proof` with named nodes, `get_checkpoint`); "
    "a proof that a named node lied": f"{rates.LOG_PROOF_UNITS:g} more; {rates.EVIDENCE_UNITS:g}",
    "the statements of a height (`get_consensus`)": f"{STATEMENTS_UNITS:g} more",
    "a list of blocks (`get_block_list`)": f"{rates.EXPENSIVE_UNITS[client_messages.GetBlockList]:g} more",
}
POLICY = server_core.AdmissionPolicy()
HOST, GROUP = POLICY.host_rate, POLICY.group_rate
BOOTSTRAP: Final = {
    "requests a second (at once)": f"{HOST[0]:g} ({HOST[1]:g}) | {GROUP[0]:g} ({GROUP[1]:,g})",
    "registered peers": (f"{POLICY.max_per_host} | {POLICY.max_per_group:,} | {registry.MAX_REGISTERED:,}"),
    "connections": f"{server.MAX_LINKS_PER_HOST} |  | {server.MAX_LINKS:,}",
}


WEB: Final = {
    "pages and files of one client, and the same again of the API": (
        f"{page.REQUESTS_AT_ONCE:,g} at once, {page.REQUESTS_PER_SECOND:g} a second"
    ),
    "votes and enrolments of one client": (
        f"{page.POSTS_AT_ONCE:,g} at once, {page.POSTS_PER_SECOND:g} a second"
    ),
    "proofs of encrypted ballots of one client": (
        f"{page.PROOFS_AT_ONCE:,g} units at once, {page.PROOFS_PER_SECOND:,g} a second; "
        "a unit is a tenth of a millisecond"
    ),
    "body of a request": f"{size(page.MAX_BODY_BYTES)}, within {page.BODY_SECONDS:g} s",
    "request line and headers": (
        f"{size(page.MAX_HEAD_BYTES)}, within {page.HEAD_SECONDS:g} s; "
        f"the address {page.MAX_PATH:,} characters"
    ),
    "silence between two requests; an answer that is not read": (
        f"{page.KEEP_ALIVE_SECONDS} s; {page.UNREAD_SECONDS:g} s"
    ),
    "connections, in all and from one address": (f"{page.MAX_BROWSERS:,}, {page.MAX_BROWSERS_OF_ADDRESS:,}"),
    "event streams": (
        f"{page.MAX_STREAMS:,}, of which one client gets {page.MAX_STREAMS // 2}; "
        "then `too-many-streams`, and readers ask `/api/v1/state`"
    ),
    "archives under way": (
        f"{archive_answer.MAX_ARCHIVES}, of which one client gets {archive_answer.MAX_ARCHIVES // 2}; "
        "then `busy`"
    ),
    "addresses whose requests are counted": f"{page.MAX_ADDRESSES:,}",
}


@pytest.mark.parametrize("row", WEB)
def test_the_limits_of_the_page_are_those_of_its_document(row: str) -> None:
    assert rows("web.md")[row] == WEB[row]


def test_how_often_the_page_looks_is_written_down() -> None:
    text = " ".join((DOCS / "web.md").read_text(encoding="utf-8").split())
    assert f"A comment comes every {events.COMMENT_SECONDS:g} s" in text
    assert f"less than {size(archive_answer.LEAST_BYTES_PER_SECOND)} a second" in text
    assert f"for {archive_answer.READER_GRACE_SECONDS:g} s at least" in text
    idle = live_view.IDLE_LOOK_SECONDS
    assert f"was asked for in the last {live_view.LATELY_SECONDS:g} s, else every {idle:g} s" in text


@pytest.mark.parametrize("row", PROTOCOL)
def test_the_limits_of_the_node_port_are_those_of_the_page(row: str) -> None:
    assert rows("protocol.md")[row].startswith(PROTOCOL[row])


@pytest.mark.parametrize("row", PRICES)
def test_the_prices_of_questions_are_those_of_the_page(row: str) -> None:
    assert rows("protocol.md")[row] == PRICES[row]


@pytest.mark.parametrize("row", BOOTSTRAP)
def test_the_limits_of_the_bootstrap_port_are_those_of_the_page(row: str) -> None:
    assert rows("protocol-bootstrap.md")[row].startswith(BOOTSTRAP[row])


def test_every_row_of_the_table_is_compared() -> None:
    page = (DOCS / "protocol.md").read_text(encoding="utf-8")
    table = page.split("## Limits\n\n")[1].split("\n\n")[0]
    named = {line.strip("|").split("|")[0].strip() for line in table.splitlines()[2:]}
    assert named == set(PROTOCOL)


def test_numbers_in_the_text_are_those_of_the_code() -> None:
    page = " ".join((DOCS / "protocol.md").read_text(encoding="utf-8").split())
    for said in (
        f"It buys {rates.HASHES_IN_UNIT} hashes, {rates.ROWS_IN_UNIT} rows of the database, "
        f"{size(rates.BYTES_READ_IN_UNIT)} of records taken apart, or {size(rates.BYTES_SENT_IN_UNIT)} sent",
        f"more than {rates.MAX_DEBT_SECONDS:g} s in debt",
        f"over {reference_go.MAX_REFERENCE_VOTES:,} votes: `response-too-large`",
        f"at most {peer_messages.MAX_HEADERS:,} that follow the first known hash",
        f"at most {peer_messages.MAX_BLOCKS_ASKED} hashes",
        f"at most {client_messages.MAX_LISTED_BLOCKS} `blocks` of the best branch",
        f"where their commits have more than {size(block_lists.MAX_COMMIT_BYTES)}",
        f"at most {client_messages.MAX_BLOCKS_ASIDE} blocks of branches",
        f"the latest {client_messages.MAX_SWITCHES} reorganisations",
        f"`votes`: 1 to {named_messages.MAX_STATEMENTS:,} of `kind`",
        f"`votes`: 1 to {named_messages.MAX_HANDED_ON} of `vote`",
        f"`lies`: at most {named_messages.MAX_LIES} of `kind`",
        f"the disk, at most every {acceptances.GROUP_SECONDS:g} s",
        f"in the last {acceptances.NEAR_SECONDS // 60} minutes before closing",
        f"signed for the votes, at most {acceptances.WAIT_SECONDS:g} s later",
        f"for this block after {proposed_blocks.ASK_BLOCK_SECONDS:g} s",
        f"more than {proposed_blocks.MAX_AHEAD} s ahead of its clock",
        f"at most {peer_messages.MAX_BOOTSTRAPS_IN_LINE} bootstrap servers",
        f"keep-alive after {links.PING_AFTER:g} s, given up after {links.LOST_AFTER:g} s",
        f"median of the last {limits.MEDIAN_SPAN} blocks",
        f"({limits.RETARGET_SPAN} T + gap - T) // ({limits.RETARGET_SPAN} T)",
        f"gap > {limits.LONG_GAP} T",
        f"up to height {limits.MEDIAN_SPAN} have the genesis",
    ):
        assert said in page, said
    assert bootstrap_messages.MAX_SAMPLE == peer_messages.MAX_PEERS_IN_LINE


def test_numbers_about_peers_are_those_of_the_code() -> None:
    page = " ".join((DOCS / "peers.md").read_text(encoding="utf-8").split())
    for said in (
        f"Both lie in buckets of {address_manager.BUCKET_SIZE}",
        f"| new | {address_manager.NEW_BUCKETS} |",
        f"| tried | {address_manager.TRIED_BUCKETS} |",
        f"one source reaches {address_manager.BUCKETS_OF_SOURCE} buckets",
        f"group of the address: {address_manager.BUCKETS_OF_GROUP} buckets each",
        f"own addresses have one bucket of {address_manager.LOCAL_SIZE}",
        f"A new address is forgotten after {address_manager.FORGET_AFTER} failures",
        f"**{selection.OUTBOUND} peers that it has dialled**",
        f"{dial_planner.FEELERS_AT_ONCE} at once, then one in {1 / dial_planner.FEELERS_PER_SECOND:g} s",
        f"**{links.MAX_INBOUND} peers that dial it**, {links.MAX_INBOUND_OF_ADDRESS} from one address",
        f"after {address_manager.QUARANTINE_AFTER} in a row it rests for "
        f"{address_manager.QUARANTINE_SECONDS / 60:g} minutes",
        f"all names of others {dial_rates.DIALS_OF_NAMES}, four a second;",
        f"four a second; {address_manager.FORGET_AFTER} failures",
        f"names of one domain, {dial_rates.DIALS_OF_HOST} dials at once, one a second",
        f"one group ({address_manager.BUCKETS_OF_NAMES} buckets of tried addresses",
        f"{discovery.START_PATIENCE:g} s at most",
    ):
        assert said in page, said
