"""The draft of an election: what trustees make a key for. Every record of a ceremony names its hash."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Final

from votenet.secret.definition import HomomorphicQuestion
from votenet.secret.documents import Digest, Document, decode, encode
from votenet.secret.refusals import refusal

MAX_TRUSTEES: Final = 16
LEAST_THRESHOLD: Final = 2
"""With one, a single trustee could open every ballot."""
_DOMAIN: Final = b"votenet/ceremony-draft/1\n"


class CeremonyDraft(Document, frozen=True, dict=True, kw_only=True):
    """An election without its key: contests, hours, and who its trustees are. Times are Unix seconds."""

    closes: int
    contests: Digest
    """SHA-256 of the contests in canonical form, with everything that the questions do not say."""
    name: str
    opens: int | None = None
    questions: tuple[HomomorphicQuestion, ...]
    threshold: int
    trustees: tuple[str, ...]
    """Their names, in the order of their places."""
    uuid: str

    @cached_property
    def digest(self) -> str:
        """The draft's hash, hexadecimal."""
        return hashlib.sha256(_DOMAIN + encode(self)).hexdigest()

    @property
    def size(self) -> int:
        return len(self.trustees)

    def name_of(self, place: int) -> str:
        """The trustee at this place, from 1 on."""
        return self.trustees[place - 1]

    def place_of(self, name: str) -> int:
        """Raises NotProven, code bad-draft."""
        if name not in self.trustees:
            names = ", ".join(self.trustees)
            raise refusal("bad-draft", f"no trustee of this election is called {name!r}; they are: {names}")
        return self.trustees.index(name) + 1


def check_draft(draft: CeremonyDraft) -> None:
    """Raises NotProven, code bad-draft."""
    if len(set(draft.trustees)) < draft.size or not all(name.strip() for name in draft.trustees):
        raise refusal("bad-draft", "each trustee needs a name of its own")
    if not LEAST_THRESHOLD <= draft.size <= MAX_TRUSTEES:
        raise refusal("bad-draft", f"an election has {LEAST_THRESHOLD} to {MAX_TRUSTEES} trustees")
    if draft.threshold < LEAST_THRESHOLD:
        raise refusal("bad-draft", "one trustee alone could open every ballot: let at least two be needed")
    if draft.threshold > draft.size:
        raise refusal("bad-draft", f"{draft.threshold} of {draft.size} trustees can never decrypt")
    if not draft.questions:
        raise refusal("bad-draft", "the election has no contest")


def read_draft(raw: bytes) -> CeremonyDraft:
    """The draft in these bytes. Raises NotProven."""
    draft = decode(raw, CeremonyDraft, "the draft of the election")
    check_draft(draft)
    return draft


def cost_of_loss(threshold: int, size: int) -> str:
    """What it means for this election that trustees lose their keys, in one sentence."""
    spare = size - threshold
    if not spare:
        return f"All {size} trustees are needed: if one of them loses both cards, no vote is ever counted."
    lost = "one trustee loses" if spare == 1 else f"{spare} trustees lose"
    return f"{threshold} of {size} trustees are needed: the votes can be counted if {lost} both cards."
