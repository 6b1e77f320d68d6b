"""Receipts of an election with named nodes, good ones and tampered ones.

`tampered_receipts` maps a name to (the code of both verifiers, the bytes).
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from typing import Any

from support.elections import CREATED, key_of
from support.named_files import (
    CLOSES,
    Batch,
    Corpus,
    Json,
    NamedFile,
    named_definition,
    record_id,
    whole_story,
)
from votenet.core.encoding import canonical
from votenet.core.log.merkle import merkle_path, merkle_root


class Cast:
    """A vote of the whole story, its leaf of the log, and the group commit that its nodes saved it in."""

    def __init__(self, file: NamedFile | None = None, vote: Json | None = None) -> None:
        self.file = file or whole_story().file
        self.vote = vote or whole_story().ballots.second[0]
        self.id = record_id(self.vote)
        self.index = self.file.log.index(self.id) if self.id in self.file.log else 0
        self.saved = [record_id(self.file.vote(f"neighbour {n}")) for n in range(4)] + [self.id]

    def proof(self, **members: Any) -> bytes:
        """The receipt with the proof of the log, or with what `members` say."""
        return self.file.receipt(self.vote, **{"proof": self.file.log_proof(self.index)} | members)

    def acceptance(self, node: int, **other: Any) -> Json:
        return self.file.acceptance(node, self.saved, 4, **other)

    def accepted(self, *acceptances: Json, **members: Any) -> bytes:
        """The receipt with these acceptances, or with those of nodes 0, 2 and 3."""
        held = list(acceptances) or [self.acceptance(node) for node in (0, 2, 3)]
        return self.file.receipt(self.vote, **{"acceptances": held} | members)


@cache
def cast() -> Cast:
    return Cast()


@cache
def good_receipts() -> dict[str, bytes]:
    """Receipts that hold, by what is special about them."""
    one = cast()
    body = one.file.checkpoint()
    lines = "".join(one.file.cosignature(node, body) for node in (4, 3, 1, 0))
    lone = one.file.acceptance(4, [one.id], 0, time=CLOSES - 1)
    extra = one.file.log_proof(one.index).replace("\nindex", f"\nextra {b64encode(b'x').decode()}\nindex")
    return {
        "final": one.proof(),
        "final-by-others": one.proof(
            proof=one.file.log_proof(one.index, f"{body}\n{one.file.log_line(1, body)}{lines}")
        ),
        "final-with-extra-data": one.proof(proof=extra),
        "received": one.accepted(),
        "received-by-all": one.accepted(*(one.acceptance(node) for node in range(5))),
        "received-alone-in-the-last-second": one.accepted(lone),
        "chain": unnamed_chain()[1],
    }


def unnamed_chain() -> tuple[NamedFile, bytes]:
    """A receipt in an election without named nodes, and the file that it is of."""
    file = NamedFile(named_definition(0))
    votes = sorted((file.vote(f"voter {n}") for n in range(3)), key=record_id)
    file.block(Batch(), miner=lambda _: None)
    file.block(Batch(votes), miner=lambda _: None)
    path = [step.hex() for step in merkle_path([record_id(vote) for vote in votes], 2)]
    headers = [line["header"] for line in file.lines]
    chain = {"headers": headers, "path": path, "position": 2, "size": 3}
    return file, file.receipt(votes[2], chain=chain)


def chain_with(**members: Any) -> bytes:
    record = json.loads(unnamed_chain()[1])
    record["chain"] |= members
    return canonical(record) + b"\n"


def _proof_faults() -> Corpus:
    one = cast()
    right, index = one.file.log_proof(one.index), f"\nindex {one.index}\n"
    first, second = right.splitlines()[2:4]
    foreign = NamedFile(named_definition(title="Another"))
    foreign.block(Batch([foreign.vote("voter 3")]))
    other = one.file.vote("stranger")
    flipped = {**one.vote, "choices": [["Bob"]]}
    cases = {
        "index-one-more": right.replace(index, f"\nindex {one.index + 1}\n"),
        "index-one-less": right.replace(index, f"\nindex {one.index - 1}\n"),
        "index-outside": right.replace(index, f"\nindex {len(one.file.log)}\n"),
        "index-with-a-zero": right.replace(index, f"\nindex 0{one.index}\n"),
        "index-missing": right.replace(index, "\n"),
        "hashes-swapped": right.replace(f"{first}\n{second}", f"{second}\n{first}"),
        "hash-missing": right.replace(first + "\n", "", 1),
        "hash-twice": right.replace(first, f"{first}\n{first}", 1),
        "hash-cut": right.replace(first, first[4:], 1),
        "hash-changed": right.replace(first, b64encode(bytes(32)).decode(), 1),
        "heading-of-version-2": right.replace("proof@v1", "proof@v2"),
        "heading-missing": right.split("\n", 1)[1],
        "extra-not-in-base64": right.replace("\nindex", "\nextra *\nindex"),
        "no-certificate": right.split("\n\n")[0] + "\n",
        "of-another-leaf": one.file.log_proof(one.index + 1),
        "of-another-root": one.file.log_proof(one.index, one.file.certificate(root=b"r" * 32)),
    }
    certificates = {
        "certificate-of-another-network": ("bad-checkpoint", foreign.certificate()),
        "certificate-of-three": ("bad-certificate", one.file.certificate(range(3))),
        "certificate-cut": ("bad-note", one.file.certificate()[:-20]),
        "certificate-with-a-time-changed": (
            "bad-cosignature",
            f"{one.file.checkpoint()}\n"
            + "".join(one.file.cosignature(node, one.file.checkpoint(), shift=node) for node in range(4)),
        ),
    }
    made = {f"proof-{name}": ("bad-proof", one.proof(proof=proof)) for name, proof in cases.items()}
    made |= {
        name: (code, one.proof(proof=one.file.log_proof(one.index, note)))
        for name, (code, note) in certificates.items()
    }
    return made | {
        "vote-of-another-voter": ("bad-proof", one.proof(vote=other)),
        "vote-flipped": ("bad-signature", one.proof(vote=flipped)),
        "vote-of-another-network": ("network-mismatch", one.proof(vote=foreign.vote("voter 3"))),
        "vote-of-version-1": ("bad-record", one.proof(vote={**one.vote, "choices": ["Alice"]})),
    }


def _acceptance_faults() -> Corpus:
    one = cast()
    good = one.acceptance(0)
    own = merkle_root([one.id]).hex()
    cases: dict[str, Callable[[], list[Json]]] = {
        "of-another-vote": lambda: [one.file.acceptance(0, one.saved, 3)],
        "at-the-closing": lambda: [one.acceptance(0, time=CLOSES)],
        "after-the-closing": lambda: [one.acceptance(0), one.acceptance(2, time=CLOSES + 7)],
        "of-one-node-twice": lambda: [one.acceptance(0), one.acceptance(0, time=CREATED + 6)],
        "not-in-the-order-of-nodes": lambda: [one.acceptance(2), one.acceptance(0)],
        "of-no-named-node": lambda: [one.acceptance(5)],
        "signed-by-another-node": lambda: [one.acceptance(0, signer=1)],
        "with-another-time": lambda: [good | {"time": good["time"] - 1}],
        "with-another-count": lambda: [good | {"count": 6}],
        "with-another-index": lambda: [good | {"index": 3}],
        "with-the-index-outside": lambda: [good | {"index": 5}],
        "with-its-path-cut": lambda: [good | {"path": []}],
        "with-its-path-longer": lambda: [good | {"path": [*good["path"], "ab" * 32]}],
        "of-another-network": lambda: [one.acceptance(0, network_id="ab" * 32)],
        "of-another-root": lambda: [one.acceptance(0, root=own)],
        "signed-as-a-closing-list": lambda: [
            good | {"signature": one.file.statement("closing-list", 0, _said(one))["signature"]}
        ],
    }
    made = {f"acceptance-{name}": ("bad-acceptance", one.accepted(*make())) for name, make in cases.items()}
    return made | {
        "acceptance-with-a-short-path-member": (
            "bad-record",
            one.accepted(good | {"path": ["ab"]}),
        ),
        "acceptance-without-a-time": (
            "bad-record",
            one.accepted({name: value for name, value in good.items() if name != "time"}),
        ),
        "acceptance-of-a-flipped-vote": (
            "bad-signature",
            one.accepted(vote={**one.vote, "choices": [["Bob"]]}),
        ),
    }


def _said(one: Cast) -> Json:
    return {"count": 5, "root": merkle_root(one.saved).hex(), "time": CREATED + 5}


def _kind_faults() -> Corpus:
    one = cast()
    chain = json.loads(unnamed_chain()[1])
    held = [one.acceptance(0)]
    return {
        "nothing-proven": ("bad-receipt", one.file.receipt(one.vote)),
        "proof-and-acceptances": ("bad-receipt", one.proof(acceptances=held)),
        "false-proof-beside-acceptances": ("bad-receipt", one.accepted(proof="x")),
        "chain-with-named-nodes": ("bad-receipt", one.file.receipt(one.vote, chain=chain["chain"])),
        "chain-beside-a-proof": ("bad-receipt", one.proof(chain=chain["chain"])),
        "proof-without-named-nodes": (
            "bad-receipt",
            canonical(chain | {"chain": None, "proof": one.file.log_proof(1)}) + b"\n",
        ),
        "acceptance-without-named-nodes": (
            "bad-receipt",
            canonical(chain | {"chain": None, "acceptances": held}) + b"\n",
        ),
        "member-of-version-1": ("bad-record", one.proof(headers=[])),
        "receipt-of-version-1": ("wrong-version", one.proof(version=1)),
        "proof-as-a-list": ("bad-record", one.proof(proof=[])),
        "chain-left-out": ("bad-record", _without_chain()),
        "definition-with-a-node-less": (
            "network-mismatch",
            one.proof(definition=named_definition(4)),
        ),
    }


def _without_chain() -> bytes:
    record = json.loads(cast().proof())
    del record["chain"]
    return canonical(record) + b"\n"


def _chain_faults() -> Corpus:
    """Receipts of an election without named nodes: its own kind of proof."""
    file = unnamed_chain()[0]
    headers = [line["header"] for line in file.lines]
    mallory = canonical(json.loads(unnamed_chain()[1]) | {"vote": file.vote("mallory")}) + b"\n"
    easier = headers[1][:144] + "ffff7f21" + headers[1][152:]
    return {
        "chain-position-one-less": ("bad-merkle-path", chain_with(position=1)),
        "chain-size-one-less": ("bad-merkle-path", chain_with(size=2)),
        "chain-without-headers": ("broken-chain", chain_with(headers=[])),
        "chain-without-its-last-header": ("bad-merkle-path", chain_with(headers=headers[:-1])),
        "chain-with-another-difficulty": (
            "bad-bits",
            chain_with(headers=[headers[0], easier]),
        ),
        "chain-of-another-vote": ("bad-merkle-path", mallory),
        "chain-signed-by-another-key": (
            "bad-signature",
            canonical(
                json.loads(unnamed_chain()[1])
                | {"vote": file.vote("mallory") | {"voter_key": key_of("eve").public_hex}}
            )
            + b"\n",
        ),
    }


@cache
def tampered_receipts() -> Corpus:
    """Name of the fault to (code, receipt)."""
    return {**_proof_faults(), **_acceptance_faults(), **_kind_faults(), **_chain_faults()}
