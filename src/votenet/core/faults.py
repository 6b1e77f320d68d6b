"""The faults that a record, a proof or a file can have, each with a code and its meaning."""

from __future__ import annotations

from typing import Final

from votenet.errors import NotProven
from votenet.secret.refusals import SECRET_REFUSALS

FAULTS: Final[dict[str, str]] = {
    # The file
    "unreadable": "The file is damaged, or is not compressed as its name says.",
    "truncated": "The file ends too early: its last line is missing or cut.",
    "line-too-long": "A line is longer than any block can be.",
    "trailing-data": "Something follows the totals.",
    "not-json": "A line is not JSON in UTF-8.",
    "duplicate-key": "A JSON object has a member twice.",
    "bad-record": "A record has a missing, unknown or malformed member.",
    "not-canonical": "A record is not written in canonical JSON.",
    "wrong-format": "The file is of another kind.",
    "wrong-version": "The file has a version that this program does not know.",
    # The election
    "bad-genesis": "The election's definition contradicts itself.",
    "network-mismatch": "The definition or a vote belongs to another network id.",
    # Headers
    "bad-header": "A header is not 80 bytes in lower-case hexadecimal.",
    "broken-chain": "A header does not name the hash of the one before it.",
    "bad-version": "A header has an unknown version.",
    "bad-bits": "A header has another difficulty than the rules ask for.",
    "bad-work": "A header's hash does not meet its target.",
    "bad-time": "A header's time is before that of its ancestors, or in the future.",
    # Blocks
    "bad-miner": "A block is not signed by the named node that it names, or signed where none is named.",
    "bad-merkle-root": "The votes and records are not those that the header commits to.",
    "bad-merkle-path": "The path does not lead from the vote to the header.",
    "block-too-large": "A block has too many votes or bytes.",
    "bad-order": "The votes or the records of a block are not in their order.",
    "voter-twice": "A voter has two votes on the chain.",
    "not-open": "A block with votes is from before the opening.",
    "closed": "A block is from after the closing, or follows after the end of the election.",
    "bad-closing": "A closing block breaks the rules, or stands where none may.",
    "bad-late-votes": "The votes after the closing are not those that the closing block counts.",
    "bad-amendment": "An amendment breaks the rules, or stands where none may.",
    "cancelled": "The election was cancelled: nothing may follow, and nothing is counted.",
    # Votes
    "bad-vote": "A vote's fields break the rules.",
    "vote-too-large": "A vote has too many bytes.",
    "bad-choices": "A vote has too few or too many choices, or one twice.",
    "unknown-candidate": "A vote names a candidate who does not stand.",
    "bad-signature": "A vote is not signed by the key that it names.",
    "not-on-roll": "A vote's voter id is not on the roll that was given.",
    "wrong-key": "A vote is signed by another key than the roll names.",
    # Receipts
    "bad-receipt": "A receipt does not carry the one kind of proof that its election calls for.",
    "bad-acceptance": "A named node did not sign that it received the vote in time.",
    # The log and its signed notes (C2SP)
    "bad-note": "A signed note is not written as C2SP signed-note says, or none of the given keys signed it.",
    "bad-key": "A key is not written as C2SP's verifier keys are.",
    "bad-checkpoint": "A checkpoint has another origin, size or root than the record that it stands for.",
    "bad-cosignature": "A cosignature names a known key, which did not make it.",
    "bad-certificate": "Fewer named nodes than a quorum cosigned the checkpoint.",
    "bad-proof": "The proof is malformed, or does not lead from the vote to the checkpoint.",
    "bad-tile": "A tile or an entry bundle of the log is cut.",
    "witness-refused": "The witness does not know this log, or cosigned another history of it.",
    # Results and evidence
    "not-final": "The file or answer holds, but the vote or result is not final.",
    "bad-evidence": "The evidence does not prove the lie that it names.",
    "needs-archive": "The evidence proves the lie only together with the archive of the election.",
    # Against a running network
    "abandoned": "The receipt's block is not on the chain of the node that was asked.",
    # The end
    "wrong-totals": "Height, votes or tip are not what the blocks come to.",
}
"""The codes of a checker, each with its meaning."""


def fault(code: str, message: str) -> NotProven:
    """An error for one of FAULTS or, of a secret ballot, of SECRET_REFUSALS; `message` says where."""
    meaning = FAULTS.get(code) or SECRET_REFUSALS[code]
    return NotProven(message, code=code, next_step=meaning)
