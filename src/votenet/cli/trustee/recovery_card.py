"""The two recovery cards of a trustee as one HTML page to print: nothing is loaded from anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from votenet.core.election.recovery_code import RECOVERY_FORM, recovery_code
from votenet.secret.ceremony.draft import CeremonyDraft, cost_of_loss
from votenet.secret.key_generation import TrusteeSeed
from votenet.text import visible

CARD_IS_THE_KEY: Final = "A recovery card is the whole key of a trustee: keep it as you keep a passport."
_STYLE: Final = """
:root { color-scheme: light; }
* { box-sizing: border-box; margin: 0; }
@page { size: A4; margin: 0; }
body { background: #fff; color: #000;
  font: 11pt/1.4 system-ui, "Liberation Sans", "DejaVu Sans", sans-serif; }
.note { max-width: 210mm; padding: 6mm; border-bottom: 1mm solid #000; }
.card { width: 210mm; height: 148mm; padding: 14mm 18mm; overflow: hidden; break-inside: avoid; }
.card + .card { border-top: .2mm dashed #777; }
.card p { margin: 2.5mm 0; overflow-wrap: anywhere; }
.title { font-size: 16pt; font-weight: bold; }
.code { font: bold 20pt/1.5 "Liberation Mono", "DejaVu Sans Mono", ui-monospace, monospace;
  white-space: nowrap; }
.code span { display: block; }
@media print { .note { display: none; } }
"""


def recovery_page(draft: CeremonyDraft, place: int, seed: TrusteeSeed) -> Iterator[str]:
    """The lines of the page."""
    yield "<!DOCTYPE html>"
    yield '<html lang="en">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    yield '<meta name="referrer" content="no-referrer">'
    yield f"<title>{_text(draft.name)}</title>"
    yield f"<style>{_STYLE}</style>"
    yield "</head>"
    yield "<body>"
    yield '<div class="note">'
    yield f"<p>Two cards on one A4 page. Print at 100 %, cut, and remove this file. {CARD_IS_THE_KEY}</p>"
    yield "</div>"
    for number in (1, 2):
        yield from _card(draft, place, seed, number)
    yield "</body>"
    yield "</html>"


def _card(draft: CeremonyDraft, place: int, seed: TrusteeSeed, number: int) -> Iterator[str]:
    groups = RECOVERY_FORM.groups_of(recovery_code(seed.text))
    yield f'<section class="card" aria-label="Recovery card {number} of 2">'
    yield f'<p class="title">Recovery card {number} of 2</p>'
    yield f"<p><bdi>{_text(draft.name)}</bdi></p>"
    name = _text(draft.name_of(place))
    yield f"<p>Trustee {place} of {draft.size}: <strong><bdi>{name}</bdi></strong></p>"
    yield f'<p class="code"><span>{"-".join(groups[:3])}-</span><span>{"-".join(groups[3:])}</span></p>'
    yield "<p>This is your whole key. You type it once before the election, to show that it works, and once"
    yield "after the election, to count. Keep the two cards at two places. Show them to nobody, photograph"
    yield f"neither: {draft.threshold} trustees' cards together open every single ballot.</p>"
    yield f"<p>{_text(cost_of_loss(draft.threshold, draft.size))} Lost one? Tell the organiser at once.</p>"
    yield f"<p>Ceremony {draft.digest[:16]}</p>"
    yield "</section>"


def _text(text: str) -> str:
    """Text of others: escaped, on one line, nothing invisible."""
    return escape(visible(text))
