"""What named nodes are proven to have done, in the language of a page."""

from __future__ import annotations

import functools
import re
from string import Formatter
from typing import Final

from markupsafe import Markup

from votenet.web.language import catalogue
from votenet.web.words import Value, Words

TEXTS: Final = frozenset({"name", "voter"})
"""Places of a sentence that hold a text of others; all others hold a number."""


def lie_in_words(words: Words, sentence: str) -> Markup | None:
    """A lie in the language of the page; None where the catalogue does not have it.

    Args:
        sentence: the lie in English, as nodes write it (`check_lie`): so are the sentences of the English
            catalogue, with names for what differs.
    """
    for key, form in _forms():
        if found := form.fullmatch(sentence):
            return words.t(
                key, **{name: _value(words, name, text) for name, text in found.groupdict().items()}
            )
    return None


def _value(words: Words, name: str, text: str) -> Value:
    return words.name(text) if name in TEXTS else int(text.replace(",", ""))


@functools.cache
def _forms() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Each sentence about a lie with its key."""
    english = catalogue("en")
    return tuple((key, _form(english[key])) for key in english if key.startswith("lie."))


def _form(sentence: str) -> re.Pattern[str]:
    made = ""
    for text, name, _, _ in Formatter().parse(sentence):
        made += re.escape(text)
        if name is not None:
            made += f"(?P<{name}>{'.+' if name in TEXTS else '[0-9,]{1,30}'})"
    return re.compile(made)
