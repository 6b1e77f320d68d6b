"""Definitions with one fault each, in archives without blocks."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

from support.named_files import CLOSES, Corpus, Json, NamedFile, keys_of, named_definition


def of_definition(count: int = 5, *, contest: Json | None = None, **fields: Any) -> bytes:
    """An archive without blocks, of an unchecked definition."""
    return NamedFile(named_definition(count, contest=contest, **fields)).pack("")


def nodes_with(change: Callable[[list[Json]], object]) -> list[Json]:
    """The named nodes after one change."""
    nodes: list[Json] = named_definition()["nodes"]
    change(nodes)
    return nodes


def trustees(count: int, **fields: Any) -> Json:
    """Trustees without a key generation."""
    keys = [{"key": "ab" * 32, "name": f"Trustee {number}"} for number in range(count)]
    return {"keys": keys, "record": "ab" * 32, "threshold": 2, **fields}


def chain_with(**fields: int) -> Json:
    return {**named_definition()["chain"], **fields}


def candidate(**fields: str) -> Json:
    return {"candidates": [{"name": "Alice", "statement": ""} | fields]}


def _contradictions() -> Corpus:
    witness = {"key": f"w+00000000+{b64encode(bytes(33)).decode()}", "name": "w", "url": "https://w.example"}
    first_key = keys_of(0).node.public_hex
    cases = {
        "two-contests": of_definition(contests=2 * named_definition()["contests"]),
        "two-seats": of_definition(contest={"seats": 2}),
        "no-choice-allowed": of_definition(contest={"min": 0}),
        "blank-ballots-alone": of_definition(contest={"blank": True, "min": 0}),
        "threshold": of_definition(contest={"threshold": {"basis": "cast", "share": "two-thirds"}}),
        "quorum": of_definition(contest={"quorum": {"percent": 50}}),
        "weighted": of_definition(weighted=True),
        "secret": of_definition(secrecy="secret"),
        "belenios": of_definition(belenios="{}"),
        "trustees": of_definition(trustees=trustees(3)),
        "results-after-no-close": of_definition(results="after-close", closes=None),
        "nodes-named-alike": of_definition(nodes=nodes_with(lambda n: n[1].update(name="node\u00a00"))),
        "key-of-two-nodes": of_definition(nodes=nodes_with(lambda n: n[3].update(node_key=first_key))),
        "one-key-for-two-uses": of_definition(nodes=nodes_with(lambda n: n[0].update(log_key=first_key))),
        "node-with-a-newline": of_definition(nodes=nodes_with(lambda n: n[0].update(name="a\nb"))),
        "organiser-on-two-lines": of_definition(organiser="a\nb"),
        "statement-that-turns-text": of_definition(contest=candidate(statement="\u202eecila")),
        "description-that-ends-blank": of_definition(contest={"description": "why "}),
        "title-of-contest-with-a-tab": of_definition(contest={"title": "a\tb"}),
        "witness-with-an-unseen-name": of_definition(witnesses=[{**witness, "name": "\u200b"}]),
        "root-without-a-roll": of_definition(roll_root="ab" * 32),
        "size-without-a-roll": of_definition(roll_size=3),
        "roll-without-a-size": of_definition(registration="roll", roll_root="ab" * 32),
        "closes-as-it-opens": of_definition(opens=CLOSES),
    }
    return {f"definition-{name}": ("bad-genesis", data) for name, data in cases.items()}


def _definition_shapes() -> Corpus:
    witness = {"key": f"w+00000000+{b64encode(bytes(33)).decode()}", "name": "w", "url": "https://w.example"}
    many = [keys_of(node).public(f"node {node}") for node in range(65)]
    cases = {
        "of-version-1": of_definition(version=1),
        "uuid-with-a-zero": of_definition(uuid="0q5cCAzXZnbL1p"),
        "uuid-too-short": of_definition(uuid="Hq5cCAzXZnbL1"),
        "language-with-a-space": of_definition(language="en US"),
        "time-zone-with-a-letter": of_definition(time_zone="Zürich"),
        "no-contest": of_definition(contests=[]),
        "contest-id-with-a-space": of_definition(contest={"id": "1 2"}),
        "65-choices": of_definition(contest={"max": 65}),
        "percent-0": of_definition(contest={"quorum": {"percent": 0}}),
        "share-unknown": of_definition(contest={"threshold": {"basis": "cast", "share": "most"}}),
        "blank-as-a-number": of_definition(contest={"blank": 0}),
        "statement-missing": of_definition(contest={"candidates": [{"name": "Alice"}]}),
        "statement-too-long": of_definition(contest=candidate(statement="s" * 2001)),
        "organiser-too-long": of_definition(organiser="o" * 2001),
        "grace-of-3601": of_definition(chain=chain_with(grace_seconds=3601)),
        "65-nodes": of_definition(nodes=many),
        "node-without-a-log-key": of_definition(nodes=nodes_with(lambda n: n[0].pop("log_key"))),
        "node-key-in-capitals": of_definition(nodes=nodes_with(lambda n: n[0].update(log_key="AB" * 32))),
        "witness-key-cut": of_definition(witnesses=[{**witness, "key": "w+00000000+AAAA"}]),
        "witness-without-a-scheme": of_definition(witnesses=[{**witness, "url": "w.example"}]),
        "trustees-as-a-hash": of_definition(trustees="ab" * 32),
        "threshold-0": of_definition(trustees=trustees(3, threshold=0)),
        "trustee-key-in-capitals": of_definition(
            trustees=trustees(0, keys=[{"key": "AB" * 32, "name": "Trustee"}])
        ),
        "secrecy-unknown": of_definition(secrecy="half"),
        "roll-of-nobody": of_definition(registration="roll", roll_root="ab" * 32, roll_size=0),
        "member-of-version-1": of_definition(max_choices=1),
    }
    return {f"definition-{name}": ("bad-record", data) for name, data in cases.items()}


def tampered_definitions() -> Corpus:
    """Name of the fault to (code, archive)."""
    return {**_contradictions(), **_definition_shapes()}
