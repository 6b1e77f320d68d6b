"""Cards with codes as one HTML page to print: eight on an A4 sheet, nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Final, NamedTuple

from votenet.cli.election.card_words import WORDS, CardKind, hours_text, language_of
from votenet.core.election.definition import ElectionDefinition
from votenet.core.election.voting_code import groups_of, shown_code
from votenet.text import visible

CARDS_ON_A_SHEET: Final = 8
MANY_CARDS: Final = 1000
"""From here on each QR code has the same mask: to choose the best of eight takes four times as long."""
PATHS: Final[dict[CardKind, str]] = {"card": "/vote", "invitation": "/enrol"}
"""Where a code is typed, below the address of the page."""
VOTE_COMMAND: Final = "votenet vote --code --node HOST:PORT --roll roll.json"
"""How to vote where ballots are secret: no page can encrypt them yet."""
CARD_STYLE: Final = """
:root { color-scheme: light; }
* { box-sizing: border-box; margin: 0; }
@page { size: A4; margin: 0; }
body { background: #fff; color: #000; font: 9pt/1.3 system-ui, "Liberation Sans", "DejaVu Sans", sans-serif; }
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
    """The lines of the page. Where ballots are secret, a card has a command in place of address and QR code.

    Args:
        public_url: of the page, without a slash at its end.
        closes: the closing time in force, Unix seconds.
        note: paragraphs for the organiser, which are not printed.
    """
    words = WORDS[language_of(definition)]
    yield "<!DOCTYPE html>"
    yield f'<html lang="{language_of(definition)}">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    yield '<meta name="referrer" content="no-referrer">'
    yield f"<title>{_text(definition.title)}</title>"
    yield f"<style>{CARD_STYLE}</style>"
    yield "</head>"
    yield "<body>"
    yield '<div class="note" lang="en">'
    yield from (f"<p>{_text(paragraph)}</p>" for paragraph in note)
    yield "</div>"
    head = tuple(_head(definition, hours_text(definition, closes)))
    link = public_url + PATHS[kind]
    for place, card in enumerate(cards):
        if place % CARDS_ON_A_SHEET == 0:
            yield ('</div><div class="sheet">') if place else '<div class="sheet">'
        if definition.secrecy == "secret":
            yield from _card(card, head, (words["how-secret"], VOTE_COMMAND), "", words, kind)
            continue
        qr = _qr(f"{link}#{shown_code(card.code)}", many=len(cards) >= MANY_CARDS)
        how = words[f"how-{kind}"], link.removeprefix("https://")
        yield from _card(card, head, how, f'<div class="qr">{qr}</div>', words, kind)
    yield "</div>"
    yield "</body>"
    yield "</html>"


def _head(definition: ElectionDefinition, hours: str) -> Iterator[str]:
    lang = escape(definition.language)
    yield f'<p class="title" lang="{lang}" dir="auto">{_text(definition.title)}</p>'
    if definition.organiser:
        yield f'<p class="organiser" lang="{lang}" dir="auto">{_text(definition.organiser)}</p>'
    if hours:
        yield f"<p>{_text(hours)}</p>"


def _card(
    card: Card,
    head: Iterable[str],
    how: tuple[str, str],
    picture: str,
    words: Mapping[str, str],
    kind: CardKind,
) -> Iterator[str]:
    """`how`: what to do with the code, and the address or command for it."""
    told, shown = how
    groups = groups_of(card.code)
    yield f'<section class="card" aria-label="{_text(words[kind])}">'
    yield '<div class="top"><div class="text">'
    yield from head
    yield f'<p class="member"><strong>{_text(card.voter_id)}</strong> <bdi>{_text(card.name)}</bdi></p>'
    yield f"</div>{picture}</div>"
    yield f'<p class="how">{_text(told)} <strong>{_text(shown)}</strong></p>'
    yield f'<p class="code"><span>{"-".join(groups[:3])}-</span><span>{"-".join(groups[3:])}</span></p>'
    yield f'<p class="help">{_text(words[f"help-{kind}"])}</p>'
    yield "</section>"


def _qr(text: str, *, many: bool) -> str:
    """The picture of a QR code as SVG."""
    import segno  # here: most commands draw none

    made = segno.make(text, error="m", micro=False, mask=3 if many else None)
    svg: str = made.svg_inline(omitsize=True, border=2)
    return svg


def _text(text: str) -> str:
    """Text of others: escaped, on one line, nothing invisible."""
    return escape(visible(text))
