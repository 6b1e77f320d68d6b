"""Cards with codes as one HTML page to print: eight on an A4 sheet, nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Final, NamedTuple

from votenet.cli.election.card_words import WORDS, CardKind, hours_text, language_of
from votenet.cli.html import html_text, page_begin, page_end
from votenet.core.election.definition import ElectionDefinition
from votenet.core.election.voting_code import groups_of, shown_code

CARDS_ON_A_SHEET: Final = 8
MANY_CARDS: Final = 1000
"""From here on each QR code has the same mask: to choose the best of eight takes four times as long."""
PATHS: Final[dict[CardKind, str]] = {"card": "/vote", "invitation": "/enrol"}
"""Where a code is typed, below the address of the page."""
CARD_STYLE: Final = """
:root { color-scheme: light; }
* { box-sizing: border-box; margin: 0; }
@page { size: A4; margin: 0; }
body { background: #fff; color: #000;
  font: 9pt/1.3 Arial, "Liberation Sans", Helvetica, "DejaVu Sans", sans-serif; }
.note { max-width: 210mm; padding: 6mm; border-bottom: 1mm solid #000; font-size: 11pt; }
.note p { margin: 2mm 0; }
.sheet { display: grid; grid-template: repeat(4, 74.25mm) / repeat(2, 105mm); width: 210mm; height: 297mm;
  overflow: hidden; break-inside: avoid; break-after: page; }
.sheet:last-child { break-after: auto; }
.card { display: flex; flex-direction: column; justify-content: space-between; padding: 5mm 7mm 4mm;
  overflow: hidden; outline: .2mm dashed #777; outline-offset: -.1mm; }
.top { display: flex; gap: 4mm; height: 32mm; overflow: hidden; }
.text { flex: 1; min-width: 0; overflow: hidden; font-size: 8.5pt; line-height: 1.25; }
.text p { overflow-wrap: anywhere; }
.title { font-size: 11pt; line-height: 1.15; font-weight: bold; max-height: 2.3em; overflow: hidden; }
.organiser { max-height: 1.25em; overflow: hidden; }
.member { font-size: 9.5pt; line-height: 1.2; max-height: 2.4em; overflow: hidden; margin-top: .5mm; }
.qr svg { display: block; width: 32mm; height: 32mm; }
.how { font-size: 8pt; line-height: 1.25; max-height: 3.75em; overflow: hidden; overflow-wrap: anywhere; }
.code { font: bold 19pt/1.15 "Liberation Mono", "DejaVu Sans Mono", ui-monospace, monospace;
  white-space: nowrap; }
.code span { display: block; }
.help { font-size: 7.5pt; line-height: 1.2; }
@media print { .note { display: none; } }
@media screen { .sheet { border-bottom: 1mm solid #ccc; } }
"""


class Card(NamedTuple):
    """What stands on one card. `code`: without hyphens."""

    voter_id: str
    name: str
    code: str


def card_page(
    definition: ElectionDefinition,
    cards: Sequence[Card],
    public_url: str,
    *,
    closes: int | None,
    kind: CardKind = "card",
    note: Iterable[str] = (),
) -> Iterator[str]:
    """The lines of the page. Where ballots are secret, a card says what that does not protect.

    Args:
        public_url: of the page, without a slash at its end.
        closes: the closing time in force, Unix seconds.
        note: paragraphs for the organiser, which are not printed.
    """
    words = WORDS[language_of(definition)]
    yield from page_begin(language_of(definition), html_text(definition.title), CARD_STYLE)
    yield '<div class="note" lang="en">'
    yield from (f"<p>{html_text(paragraph)}</p>" for paragraph in note)
    yield "</div>"
    head = tuple(_head(definition, hours_text(definition, closes)))
    link, helped = public_url + PATHS[kind], _help(definition, words, kind)
    for place, card in enumerate(cards):
        if place % CARDS_ON_A_SHEET == 0:
            yield ('</div><div class="sheet">') if place else '<div class="sheet">'
        qr = _qr(f"{link}#{shown_code(card.code)}", many=len(cards) >= MANY_CARDS)
        yield f'<section class="card" aria-label="{html_text(words[kind])}">'
        yield '<div class="top"><div class="text">'
        yield from head
        yield from _card(card, qr, (words[f"how-{kind}"], link.removeprefix("https://")), helped)
        yield "</section>"
    yield "</div>"
    yield from page_end()


def _head(definition: ElectionDefinition, hours: str) -> Iterator[str]:
    lang = escape(definition.language)
    yield f'<p class="title" lang="{lang}" dir="auto">{html_text(definition.title)}</p>'
    if definition.organiser:
        yield f'<p class="organiser" lang="{lang}" dir="auto">{html_text(definition.organiser)}</p>'
    if hours:
        yield f"<p>{html_text(hours)}</p>"


def _help(definition: ElectionDefinition, words: Mapping[str, str], kind: CardKind) -> str:
    if kind != "card" or definition.trustees is None:
        return words[f"help-{kind}"]
    return words["help-secret"].format(threshold=definition.trustees.threshold)


def _card(card: Card, qr: str, how: tuple[str, str], helped: str) -> Iterator[str]:
    """What follows the head of a card. `how`: what to do with the code, and the address for it."""
    told, shown = how
    groups = groups_of(card.code)
    voter_id, name = html_text(card.voter_id), html_text(card.name)
    yield f'<p class="member"><strong>{voter_id}</strong> <bdi>{name}</bdi></p>'
    yield f'</div><div class="qr">{qr}</div></div>'
    yield f'<p class="how">{html_text(told)} <strong>{html_text(shown)}</strong></p>'
    yield f'<p class="code"><span>{"-".join(groups[:3])}-</span><span>{"-".join(groups[3:])}</span></p>'
    yield f'<p class="help">{html_text(helped)}</p>'


def _qr(text: str, *, many: bool) -> str:
    """The picture of a QR code as SVG."""
    import segno  # here: most commands draw none

    made = segno.make(text, error="m", micro=False, mask=3 if many else None)
    svg: str = made.svg_inline(omitsize=True, border=2)
    return svg
