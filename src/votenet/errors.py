"""Every error votenet raises, the codes it sends, and the exit code of each at the command line.

    VotenetError                 anything votenet says is wrong; has a code, a message, a next step
    +-- ConfigError              exit 78: a setting, a file or a flag is wrong
    +-- NotRunning               exit 3: no network (or not this program) is running
    +-- NoSuchNode               exit 4: that node is not part of the network
    +-- WaitTimedOut             exit 5: it did not happen in the time given
    +-- Stopping                 exit 1: the network is just being stopped
    +-- SomeFailed               exit 6: some nodes failed, others did not
    +-- Locked                   exit 75: another process holds the lock
    +-- Unreachable              exit 1: a peer or server could not be reached or stopped talking
    +-- StorageError             exit 74: the disk or the database refused
    |   +-- StorageCorrupt       exit 78: what is stored contradicts itself; never restarted blindly
    +-- OutputError              exit 74: standard output does not take the result
    +-- NotProven                exit 1: a receipt or an archive does not hold; the code names the fault
    +-- PowError                 also ValueError: a nonce search was asked for something impossible
    +-- Rejected                 a vote, block, header or registration was refused; has a Kind
    +-- RemoteProtocolError      the other side broke a rule: one error line, then the link is closed

Refusals are data: `REFUSALS` maps each code to its kind (temporary: try again; permanent: never
send this again; duplicate: it is already here) and to one sentence that says what to do.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Final, Self


class Kind(Enum):
    """How the sender should treat a refusal."""

    TEMPORARY = "temporary"
    PERMANENT = "permanent"
    DUPLICATE = "duplicate"


_T, _P, _D = Kind.TEMPORARY, Kind.PERMANENT, Kind.DUPLICATE

REFUSALS: Final[dict[str, tuple[Kind, str]]] = {
    # Conversations
    "bad-json": (_P, "Send one JSON object per line, UTF-8, ended by a newline."),
    "bad-message": (_P, "Check the field names and types of this message against docs/protocol.md."),
    "unknown-type": (_P, "Check the message type against docs/protocol.md."),
    "unexpected-message": (_P, "Send this message only where docs/protocol.md allows it."),
    "line-too-long": (_P, "Split the request into smaller lines."),
    "incomplete-line": (_P, "End every request with a newline."),
    "idle-timeout": (_T, "Connect again when there is something to send."),
    "too-many-connections": (_T, "Close unused connections and try again in a few seconds."),
    "rate-limited": (_T, "Send less: wait for as long as the message says, then connect again."),
    "banned": (_T, "Wait until the ban ends; if this node is yours, mend or update its program first."),
    "slow-reader": (_T, "Read the answers while sending requests."),
    "busy": (_T, "Wait a second and send the request again."),
    "hello-required": (_P, "Send hello first: this message is for peers only."),
    "network-mismatch": (_P, "Use the genesis file of this network."),
    "bad-hello": (_P, "Sign the challenge with the key named in hello."),
    "self-connection": (_P, "Remove your own address from the peer list."),
    "duplicate-connection": (_D, "Use the connection that is already open."),
    "key-twice": (
        _T,
        "If a copy of the node's data folder runs elsewhere, stop one of the two. A relay makes a key of "
        "its own when its node.key is gone.",
    ),
    "version-mismatch": (_P, "Run the same major protocol version as this node."),
    "read-only": (_P, "Use votenet's own messages to change anything."),
    "response-too-large": (_P, "Fetch headers and blocks with votenet's own messages."),
    "not-found": (_P, "Ask another node, or check the identifier."),
    # Votes
    "bad-signature": (_P, "Sign the vote with the key that it names."),
    "bad-vote": (_P, "Check the fields of the vote against docs/protocol.md."),
    "unknown-candidate": (_P, "Choose one of the candidates of this election."),
    "bad-choices": (_P, "Give at least one choice, no more than allowed, each once."),
    "vote-too-large": (_P, "Shorten the voter id or the choices."),
    "vote-from-future": (_T, "Set this machine's clock right and vote again."),
    "already-voted": (_D, "One vote for each voter id: the first one stands."),
    "duplicate-vote": (_D, "Nothing to do: this very vote is already here."),
    "not-open": (_T, "Vote after the opening time of this election."),
    "closed": (_P, "The closing time of this election has passed."),
    "not-on-roll": (_P, "Ask the election's authority whether, and under which id, you are registered."),
    "wrong-key": (_P, "Vote with the key that was registered; see votenet keys list."),
    "pool-full": (_T, "Wait for the next block and send the vote again."),
    "storage-failed": (_T, "Send the vote to another node; this one's operator must look at its disk."),
    # Secret ballots
    "bad-point": (_P, "Write points as Belenios does, members of the group only."),
    "bad-scalar": (_P, "Write numbers in base 10, below the order of the group."),
    "bad-document": (_P, "Compare the members with docs/secret-ballots.md."),
    "not-canonical": (_P, "Write compact JSON with its members in Belenios' order."),
    "wrong-election": (_P, "Encrypt the ballot for this election."),
    "unknown-credential": (_P, "Make the ballot with the credential that the voter has on the roll."),
    "bad-answers": (_P, "Answer each contest with one ciphertext and proof for each candidate."),
    "bad-choice-proof": (_P, "Prove that each choice is zero or one."),
    "bad-total-proof": (_P, "Choose as many candidates as the contest allows, and prove it."),
    "bad-blank-proof": (_P, "Prove that a blank vote chooses nothing."),
    "bad-ballot-signature": (_P, "Sign the ballot with the credential that it names."),
    "not-final": (_T, "Wait for the final result, then send the share again."),
    "bad-decryption": (_P, "Make the share again, from the votes of the final result."),
    # Blocks
    "bad-header": (_P, "Send the 80-byte header in 160 hexadecimal digits."),
    "broken-chain": (_P, "Send headers in chain order, each after the one whose hash it names."),
    "bad-version": (_P, "Build blocks of a version that this network knows."),
    "bad-work": (_P, "Search a nonce whose hash meets the target."),
    "bad-bits": (_P, "Use the difficulty that the chain asks for at this height."),
    "bad-time": (_P, "Use a time between the median of the last 11 blocks and two hours from now."),
    "bad-miner": (_P, "Have the named node that found the block sign its hash and its height."),
    "bad-merkle-root": (_P, "Compute the Merkle root over the votes in block order."),
    "bad-order": (_P, "Order the votes of a block by vote id, each once."),
    "block-too-large": (_P, "Put fewer votes into one block."),
    "voter-twice": (_P, "A chain counts each voter id once: leave the second vote out."),
    "invalid-block": (_P, "Build on the best branch: this block, or one before it, broke a rule."),
    "unknown-parent": (_T, "Send the headers between our tip and this block first."),
    "duplicate-block": (_D, "Nothing to do: this block is already here."),
    # Named nodes
    "bad-statement": (_P, "Sign with the statement key that the election's definition names."),
    "bad-commit": (_P, "Send precommits of a quorum of different named nodes for this very block."),
    "bad-acceptance": (_P, "Show the acceptance as the named node signed it."),
    "bad-evidence": (_P, "Send only evidence that proves a lie of a named node of this election."),
    "bad-closing": (_P, "Close with the lists of a quorum of named nodes, and with exactly their votes."),
    "bad-late-votes": (_P, "After the closing block send exactly the votes that it counts."),
    "bad-amendment": (
        _P,
        "Sign the next amendment with the authority's key, by the rules of docs/elections.md.",
    ),
    "cancelled": (_P, "Nothing: the authority has cancelled this election, and nothing is counted."),
    # Codes and enrolment
    "bad-code": (_P, "Compare the code with the card, group by group: one character is wrong or missing."),
    "bad-enrolment": (_P, "Make a key on the page of the election, with the invitation that you were given."),
    "bad-invitation": (_P, "Type the invitation as it stands on your letter, or ask for a new one."),
    "invitation-used": (
        _D,
        "If that was you, nothing is left to do. If not, tell the organiser at once, and ask for a new one.",
    ),
    # Peers
    "bad-address": (_P, "Give an address as host:port with a port from 1 to 65535."),
    "not-owner": (_P, "Only the peer itself, or its key, may register or remove this address."),
    "stale-record": (_P, "Sign a record with a higher sequence number."),
    "expired-record": (_P, "Sign a record that expires between now and 72 hours from now."),
    "bad-record": (_P, "Check the fields and the signature of the peer record."),
    "being-checked": (_T, "Nothing: it is removed within a minute, or it answers and stays."),
    "still-alive": (_P, "The peer answers: stop it first, or let it remove itself."),
    "registry-full": (_T, "Try another bootstrap server, or later."),
    "too-many-peers": (_T, "Remove peers that no longer run, or use another bootstrap server."),
}


class Command(tuple[str, ...]):
    """A votenet command to type: its words, without `votenet`. `str()` quotes them for a shell."""

    __slots__ = ()

    def __new__(cls, *words: str) -> Self:
        return super().__new__(cls, words)

    @classmethod
    def calling(cls, name: str, *operands: str, options: Iterable[str] = ()) -> Self:
        """A command with operands of any characters: those that begin with a dash come last, behind `--`."""
        if any(word.startswith("-") for word in operands):
            return cls(*name.split(), *options, "--", *operands)
        return cls(*name.split(), *operands, *options)

    def __str__(self) -> str:
        return shlex.join(("votenet", *self))


class NextStep(str):
    """A sentence for people that names commands: text that knows its `parts`.

    `NextStep("Look with: {}", Command("ps"))`. The command line prints it with the instance and the node
    put into the commands (`cli/options.py`); everywhere else it is the plain text.
    """

    __slots__ = ("parts",)
    parts: tuple[str | Command, ...]

    def __new__(cls, template: str, *given: str | Command) -> Self:
        first, *texts = template.split("{}")
        pairs = zip(given, texts, strict=True)
        return cls.of(first, *(part for pair in pairs for part in pair))

    @classmethod
    def of(cls, *parts: str | Command) -> Self:
        made = super().__new__(cls, "".join(map(str, parts)))
        made.parts = tuple(part for part in parts if part)
        return made

    def __add__(self, more: str) -> NextStep:
        return NextStep.of(*self.parts, *(more.parts if isinstance(more, NextStep) else (more,)))

    def with_commands(self, change: Callable[[Command], Command]) -> str:
        """The sentence with other commands in place of its own."""
        return "".join(str(change(part)) if isinstance(part, Command) else part for part in self.parts)

    def to_json(self) -> list[str | list[str]]:
        """Its parts: a string for text, a list of words for a command."""
        return [list(part) if isinstance(part, Command) else part for part in self.parts]

    @classmethod
    def from_json(cls, parts: object) -> NextStep | None:
        """None if these are not parts of a next step."""
        if not isinstance(parts, list) or not all(isinstance(part, str | list) for part in parts):
            return None
        return cls.of(*(part if isinstance(part, str) else Command(*map(str, part)) for part in parts))


class VotenetError(Exception):
    """Base of all errors. `code` is stable; `next_step` tells a person what to do."""

    code = "error"
    exit_code = 1
    default_next_step = ""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        next_step: str | None = None,
        reported: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reported = reported
        """The command has printed its `--json` document already: stdout carries one, never two."""
        if code is not None:
            self.code = code
        self.next_step = self.default_next_step if next_step is None else next_step

    @classmethod
    @contextlib.contextmanager
    def of_os_errors(cls, what: str, *, next_step: str, code: str | None = None) -> Iterator[None]:
        """Raises this error in place of an OSError of the block: `what`, and the reason of the system."""
        try:
            yield
        except OSError as error:
            raise cls(f"{what}: {error.strerror or error}", code=code, next_step=next_step) from error

    def advising(self, next_step: str) -> Self:
        """The same error with a next step that fits its cause better than that of its code."""
        self.next_step = next_step
        return self

    def as_dict(self) -> dict[str, object]:
        """The error as sent on a socket or printed by `--json`."""
        out: dict[str, object] = {"code": self.code, "message": self.message}
        if self.next_step:
            out["next_step"] = str(self.next_step)
        return out


class ConfigError(VotenetError):
    code = "bad-configuration"
    exit_code = 78


class NotRunning(VotenetError):
    code = "not-running"
    exit_code = 3
    default_next_step = NextStep("Start a network with: {}", Command("up", "--nodes", "5", "--detach"))


class NoSuchNode(VotenetError):
    code = "no-such-node"
    exit_code = 4
    default_next_step = NextStep("List the nodes with: {}", Command("ps"))


class WaitTimedOut(VotenetError):
    code = "timed-out"
    exit_code = 5


class Stopping(VotenetError):
    code = "stopping"
    default_next_step = NextStep(
        "Wait for its end with: {}; to start it again: {}", Command("down"), Command("up", "--detach")
    )


class SomeFailed(VotenetError):
    code = "some-failed"
    exit_code = 6


class Locked(VotenetError):
    code = "locked"
    exit_code = 75


class Unreachable(VotenetError):
    code = "unreachable"
    default_next_step = "Check the address, and that the program is running there."


class StorageError(VotenetError):
    code = "storage-failed"
    exit_code = 74


class StorageCorrupt(StorageError):
    code = "storage-corrupt"
    exit_code = 78


class OutputError(VotenetError):
    code = "output-failed"
    exit_code = 74
    default_next_step = "Free the disk that the output goes to, or send it elsewhere."


class NotProven(VotenetError):
    code = "not-proven"


class PowError(VotenetError, ValueError):
    code = "bad-work-request"


class Rejected(VotenetError):
    """A refusal with a code out of `REFUSALS`; `details` are extra JSON fields for the reader."""

    def __init__(self, code: str, message: str, **details: object) -> None:
        self.kind, sentence = REFUSALS[code]
        super().__init__(message, code=code, next_step=sentence)
        self.details = details

    def as_dict(self) -> dict[str, object]:
        return {
            "code": self.code,
            "kind": self.kind.value,
            "message": self.message,
            "next_step": str(self.next_step),
            **self.details,
        }


class RemoteProtocolError(VotenetError):
    """The other side broke the rules of a conversation: `code` is out of `REFUSALS`."""

    def __init__(self, code: str, message: str) -> None:
        self.kind, sentence = REFUSALS[code]
        super().__init__(message, code=code, next_step=sentence)

    def as_dict(self) -> dict[str, object]:
        return {"kind": self.kind.value, **super().as_dict()}


def votenet_error_in(error: BaseException) -> VotenetError | None:
    """What to tell a person about the error of a task group: our first one, if it holds only ours.

    None when there is anything else in it: that is a defect, and its trace must be seen.
    """
    if isinstance(error, VotenetError):
        return error
    if not isinstance(error, BaseExceptionGroup):
        return None
    found = [votenet_error_in(inner) for inner in error.exceptions]
    return None if None in found else found[0]
