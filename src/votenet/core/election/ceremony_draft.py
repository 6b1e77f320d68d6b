"""The draft of a definition for its trustees, and the definition once their ceremony is complete."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from votenet.core.election.definition import ElectionDefinition, Trustee, Trustees
from votenet.core.election.secret_rules import SECRET_METHODS, questions_of
from votenet.core.encoding import canonical
from votenet.secret.ceremony.bulletin import Bulletin
from votenet.secret.ceremony.draft import CeremonyDraft, check_draft
from votenet.secret.refusals import refusal


def draft_of(definition: ElectionDefinition, names: Sequence[str], threshold: int) -> CeremonyDraft:
    """The draft of an election that these trustees make a key for.

    Args:
        definition: with its uuid; its roll, nodes and times of making do not matter.

    Raises:
        NotProven: bad-draft.
    """
    if definition.closes is None:
        raise refusal("bad-draft", "secret ballots are counted after closing, but the election never closes")
    ranked = [one.id for one in definition.contests if one.method not in SECRET_METHODS]
    if ranked:
        raise refusal("bad-draft", f"contest {ranked[0]!r} ranks candidates: it cannot be secret yet")
    draft = CeremonyDraft(
        closes=definition.closes,
        contests=hashlib.sha256(canonical(definition.contests)).hexdigest(),
        name=definition.title,
        opens=definition.opens,
        questions=questions_of(definition.contests),
        threshold=threshold,
        trustees=tuple(names),
        uuid=definition.uuid,
    )
    check_draft(draft)
    return draft


def check_same_draft(draft: CeremonyDraft, wanted: CeremonyDraft) -> None:
    """Raises NotProven, code bad-draft, with what has changed since the trustees began."""
    members = {"name": "title", "questions": "contests"}
    changed = [
        members.get(name, name)
        for name in draft.__struct_fields__
        if getattr(draft, name) != getattr(wanted, name)
    ]
    if changed:
        what = ", ".join(dict.fromkeys(changed))
        raise refusal("bad-draft", f"since the trustees began, the election has changed in: {what}")


def completed(definition: ElectionDefinition, bulletin: Bulletin) -> ElectionDefinition:
    """The definition with the keys of its trustees, every one of whom has decrypted the test tally.

    Its `belenios` is made when all else is there, too (`secret_rules.with_belenios`).

    Raises:
        NotProven: two-records, ceremony-incomplete; bad-draft, when the election is not the one of the draft.
    """
    bulletin.check_complete()
    draft = bulletin.draft
    check_same_draft(draft, draft_of(definition, draft.trustees, draft.threshold))
    return msgspec.structs.replace(definition, secrecy="secret", trustees=trustees_of(bulletin))


def trustees_of(bulletin: Bulletin) -> Trustees:
    """The trustees of a definition. Raises NotProven, code ceremony-incomplete, unless every key is there."""
    draft = bulletin.draft
    return Trustees(
        keys=tuple(
            Trustee(key=key.written(), name=name)
            for key, name in zip(bulletin.keys, draft.trustees, strict=True)
        ),
        record=hashlib.sha256(bulletin.trustees).hexdigest(),
        threshold=draft.threshold,
    )


def check_made_of(definition: ElectionDefinition, bulletin: Bulletin) -> None:
    """Whether an election was made of this ceremony: its trustees' keys, names and threshold, its draft.

    Raises:
        NotProven: wrong-election-key; bad-draft, with what has changed; ceremony-incomplete.
    """
    if definition.trustees != trustees_of(bulletin):
        raise refusal("wrong-election-key", "its trustees, or their keys, are not those of the ceremony")
    draft = bulletin.draft
    check_same_draft(draft, draft_of(definition, draft.trustees, draft.threshold))
