"""The evidence that a node has: proofs that named nodes lied, one for each of them and kind of lie.

New evidence is checked, saved and handed on to all peers. A node that lied is named everywhere and never
banned for it: what it signs still counts, as the rules allow for liars.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from votenet.core.encoding import canonical
from votenet.core.ledger.statement import AnyStatement, Signed
from votenet.core.records.evidence import (
    Evidence,
    FinalChain,
    check_lie,
    evidence_of_two,
    evidence_with,
    kind_of,
)
from votenet.errors import NotProven, Rejected
from votenet.protocol.node.events import SaveEvidence
from votenet.protocol.node.state import NodeState
from votenet.protocol.wire.client_messages import EvidenceList, GetEvidence
from votenet.protocol.wire.fields import as_line
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.named_messages import EvidenceMessage, Lie


class EvidencePool:
    """`kept`: what was saved before."""

    def __init__(self, state: NodeState, kept: Sequence[SaveEvidence] = ()) -> None:
        self._state = state
        self._kept = {(one.node, one.kind): one for one in kept}
        self.chain: FinalChain | None = None
        """Once the result is final: then a broken acceptance can be judged."""
        self._tell_state()

    def add_pair(self, first: Signed[AnyStatement], second: Signed[AnyStatement]) -> None:
        """Two statements by one node whose signatures hold, seen here."""
        found = evidence_of_two(self._state.election, first, second)
        if found is None:
            return
        try:
            self.add(found)
        except NotProven as error:
            self._state.ready.log.append(f"two statements of a node prove nothing: {error.message}")

    def add(self, evidence: Evidence, source: int | None = None) -> None:
        """Check evidence that is new here, save it, and hand it on to all peers but its `source`.

        Raises:
            NotProven: it proves nothing, or (needs-archive) nothing yet.
        """
        kind = kind_of(evidence)
        if (evidence.node, kind) in self._kept:
            return
        sentence = check_lie(evidence, self._state.election, self.chain)
        made = SaveEvidence(evidence.node, kind, canonical(evidence.proof), sentence)
        self._kept[made.node, made.kind] = made
        self._tell_state()
        self._state.ready.save.append(made)
        self._state.ready.log.append(f"evidence: {sentence}")
        message = EvidenceMessage(lies=(_lie(made),))
        for link in self._state.sync.peers.keys() - {source}:
            self._state.send(link, message)

    def on_evidence(self, link: int, message: EvidenceMessage, now: float) -> None:
        for lie in message.lies:
            if (lie.node, lie.kind) in self._kept:
                continue
            try:
                proof = bytes(lie.proof)
                self.add(evidence_with(self._state.election, lie.kind, lie.node, proof), link)
            except NotProven as error:
                if error.code != "needs-archive":
                    raise Rejected("bad-evidence", error.message) from None

    def on_get_evidence(self, link: int, message: GetEvidence, now: float) -> None:
        answer = EvidenceList(lies=tuple(map(_lie, self._kept.values())), id=message.id)
        self._state.answer(link, encode_message(answer))

    def _tell_state(self) -> None:
        self._state.lies = tuple(as_line(self._kept[key].sentence) for key in sorted(self._kept))

    def peer_up(self, link: int) -> None:
        if self._kept:
            self._state.send(link, EvidenceMessage(lies=tuple(map(_lie, self._kept.values()))))


def _lie(kept: SaveEvidence) -> Lie:
    return Lie(kind=kept.kind, node=kept.node, proof=msgspec.Raw(kept.proof))
