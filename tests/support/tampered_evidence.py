"""Evidence and final results of the election of `named_files`, good ones and tampered ones.

`tampered_evidence` and `tampered_results` map a name to (the code of both verifiers, the bytes).
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any, Final

from support.elections import CREATED
from support.named_files import (
    CLOSES,
    Batch,
    Corpus,
    Json,
    NamedFile,
    Story,
    key_id,
    keys_of,
    named_definition,
    note_line,
    record_id,
    whole_story,
)
from votenet.core.encoding import canonical
from votenet.core.log.merkle import consistency_ranges, leaf_hash, merkle_root

LIAR = 2


def file() -> NamedFile:
    return whole_story().file


def evidence(kind: str, proof: Json, **members: Any) -> bytes:
    record = {
        "definition": file().definition,
        "format": "votenet-evidence",
        "kind": kind,
        "node": LIAR,
        "proof": proof,
        "version": 1,
    } | members
    return canonical(record) + b"\n"


def signed(prefix: str, node: int = LIAR, signer: int | None = None, **members: Any) -> Json:
    """A signed statement as it is shown to others."""
    made = file().statement(prefix, node, members, signer)
    return {"signature": made.pop("signature"), "statement": made}


def pair(*statements: Json) -> Json:
    first, second = sorted(statements, key=lambda one: canonical(one["statement"]))
    return {"first": first, "second": second}


def blocks(kind: str, *names: str, **members: Any) -> Json:
    """Two messages of one height and round about blocks with these names; empty for none."""
    more = {"valid_round": -1} if kind == "proposal" else {}
    said = {"height": 3, "round": 1} | more | members
    hashes = [hashlib.sha256(name.encode()).hexdigest() if name else "" for name in names]
    return pair(*(signed(kind, block=block, **said) for block in hashes))


def listed(*voters: str, **members: Any) -> Json:
    """A signed closing list with votes of these voters."""
    ids = sorted(record_id(file().vote(voter)) for voter in voters)
    root = merkle_root(ids).hex()
    said = {"closes": CLOSES, "count": len(ids), "height": 3, "root": root} | members
    return signed("closing-list", **said)


def cosigned(size: int, root: bytes, node: int = LIAR, signer: int | None = None, more: str = "") -> str:
    text = file().checkpoint(size=size, root=root) + more
    return f"{text}\n{file().cosignature(node, text, signer=signer)}"


def roots(first: str, second: str) -> Json:
    return {"first": min(first, second), "second": max(first, second)}


def growth(old: int, new: int, old_root: bytes | None = None, new_root: bytes | None = None) -> Json:
    """Two checkpoints of one log, or with other roots, and the hashes between them."""
    log = file().log[:new]
    nodes = [merkle_root(log[start:end]).hex() for start, end in consistency_ranges(old, new)]
    return {
        "new": cosigned(new, new_root or merkle_root(log)),
        "nodes": nodes,
        "old": cosigned(old, old_root or merkle_root(log[:old])),
    }


def broken(voter: str = "left out", node: int = LIAR, **members: Any) -> Json:
    """An acceptance of a vote that is in no list."""
    vote = file().vote(voter)
    acceptance = file().acceptance(node, [record_id(vote)], 0, **members)
    return {"acceptance": acceptance, "vote": vote}


@cache
def good_evidence() -> dict[str, bytes]:
    """Evidence that holds; that of a broken acceptance together with the archive of the whole story."""
    far = growth(6, 13, old_root=b"x" * 32)
    return {
        "two-proposals": evidence("two-proposals", blocks("proposal", "a", "b")),
        "two-prevotes": evidence("two-prevotes", blocks("prevote", "a", "b")),
        "a-prevote-and-none": evidence("two-prevotes", blocks("prevote", "a", "")),
        "two-precommits": evidence("two-precommits", blocks("precommit", "a", "b")),
        "two-lists": evidence("two-lists", pair(listed("a"), listed("a", "b"))),
        "two-lists-of-one-height-less": evidence("two-lists", pair(listed("a"), listed("a", height=2))),
        "two-roots": evidence("two-roots", roots(cosigned(9, b"a" * 32), cosigned(9, b"b" * 32))),
        "bad-growth": evidence("bad-growth", far),
        "bad-growth-from-a-power-of-two": evidence("bad-growth", growth(8, 13, old_root=b"x" * 32)),
        "bad-growth-from-one": evidence("bad-growth", growth(1, 2, old_root=b"x" * 32)),
        "broken-acceptance": evidence("broken-acceptance", broken()),
    }


def _statement_faults() -> Corpus:
    good = blocks("prevote", "a", "b")
    swapped = {"first": good["second"], "second": good["first"]}
    other = blocks("prevote", "a", "b", round=2)
    foreign = NamedFile(named_definition(title="Another")).network_hex
    cases = {
        "one-block": pair(*2 * (good["first"],)),
        "not-in-order": swapped,
        "of-two-rounds": pair(good["first"], other["second"]),
        "of-two-heights": pair(good["first"], blocks("prevote", "a", "b", height=4)["second"]),
        "signed-by-another-node": blocks("prevote", "a", "b", signer=3),
        "of-another-node": blocks("prevote", "a", "b", node=3),
        "of-another-network": blocks("prevote", "a", "b", network_id=foreign),
        "of-another-kind": blocks("precommit", "a", "b"),
        "changed-after-signing": {
            **good,
            "second": {
                **good["second"],
                "statement": {**good["second"]["statement"], "block": "f" * 64},
            },
        },
    }
    proposal = blocks("proposal", "a", "b")
    again = pair(blocks("proposal", "a", "b")["first"], blocks("proposal", "a", "b", valid_round=0)["first"])
    made = {
        f"prevotes-{name}": ("bad-evidence", evidence("two-prevotes", proof)) for name, proof in cases.items()
    }
    return made | {
        "proposals-of-one-block": ("bad-evidence", evidence("two-proposals", again)),
        "proposals-as-prevotes": ("bad-record", evidence("two-prevotes", proposal)),
        "proposal-for-none": ("bad-record", evidence("two-proposals", blocks("proposal", "a", ""))),
        "proposal-with-valid-round-2-below": (
            "bad-record",
            evidence("two-proposals", blocks("proposal", "a", "b", valid_round=-2)),
        ),
        "lists-of-two-closing-times": (
            "bad-evidence",
            evidence("two-lists", pair(listed("a"), listed("a", "b", closes=CLOSES + 1))),
        ),
        "lists-the-same": ("bad-evidence", evidence("two-lists", pair(*2 * (listed("a"),)))),
        "list-without-a-root": ("bad-record", evidence("two-lists", _without_root())),
        "node-not-named": ("bad-evidence", evidence("two-prevotes", good, node=5)),
        "node-negative": ("bad-record", evidence("two-prevotes", good, node=-1)),
        "kind-unknown": ("bad-record", evidence("two-wishes", good)),
        "proof-of-another-kind": ("bad-record", evidence("two-roots", good)),
        "format": ("wrong-format", evidence("two-prevotes", good, format="votenet-receipt")),
        "version": ("wrong-version", evidence("two-prevotes", good, version=2)),
        "definition-contradicts": (
            "bad-genesis",
            evidence("two-prevotes", good, definition=named_definition(weighted=True)),
        ),
        "definition-of-another-election": (
            "bad-evidence",
            evidence("two-prevotes", good, definition=named_definition(title="Another")),
        ),
        "cut": ("truncated", evidence("two-prevotes", good)[:-1]),
        "not-canonical": ("not-canonical", evidence("two-prevotes", good).replace(b":", b": ", 1)),
    }


def _without_root() -> Json:
    made = pair(listed("a"), listed("b"))
    del made["first"]["statement"]["root"]
    return made


def _log_faults() -> Corpus:
    a, b = cosigned(9, b"a" * 32), cosigned(9, b"b" * 32)
    text = file().checkpoint(size=9, root=b"a" * 32)
    two = a + file().cosignature(3, text)
    cases = {
        "roots-of-one-root": roots(a, a),
        "roots-not-in-order": {"first": max(a, b), "second": min(a, b)},
        "roots-of-two-sizes": roots(a, cosigned(10, b"b" * 32)),
        "roots-of-another-node": roots(a, cosigned(9, b"b" * 32, node=3)),
        "roots-with-two-signatures": roots(two, b),
        "roots-with-lines-below": roots(a, cosigned(9, b"b" * 32, more="padding\n" * 1000)),
        "roots-of-another-network": roots(_foreign("a"), _foreign("b")),
    }
    made = {name: ("bad-evidence", evidence("two-roots", proof)) for name, proof in cases.items()}
    growths = {
        "growth-that-continues": growth(6, 13),
        "growth-of-another-new-root": growth(6, 13, b"x" * 32, b"y" * 32),
        "growth-that-frames": growth(6, 13, new_root=b"y" * 32),
        "growth-to-the-same-size": growth(6, 13, b"x" * 32)
        | {"new": cosigned(6, merkle_root(file().log[:6]))},
        "growth-from-nothing": growth(6, 13) | {"old": cosigned(0, b"x" * 32)},
        "growth-without-hashes": growth(6, 13, b"x" * 32) | {"nodes": []},
        "growth-with-a-hash-more": _longer(growth(6, 13, b"x" * 32)),
        "growth-with-a-hash-less": _shorter(growth(6, 13, b"x" * 32)),
        "growth-without-the-seed": _seedless(growth(8, 13, b"x" * 32)),
    }
    made |= {name: ("bad-evidence", evidence("bad-growth", proof)) for name, proof in growths.items()}
    return made | {
        "root-signed-by-another-key": (
            "bad-cosignature",
            evidence("two-roots", roots(a, cosigned(9, b"b" * 32, signer=3))),
        ),
        "root-of-a-stranger": (
            "bad-cosignature",
            evidence("two-roots", roots(a, b.replace("/2 ", "/7 "))),
        ),
        "root-not-a-note": ("bad-note", evidence("two-roots", {"first": a[:-1], "second": b})),
        "root-not-a-checkpoint": ("bad-checkpoint", evidence("two-roots", roots(a, _short_root()))),
        "growth-with-a-short-hash": (
            "bad-record",
            evidence("bad-growth", growth(6, 13, b"x" * 32) | {"nodes": ["ab"]}),
        ),
    }


def _foreign(letter: str) -> str:
    other = NamedFile(named_definition(title="Another"))
    text = file().checkpoint(size=9, root=letter.encode() * 32, origin=other.origin)
    key, name = keys_of(LIAR).cosign, f"{file().origin}/{LIAR}"
    signature = CREATED.to_bytes(8, "big") + key.sign(f"cosignature/v1\ntime {CREATED}\n{text}".encode())
    return f"{text}\n{note_line(name, key_id(name, 4, key.public) + signature)}"


def _short_root() -> str:
    return cosigned(9, b"b" * 31)


def _longer(proof: Json) -> Json:
    return proof | {"nodes": [*proof["nodes"], "ab" * 32]}


def _shorter(proof: Json) -> Json:
    return proof | {"nodes": proof["nodes"][:-1]}


def _seedless(proof: Json) -> Json:
    return proof | {"nodes": proof["nodes"][1:]}


def _acceptance_faults() -> Corpus:
    good = broken()
    kept = whole_story().ballots.late[0]
    cases: dict[str, Json] = {
        "acceptance-at-the-closing": broken(time=CLOSES),
        "acceptance-of-another-node": broken(node=3),
        "acceptance-signed-by-another-node": broken(signer=3),
        "acceptance-of-another-vote": good | {"vote": file().vote("another")},
        "acceptance-of-a-changed-vote": good | {"vote": good["vote"] | {"time": 5}},
        "acceptance-of-a-vote-for-nobody": _for_nobody(),
        "acceptance-of-a-counted-voter": broken("voter 1"),
        "acceptance-of-a-listed-vote": {
            "acceptance": file().acceptance(LIAR, [record_id(kept)], 0),
            "vote": kept,
        },
    }
    made = {name: ("bad-evidence", evidence("broken-acceptance", proof)) for name, proof in cases.items()}
    return made | {
        "acceptance-by-a-node-without-a-list": (
            "bad-evidence",
            evidence("broken-acceptance", broken(node=3), node=3),
        ),
        "acceptance-without-its-vote": (
            "bad-record",
            evidence("broken-acceptance", {"acceptance": good["acceptance"]}),
        ),
    }


def _for_nobody() -> Json:
    vote = file().vote("left out", "Nobody")
    return {"acceptance": file().acceptance(LIAR, [record_id(vote)], 0), "vote": vote}


@cache
def tampered_evidence() -> Corpus:
    """Name of the fault to (code, evidence). Those of acceptances are compared with the whole archive."""
    return {**_statement_faults(), **_log_faults(), **_acceptance_faults()}


# -- final results -----------------------------------------------------------------------------------


def result_fields(story: Story | None = None) -> Json:
    """The final result of the whole story, member by member."""
    made = story or whole_story()
    counted = {vote["voter_id"]: record_id(vote) for line in made.file.lines for vote in line["votes"]}
    held, chain = made.ballots.held(), set(counted.values())
    left = sorted({one for own in held for one in own} - chain)
    pairs = sorted((voter.encode(), voter, one.hex()) for voter, one in counted.items())
    leaves = [leaf_hash(b"votenet/counted/1\n" + canonical([voter, one])) for _, voter, one in pairs]
    votes = [vote["choices"][0][0] for line in made.file.lines for vote in line["votes"]]
    names = [candidate["name"] for candidate in made.file.definition["contests"][0]["candidates"]]
    counts = sorted(([name, votes.count(name)] for name in names), key=lambda line: -line[1])
    return {
        "amendments": [],
        "certificate": made.file.certificate(),
        "contests": [
            {
                "blank": 0,
                "conditions": [],
                "counts": counts,
                "id": "1",
                "quota": "",
                "state": "won",
                "tied": [],
                "votes": len(votes),
                "weight": len(votes),
                "winners": [counts[0][0]],
            }
        ],
        "definition": made.file.definition,
        "format": "votenet-result",
        "height": len(made.file.lines),
        "not_counted": [{"id": one.hex(), "lists": sum(one in own for own in held)} for one in left],
        "root": merkle_root(leaves).hex(),
        "tip": made.file.tip.hash.hex(),
        "version": 1,
        "votes": len(votes),
    }


CONDITION: Final = {"got": 3, "met": True, "name": "threshold", "needed": 2}


def result_with(**members: Any) -> bytes:
    return canonical(result_fields() | members) + b"\n"


@cache
def tampered_results() -> Corpus:
    """Name of the fault to (code, result). All are compared with the archive of the whole story."""
    good = result_fields()
    (contest,) = good["contests"]
    counts, left = contest["counts"], good["not_counted"]
    moved = [[counts[0][0], counts[0][1] + 1], *counts[1:]]
    one = NamedFile(named_definition(0, closes=None))
    one.block(Batch([one.vote("v")]), miner=lambda _: None)
    return {
        "counts-changed": ("wrong-totals", result_with(contests=[contest | {"counts": moved}])),
        "contest-left-out": ("wrong-totals", result_with(contests=[])),
        "candidate-left-out": ("wrong-totals", result_with(contests=[contest | {"counts": counts[1:]}])),
        "winner-of-others": ("wrong-totals", result_with(contests=[contest | {"winners": ["Zoe"]}])),
        "state-of-others": ("wrong-totals", result_with(contests=[contest | {"state": "loved"}])),
        "count-without-a-number": ("bad-record", result_with(contests=[contest | {"counts": [["Zoe"]]}])),
        "counts-in-another-order": (
            "wrong-totals",
            result_with(contests=[contest | {"counts": counts[::-1]}]),
        ),
        "contest-twice": ("wrong-totals", result_with(contests=2 * good["contests"])),
        "contest-of-another-id": ("wrong-totals", result_with(contests=[contest | {"id": "2"}])),
        "quota-where-there-is-none": (
            "wrong-totals",
            result_with(contests=[contest | {"quota": "4"}]),
        ),
        "quota-with-a-comma": ("bad-record", result_with(contests=[contest | {"quota": "1,000"}])),
        "condition-where-there-is-none": (
            "wrong-totals",
            result_with(contests=[contest | {"conditions": [CONDITION]}]),
        ),
        "condition-with-another-member": (
            "bad-record",
            result_with(contests=[contest | {"conditions": [CONDITION | {"of": "roll"}]}]),
        ),
        "condition-below-zero": (
            "bad-record",
            result_with(contests=[contest | {"conditions": [CONDITION | {"needed": -1}]}]),
        ),
        "another-winner": ("wrong-totals", result_with(contests=[contest | {"winners": ["Charlie"]}])),
        "votes-one-less": ("wrong-totals", result_with(votes=good["votes"] - 1)),
        "votes-many-more": ("wrong-totals", result_with(votes=10**6)),
        "height-one-less": ("wrong-totals", result_with(height=good["height"] - 1)),
        "tip-changed": ("wrong-totals", result_with(tip="ab" * 32)),
        "root-changed": ("wrong-totals", result_with(root="ab" * 32)),
        "not-counted-hidden": ("wrong-totals", result_with(not_counted=left[1:])),
        "not-counted-of-more-lists": (
            "wrong-totals",
            result_with(not_counted=[{**left[0], "lists": left[0]["lists"] + 1}, *left[1:]]),
        ),
        "certificate-of-an-earlier-block": (
            "wrong-totals",
            result_with(certificate=Story().vote().close().file.certificate()),
        ),
        "certificate-of-three": ("bad-certificate", result_with(certificate=file().certificate(range(3)))),
        "certificate-of-another-root": (
            "wrong-totals",
            result_with(certificate=file().certificate(root=b"r" * 32)),
        ),
        "certificate-missing": ("bad-note", result_with(certificate="")),
        "without-named-nodes": ("not-final", result_with(definition=one.definition)),
        "of-another-election": (
            "bad-checkpoint",
            result_with(definition=named_definition(title="Another")),
        ),
        "amendment": ("bad-record", result_with(amendments=["a"])),
        "member-missing": (
            "bad-record",
            canonical({name: value for name, value in good.items() if name != "root"}) + b"\n",
        ),
        "format": ("wrong-format", result_with(format="votenet-receipt")),
        "version": ("wrong-version", result_with(version=2)),
    }
