"""Ceremonies of trustees, from a seed: as far as a test wants them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from votenet.secret.ceremony.bulletin import STEPS, Bulletin, CeremonyRecord, Step, read_bulletin, signed_text
from votenet.secret.ceremony.draft import CeremonyDraft
from votenet.secret.ceremony.trustee import next_record, rehearse
from votenet.secret.definition import HomomorphicQuestion
from votenet.secret.documents import encode
from votenet.secret.key_generation import TrusteeSeed
from votenet.secret.trustees import sign_message

QUESTION = HomomorphicQuestion(answers=("Ani", "Budi"), min=1, max=1, question="Ketua")
NAMES = ("Citra", "Dewi", "Eko", "Fajar")


def draft_for(threshold: int = 2, size: int = 3, **changed: object) -> CeremonyDraft:
    members: dict[str, object] = {
        "closes": 1_800_000_000,
        "contests": "00" * 32,
        "name": "Pemilihan ketua",
        "questions": (QUESTION,),
        "threshold": threshold,
        "trustees": NAMES[:size],
        "uuid": "1" * 14,
    }
    return CeremonyDraft(**{**members, **changed})  # type: ignore[arg-type]


@dataclass
class Ceremony:
    """Trustees who hand records in, into one folder."""

    draft: CeremonyDraft = field(default_factory=draft_for)
    random_seed: int = 31
    files: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = random.Random(self.random_seed)
        self.seeds = [TrusteeSeed.draw(rng.randbytes) for _ in self.draft.trustees]

    @property
    def bulletin(self) -> Bulletin:
        return read_bulletin(self.draft, self.files)

    def hand_in(self, record: CeremonyRecord, name: str = "") -> None:
        self.files[name or f"{record.place}-{record.step}"] = encode(record)

    def do(self, step: Step, places: Iterable[int] = ()) -> None:
        """These trustees do a step; all of them by default."""
        for place in places or range(1, self.draft.size + 1):
            seed = self.seeds[place - 1]
            if step == "rehearsal":
                self.hand_in(rehearse(self.bulletin, seed))
                continue
            record = next_record(self.bulletin, seed, place)
            assert record is not None
            assert record.step == step
            self.hand_in(record)

    def forged(self, record: CeremonyRecord, signer: int, **changed: object) -> CeremonyRecord:
        """A record with other members, signed by this trustee all the same."""
        members = {name: getattr(record, name) for name in record.__struct_fields__} | changed
        members.pop("signature")
        text = signed_text(*(members[name] for name in ("draft", "place", "step", "seen", "content")))
        entropy = random.Random(32).randbytes
        signature = sign_message(self.seeds[signer - 1].signing_key, text, entropy).signature
        return CeremonyRecord(**members, signature=signature)

    def refusals(self) -> list[str]:
        """The codes of records that do not count."""
        return [one.error.code for one in self.bulletin.refused]


def run(steps: Sequence[Step] = STEPS, draft: CeremonyDraft | None = None, seed: int = 31) -> Ceremony:
    """A ceremony in which every trustee has done these steps."""
    ceremony = Ceremony(draft or draft_for(), seed)
    for step in steps:
        ceremony.do(step)
    return ceremony
