"""Evidence against named nodes, as a node has it, checked here."""

from __future__ import annotations

from votenet.client.connection import NodeConnection
from votenet.core.election.definition import Election
from votenet.core.records.evidence import Evidence, check_lie, evidence_with
from votenet.errors import NotProven
from votenet.protocol.wire.client_messages import EvidenceList, GetEvidence


async def fetch_evidence(node: NodeConnection, election: Election) -> list[Evidence]:
    """The evidence that a node has; of a broken acceptance all but the final chain is checked.

    Raises:
        NotProven: bad-evidence; the node accuses a named node of what is not proven.
    """
    answer = await node.ask(GetEvidence(), EvidenceList)
    checked = []
    for lie in answer.lies:
        evidence = evidence_with(election, lie.kind, lie.node, bytes(lie.proof))
        try:
            check_lie(evidence, election, None)
        except NotProven as error:
            if error.code != "needs-archive":
                raise
        checked.append(evidence)
    return checked
