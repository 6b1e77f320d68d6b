"""The tables of limits in docs/ say what the constants are; docs/audit.md: tests/verifier/test_limits.py."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Final

import pytest

from votenet.core import limits, mempool
from votenet.network import bootstrap_policy, bootstrap_server, link_table, serving, transport
from votenet.protocol import (
    address_book,
    bootstrap,
    bootstrap_messages,
    chapter,
    finder,
    framing,
    messages,
    outbound,
    registry,
    sync,
    vote_requests,
)
from votenet.protocol import limits as rates

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
TRANSPORT: Final = inspect.signature(transport.Listener.__init__).parameters
CLIENT, PEER = rates.CLIENT_RATES, rates.PEER_RATES

PROTOCOL: Final = {
    "line of a client or stranger at a node": size(framing.MAX_CLIENT_LINE),
    "line of a peer, after the handshake": size(framing.MAX_PEER_LINE),
    "time to the first line, for the rest of a line, idle": (
        f"{LINK.first_line:g} s, {LINK.partial_line:g} s, {LINK.idle:g} s"
    ),
    "unread answers of a client": (
        f"{size(link_table.CLIENT_LIMITS.unread or 0)}, then its requests wait; {LINK.unread_seconds:g} s"
    ),
    "unread lines of a peer": size(LINK.max_unsent),
    "connections, in all and from one address": (
        f"{TRANSPORT['max_links'].default}, {TRANSPORT['max_links_per_host'].default}"
    ),
    "new connections of one address": (
        f"{rates.CONNECTIONS_AT_ONCE:,g} at once, {rates.CONNECTIONS_PER_SECOND:g} a second"
    ),
    "peers that have dialled, in all and from one address": (
        f"{link_table.MAX_PEERS}, {link_table.MAX_PEERS_OF_ADDRESS}"
    ),
    "messages waiting for the core: a client's link, a peer's, all of an address; lines in checking; bytes": (
        f"{link_table.MAX_PENDING_OF_STRANGER}, {link_table.MAX_PENDING}, "
        f"{link_table.MAX_PENDING_OF_ADDRESS}; {link_table.MAX_JOBS}; "
        f"{link_table.MAX_HELD / MIB:g} and {size(link_table.MAX_HELD_OF_PEER)}"
    ),
    "questions of one link whose answers wait to be read from the disk": (
        f"{serving.MAX_WAITING}, then `rate-limited`; "
        f"a client's link is not read while {link_table.MAX_JOBS} wait"
    ),
    "links of one address that have a long answer under way": f"{serving.READERS};",
    "memory of what waits for all links together, and of it for links without a handshake (a line in the "
    "queue counts three times: its votes are objects)": (
        f"{size(link_table.MAX_MEMORY)}, {size(link_table.MAX_STRANGERS_MEMORY)}"
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
    "peers dialled and kept; visits beyond them; known addresses": (
        f"{outbound.OUTBOUND}; {finder.VISITS_AT_ONCE} at once, one in {1 / finder.VISITS_PER_SECOND:g} s; "
        f"{address_book.MAX_KNOWN:,}"
    ),
    "headers with less work than our tip": f"{sync.MAX_SIDE_HEADERS:,}",
    "votes in one line; one vote": f"{messages.MAX_VOTES_IN_LINE:,}; {size(limits.MAX_VOTE_BYTES)}",
    "memory of waiting votes (some 70,000 with one choice)": size(mempool.MAX_POOL_BYTES),
    "votes asked of peers at one time, in all and of one": (
        f"{vote_requests.MAX_ASKED:,}, {vote_requests.MAX_ASKED_OF_PEER:,}"
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
        f"{rates.EXPENSIVE_UNITS[messages.GetProof]:g} more; "
        f"for the first of a block whose Merkle levels are not kept, "
        f"{rates.LEVELS_UNITS:g} for each of its votes"
    ),
    "a block asked for, whole or in part": (
        f"{rates.BLOCK_UNITS:g} more, 1 for each {rates.POSITIONS_IN_UNIT} positions, "
        f"1 for each {size(rates.BYTES_READ_IN_UNIT)} that are read, and what is sent"
    ),
    "`request_blockchain`": (
        f"{rates.EXPENSIVE_UNITS[messages.RequestBlockchain]:g} more; for the first at a tip "
        f"{rates.CHAIN_UNITS:g} for each vote of the chain"
    ),
}
HOST, GROUP = bootstrap_policy.RequestRate().host, bootstrap_policy.RequestRate().group
BOOTSTRAP: Final = {
    "requests a second (at once)": f"{HOST[0]:g} ({HOST[1]:g}) | {GROUP[0]:g} ({GROUP[1]:,g})",
    "registered peers": f"{bootstrap.MAX_PER_HOST} | {bootstrap.MAX_PER_GROUP:,} | {registry.MAX_PEERS:,}",
    "connections": f"{bootstrap_server.MAX_LINKS_PER_HOST} |  | {bootstrap_server.MAX_LINKS:,}",
}


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
        f"more than {rates.PATIENCE_SECONDS:g} s in debt",
        f"over {chapter.MAX_CHAPTER_VOTES:,} votes: `response-too-large`",
        f"at most {messages.MAX_HEADERS:,} that follow the first known hash",
        f"at most {messages.MAX_BLOCKS_ASKED} hashes",
        f"at most {messages.MAX_BOOTSTRAPS_IN_LINE} bootstrap servers",
        f"keep-alive after {link_table.PING_AFTER:g} s, given up after {link_table.LOST_AFTER:g} s",
        f"median of the last {limits.MEDIAN_SPAN} blocks",
        f"({limits.RETARGET_SPAN} T + gap - T) // ({limits.RETARGET_SPAN} T)",
        f"gap > {limits.LONG_GAP} T",
        f"up to height {limits.MEDIAN_SPAN} have the genesis",
    ):
        assert said in page, said
    assert bootstrap_messages.MAX_SAMPLE == messages.MAX_PEERS_IN_LINE


def test_numbers_about_peers_are_those_of_the_code() -> None:
    page = " ".join((DOCS / "peers.md").read_text(encoding="utf-8").split())
    for said in (
        f"Both lie in buckets of {address_book.BUCKET_SIZE}",
        f"| rumours | {address_book.RUMOUR_BUCKETS} |",
        f"| tried | {address_book.TRIED_BUCKETS} |",
        f"one source reaches {address_book.BUCKETS_OF_SOURCE} buckets",
        f"group of the address: {address_book.BUCKETS_OF_GROUP} buckets each",
        f"own addresses have one bucket of {address_book.LOCAL_SIZE}",
        f"A rumour is forgotten after {address_book.FORGET_AFTER} failures",
        f"**{outbound.OUTBOUND} peers that it has dialled**",
        f"{finder.VISITS_AT_ONCE} at once, then one in {1 / finder.VISITS_PER_SECOND:g} s",
        f"**{link_table.MAX_PEERS} peers that dial it**, {link_table.MAX_PEERS_OF_ADDRESS} from one address",
        f"after {address_book.QUARANTINE_AFTER} in a row it rests for "
        f"{address_book.QUARANTINE_SECONDS / 60:g} minutes",
        f"at once, one a second; {address_book.FORGET_AFTER} failures",
        f"never met {finder.DIALS_OF_HOST} dials at once",
        f"{finder.START_PATIENCE:g} s at most",
    ):
        assert said in page, said
