"""The page with the recovery cards: two of them, with the code, and nothing that is loaded."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from support.ceremonies import draft_for
from votenet.cli.trustee.recovery_card import CARD_WORDS, recovery_page
from votenet.core.election.recovery_code import RECOVERY_FORM, recovery_code
from votenet.secret.ceremony.draft import cost_of_loss
from votenet.secret.key_generation import TrusteeSeed

SEED = TrusteeSeed("J6ZsnsMkfGxyBBrDgpLLKy")


CATALOGUE = Path(__file__).parents[3] / "frontend/src/catalogue"


def page(language: str = "en", **changed: object) -> str:
    return "\n".join(recovery_page(draft_for(**changed), 2, SEED, language))  # type: ignore[arg-type]


def test_both_cards_have_the_code_the_name_and_the_place() -> None:
    made = page()
    groups = RECOVERY_FORM.groups_of(recovery_code(SEED.text))
    assert made.count(f"{'-'.join(groups[:3])}-</span><span>{'-'.join(groups[3:])}") == 2
    assert made.count("Trustee 2 of 3: <strong><bdi>Dewi</bdi></strong>") == 2
    assert made.count("2 trustees' cards together open every single ballot") == 2
    assert made.count(draft_for().digest[:16]) == 2
    assert SEED.text not in made


@pytest.mark.parametrize("language", ["en", "id"])
def test_the_cards_of_the_command_say_what_those_of_the_page_say(language: str) -> None:
    said = json.loads((CATALOGUE / f"trustee.{language}.json").read_text(encoding="utf-8"))
    words = dict(CARD_WORDS[language])
    assert words.pop("print")
    assert words == {key: said[key] for key in words}
    assert CARD_WORDS[language].keys() == CARD_WORDS["en"].keys()


def test_cards_in_indonesian_have_the_same_code_and_no_english() -> None:
    made = page("id")
    groups = RECOVERY_FORM.groups_of(recovery_code(SEED.text))
    assert '<html lang="id">' in made
    assert made.count(f"{'-'.join(groups[:3])}-</span><span>{'-'.join(groups[3:])}") == 2
    assert made.count("Pemegang kunci 2 dari 3: <strong><bdi>Dewi</bdi></strong>") == 2
    assert "jika satu pemegang kunci kehilangan kedua kartunya" in made
    assert not {"trustee", "card", "key", "the", "votes"} & set(
        re.sub(r"<[^>]*>|<style>.*</style>", " ", made.lower()).split()
    )


def test_names_of_others_are_text_and_nothing_is_loaded() -> None:
    made = page(name='<img src="x">\u202e', trustees=("a", "<b>", "c"))
    tags = set[str]()

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.add(tag)
            assert not {name for name, _ in attrs} & {"src", "href"}

    Tags().feed(made)
    assert tags <= {"html", "head", "meta", "title", "style", "body", "div", "p", "section"} | {
        "span",
        "strong",
        "bdi",
    }
    assert "\u202e" not in made


def test_what_a_lost_card_costs_stands_on_it() -> None:
    assert "if one trustee loses both cards" in page()
    assert "All 3 trustees are needed" in page(threshold=3)
    for names, threshold in ((("a", "b"), 2), (("a", "b", "c"), 2), (("a", "b", "c", "d"), 2)):
        assert cost_of_loss(threshold, len(names)) in page(trustees=names, threshold=threshold)
