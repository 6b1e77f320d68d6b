"""Split views: what named nodes cosigned is compared with our log, and a contradiction becomes evidence.

An honest node cosigns one log that only grows. A checkpoint of another log proves nothing by itself, but
together with one of our log by the same node it does. So it is kept, and other named nodes get it.
"""

from __future__ import annotations

from functools import partial
from typing import Final, NamedTuple

from votenet.core.election.definition import Election
from votenet.core.log.certificate import Certificate, checkpoint_text, cosigner_of, read_certificate
from votenet.core.log.checkpoint import parse_checkpoint
from votenet.core.log.merkle import roots_from_consistency
from votenet.core.log.signed_note import SignedNote, parse_note
from votenet.core.log.tiles import ReadTile, consistency_nodes
from votenet.core.records.evidence import (
    Evidence,
    evidence_of_growth,
    evidence_of_roots,
    evidence_of_split,
)
from votenet.errors import NotProven, Rejected
from votenet.protocol.node.evidence_pool import EvidencePool
from votenet.protocol.node.state import NO_LINK, NodeState
from votenet.protocol.wire.limits import LOG_PROOF_UNITS
from votenet.protocol.wire.named_messages import CosignatureMessage

MAX_OPEN: Final = 4
"""Checkpoints of one named node that wait until our log can be compared with them."""


class Cosigned(NamedTuple):
    """Named node `node`'s cosignature (72 bytes) of the log of `size` records with `root`."""

    size: int
    root: bytes
    node: int
    cosignature: bytes

    def note(self, election: Election) -> SignedNote:
        """The checkpoint with this cosignature alone, which may not hold."""
        text = checkpoint_text(election.network_id, self.size, self.root)
        return SignedNote(text, (election.named_keys.cosign_keys[self.node].signed(self.cosignature),))


class SplitViews:
    """What one node knows of checkpoints that others cosigned."""

    def __init__(self, state: NodeState, evidence: EvidencePool) -> None:
        self._state, self._evidence = state, evidence
        self._ours: dict[int, Cosigned] = {}
        """The newest of our log, by named node."""
        self._open: dict[int, list[Cosigned]] = {}
        """Smaller than our log, and perhaps of another one."""
        self._other: dict[int, Cosigned] = {}
        """The first of another log."""
        self._proven: set[int] = set()
        """Named nodes whose checkpoint of another log has become evidence."""

    def cosigned_ours(self, cosigned: Cosigned) -> None:
        """A named node has cosigned the log behind our tip; the signature holds."""
        self._ours[cosigned.node] = cosigned
        self._prove_two_roots(cosigned.node)

    def cosigned_other(self, link: int, cosigned: Cosigned, log_size: int) -> None:
        """A checkpoint that is not the one of our log of `log_size` records, and of no larger log.

        Raises:
            NotProven: this node did not make it.
        """
        node, election = cosigned.node, self._state.election
        waiting = self._open.get(node, [])
        if node in self._other or cosigned in waiting or len(waiting) >= MAX_OPEN:
            return
        note = cosigned.note(election)
        cosigner_of(note.signatures[0], note.text, election.named_keys)
        if cosigned.size == log_size:
            self._keep_other(cosigned, link)
        else:
            self._open[node] = [*waiting, cosigned]
            self._state.ready.charge.append((link, LOG_PROOF_UNITS))

    def refresh(self, certified: Certificate | None) -> None:
        """Compare what waits with the log of a certificate, whose tiles are on the disk."""
        if certified is None:
            return
        for node, waiting in list(self._open.items()):
            self._open[node] = [cosigned for cosigned in waiting if cosigned.size > certified.size]
            for cosigned in waiting:
                if cosigned.size <= certified.size:
                    self._compare(cosigned, certified)
        for node in self._other.keys() & self._ours.keys() - self._proven:
            if self._other[node].size < self._ours[node].size <= certified.size:
                self._prove_growth(node)

    def _compare(self, cosigned: Cosigned, certified: Certificate) -> None:
        def done(result: object, now: float) -> None:
            if result is False and cosigned.node not in self._other:
                self._keep_other(cosigned, NO_LINK)

        run = partial(_is_ours, cosigned, certified, self._state.source.tile)
        self._state.start_job(NO_LINK, run, done)

    def _keep_other(self, cosigned: Cosigned, source: int) -> None:
        """Keep it, and pass it on: another named node may have one of our log by the same node."""
        self._other[cosigned.node] = cosigned
        message = cosignature_message(cosigned)
        for link in self._state.named_links().values():
            if link != source:
                self._state.send(link, message)
        self._prove_two_roots(cosigned.node)

    def _prove_two_roots(self, node: int) -> None:
        ours, other = self._ours.get(node), self._other.get(node)
        if ours is None or other is None or ours.size != other.size or node in self._proven:
            return
        self._proven.add(node)
        election = self._state.election
        self._evidence.add(evidence_of_roots(election, node, ours.note(election), other.note(election)))

    def _prove_growth(self, node: int) -> None:
        self._proven.add(node)
        old, new, election = self._other[node], self._ours[node], self._state.election

        def done(result: object, now: float) -> None:
            assert isinstance(result, list)
            made = evidence_of_growth(election, node, old.note(election), new.note(election), result)
            self._evidence.add(made)

        run = partial(consistency_nodes, old.size, new.size, self._state.source.tile)
        self._state.start_job(NO_LINK, run, done)

    def look_at(self, link: int, note: str, certified: Certificate | None) -> None:
        """A certificate that is not of our tip: is it of our log, `certified`, as it was before?"""
        if certified is None:
            return
        election, read_tile = self._state.election, self._state.source.tile

        def done(result: object, now: float) -> None:
            if isinstance(result, NotProven):
                self._state.refuse(link, Rejected("bad-statement", result.message))
                return
            assert isinstance(result, list)
            for evidence in result:
                self._evidence.add(evidence)

        run = partial(_split_certificates, note, certified, election, read_tile)
        self._state.start_job(link, run, done)


def cosignature_message(cosigned: Cosigned) -> CosignatureMessage:
    return CosignatureMessage(
        cosignature=cosigned.cosignature.hex(),
        node=cosigned.node,
        root=cosigned.root.hex(),
        size=cosigned.size,
    )


# -- in a thread: the arguments are copies, or do not change -----------------------------------------


def _is_ours(cosigned: Cosigned, certified: Certificate, read_tile: ReadTile) -> bool:
    """Whether our log began with these records."""
    nodes = consistency_nodes(cosigned.size, certified.size, read_tile)
    return cosigned.root == _root_of(cosigned.size, certified, nodes)


def _root_of(size: int, certified: Certificate, nodes: list[bytes]) -> bytes:
    """Of the first `size` records of our log; `nodes` are those of the consistency proof."""
    roots = roots_from_consistency(size, certified.size, nodes)
    return certified.root if roots is None else roots[0]


def _split_certificates(
    note: str, certified: Certificate, election: Election, read_tile: ReadTile
) -> list[Evidence] | NotProven:
    """Evidence against the named nodes that signed both `note` and our certificate, where these contradict.

    The signatures of `note` are looked at only if it is of another log: peers that are behind send old ones.
    """
    try:
        seen = parse_checkpoint(parse_note(note).text)
        if seen.origin != election.named_keys.origin or not 0 < seen.size <= certified.size:
            return []
        nodes = consistency_nodes(seen.size, certified.size, read_tile)
        if seen.root == _root_of(seen.size, certified, nodes):
            return []
        return evidence_of_split(election, read_certificate(note, election.named_keys), certified, nodes)
    except NotProven as error:
        return error
