"""Targets: evidence, final results and closing lists, as strangers send them."""

from __future__ import annotations

import json
from typing import Final

from fuzz.engine import Target
from support.evidence_files import ELECTION, GOOD, LIAR, WITHOUT
from votenet.core.encoding import canonical
from votenet.core.ledger.closing import decode_listed, encode_listed, merge_lists
from votenet.core.ledger.extras import ClosingIds
from votenet.core.records.canonical_record import decode_record
from votenet.core.records.evidence import (
    check_evidence,
    check_lie,
    decode_evidence,
    encode_evidence,
    evidence_with,
    kind_of,
)

NODES: Final = (0, 1, 3, 4)
"""Named nodes with a closing list."""


def evidence_files(data: bytes) -> None:
    """What holds is written as it was read, and accuses the node that lied."""
    found = decode_evidence(data)
    assert encode_evidence(found) == data
    report = check_evidence(found, None, WITHOUT)
    if report.network_id == ELECTION.network_hex:
        assert report.node == LIAR


def lies_in_messages(data: bytes) -> None:
    """As a peer sends them: the kind and the node before the proof."""
    head, _, proof = data.partition(b"\n")
    kind, _, node = head.decode("ascii", "replace").partition(" ")
    number = int(node) if node.isascii() and node.isdecimal() and len(node) < 20 else 0  # as a message has it
    found = evidence_with(ELECTION, kind, number, proof)
    assert kind_of(found) == kind
    check_lie(found, ELECTION, WITHOUT)
    assert found.node == LIAR


def closing_ids(data: bytes) -> None:
    """What is taken has one spelling."""
    closing = decode_record(data, ClosingIds)
    listed = decode_listed(closing, NODES)
    assert encode_listed(listed) == closing
    assert all(listed.bits)


def _ids() -> list[bytes]:
    held = {node: [bytes([vote]) * 32 for vote in range(node, 6)] for node in NODES}
    return [canonical(encode_listed(merge_lists(ids_of))) for ids_of in (held, dict.fromkeys(NODES, ()))]


TARGETS: Final = (
    Target(
        "evidence-files",
        evidence_files,
        lambda: [encode_evidence(made) for made in GOOD.values()],
        (b'"proof":', b'"statement":', b'"signature":'),
    ),
    Target(
        "lies-in-messages",
        lies_in_messages,
        lambda: [
            f"{kind} {LIAR}\n".encode() + json.dumps(json.loads(canonical(made.proof))).encode()
            for kind, made in GOOD.items()
        ],
    ),
    Target("closing-ids", closing_ids, _ids, weight=0.4),
)
