"""The two recovery cards of a trustee as one HTML page to print: nothing is loaded from anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Final

from votenet.cli.html import html_text, page_begin, page_end
from votenet.core.election.recovery_code import RECOVERY_FORM, recovery_code
from votenet.secret.ceremony.draft import CeremonyDraft
from votenet.secret.key_generation import TrusteeSeed

CARD_IS_THE_KEY: Final = "A recovery card is the whole key of a trustee: keep it as you keep a passport."
CARD_WORDS: Final = {
    "en": {
        "print": "Two cards on one A4 page. Print at 100 %, cut, and remove this file. A recovery card is the"
        " whole key of a trustee: keep it as you keep a passport.",
        "card.number": "Recovery card {number} of 2",
        "card.trustee": "Trustee {place} of {size}: {name}",
        "card.text": "This is your whole key. You type it before the election, to show that it works,"
        " and after it, for the count, unless your computer keeps the key in a file. Keep the two cards at"
        " two places. Show them to nobody, photograph neither: {threshold} trustees' cards together open"
        " every single ballot.",
        "card.lost": "Lost one? Tell the organiser at once.",
        "needed.all": "All {size} trustees are needed: if one of them loses both cards, no vote is ever"
        " counted.",
        "needed.one": "{threshold} of {size} trustees are needed: the votes can be counted if one trustee"
        " loses both cards.",
        "needed.some": "{threshold} of {size} trustees are needed: the votes can be counted if {spare}"
        " trustees lose both cards.",
        "ceremony": "Ceremony {digest}",
    },
    "id": {
        "print": "Dua kartu pada satu halaman A4. Cetak dengan skala 100 %, potong, lalu hapus berkas ini."
        " Kartu pemulihan adalah seluruh kunci Anda: simpanlah seperti paspor.",
        "card.number": "Kartu pemulihan {number} dari 2",
        "card.trustee": "Pemegang kunci {place} dari {size}: {name}",
        "card.text": "Ini seluruh kunci Anda. Anda mengetikkannya sebelum pemilihan, untuk menunjukkan bahwa"
        " kartu ini berfungsi, dan sesudahnya, untuk hitungan, kecuali komputer Anda menyimpan kunci itu"
        " dalam berkas. Simpan kedua kartu di dua tempat. Jangan perlihatkan kepada siapa pun dan jangan"
        " memotretnya: kartu dari {threshold} pemegang kunci bersama-sama membuka setiap surat suara.",
        "card.lost": "Hilang satu? Segera beri tahu panitia.",
        "needed.all": "Semua {size} pemegang kunci diperlukan: jika satu di antaranya kehilangan kedua"
        " kartunya, tidak ada suara yang akan pernah dihitung.",
        "needed.one": "{threshold} dari {size} pemegang kunci diperlukan: suara dapat dihitung jika satu"
        " pemegang kunci kehilangan kedua kartunya.",
        "needed.some": "{threshold} dari {size} pemegang kunci diperlukan: suara dapat dihitung jika {spare}"
        " pemegang kunci kehilangan kedua kartunya.",
        "ceremony": "Upacara {digest}",
    },
}
"""By language; but for `print` those of the trustees' page."""
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


def recovery_page(draft: CeremonyDraft, place: int, seed: TrusteeSeed, language: str) -> Iterator[str]:
    """The lines of the page. Args: language: one of CARD_WORDS."""
    yield from page_begin(language, html_text(draft.name), _STYLE)
    yield '<div class="note">'
    yield f"<p>{escape(CARD_WORDS[language]['print'])}</p>"
    yield "</div>"
    for number in (1, 2):
        yield from _card(draft, place, seed, number, CARD_WORDS[language])
    yield from page_end()


def _card(
    draft: CeremonyDraft, place: int, seed: TrusteeSeed, number: int, words: Mapping[str, str]
) -> Iterator[str]:
    groups = RECOVERY_FORM.groups_of(recovery_code(seed.text))
    heading = words["card.number"].format(number=number)
    name = f"<strong><bdi>{html_text(draft.name_of(place))}</bdi></strong>"
    yield f'<section class="card" aria-label="{heading}">'
    yield f'<p class="title">{heading}</p>'
    yield f"<p><bdi>{html_text(draft.name)}</bdi></p>"
    yield f"<p>{words['card.trustee'].format(place=place, size=draft.size, name=name)}</p>"
    yield f'<p class="code"><span>{"-".join(groups[:3])}-</span><span>{"-".join(groups[3:])}</span></p>'
    yield f"<p>{words['card.text'].format(threshold=draft.threshold)}</p>"
    yield f"<p>{_cost_of_loss(draft, words)} {words['card.lost']}</p>"
    yield f"<p>{words['ceremony'].format(digest=draft.digest[:16])}</p>"
    yield "</section>"


def _cost_of_loss(draft: CeremonyDraft, words: Mapping[str, str]) -> str:
    spare = draft.size - draft.threshold
    key = "needed.all" if not spare else "needed.one" if spare == 1 else "needed.some"
    return words[key].format(threshold=draft.threshold, size=draft.size, spare=spare)
