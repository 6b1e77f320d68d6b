"""The names of `votenet.client`, which loads this module when one of them is used."""

from __future__ import annotations

from votenet.client.amendments import AmendmentResult as AmendmentResult
from votenet.client.amendments import Change as Change
from votenet.client.archive_file import check_archive as check_archive
from votenet.client.connection import NodeConnection as NodeConnection
from votenet.client.election_client import AsyncElectionClient as AsyncElectionClient
from votenet.client.failover import Failover as Failover
from votenet.client.failover import ask_each as ask_each
from votenet.client.sync_client import ElectionClient as ElectionClient
from votenet.client.voting import CastResult as CastResult
from votenet.client.voting import VoterKey as VoterKey
from votenet.client.watch import BlockAdded as BlockAdded
from votenet.client.watch import BlockRemoved as BlockRemoved
from votenet.client.watch import ElectionEvent as ElectionEvent
from votenet.client.watch import VoteMoved as VoteMoved
from votenet.core.election.definition import Election as Election
from votenet.core.keys import SigningKey as SigningKey
from votenet.core.records.archive import ArchiveCheck as ArchiveCheck
from votenet.core.records.archive import ArchiveReport as ArchiveReport
from votenet.core.records.receipt import Receipt as Receipt
from votenet.core.records.receipt import ReceiptReport as ReceiptReport
from votenet.core.records.receipt import check_receipt as check_receipt
from votenet.core.records.receipt import decode_receipt as decode_receipt
from votenet.core.records.receipt import encode_receipt as encode_receipt
from votenet.protocol.wire.client_messages import NodeStatus as NodeStatus
from votenet.protocol.wire.client_messages import Proof as Proof
from votenet.protocol.wire.client_messages import Results as Results
from votenet.protocol.wire.client_messages import VoteStatus as VoteStatus

connect = ElectionClient
connect_async = AsyncElectionClient
