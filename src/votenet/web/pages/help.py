"""`/help`: one sentence for each code of an error, out of the tables of the program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from votenet.core.faults import FAULTS
from votenet.errors import REFUSALS
from votenet.protocol.wire.client_messages import WARNINGS
from votenet.web.frame import words_of
from votenet.web.language import catalogue, language_of
from votenet.web.templates import render
from votenet.web.words import Words

KEY_PREFIX: Final = "help.code."
"""Of the keys in the catalogues that explain a code to voters."""


@dataclass(frozen=True, slots=True)
class ExplainedCode:
    """A code with its sentences; `english` if they are in English whatever the language of the page."""

    code: str
    text: Markup
    english: bool


@dataclass(frozen=True, slots=True)
class CodeGroup:
    """Codes that the same people meet. `key` is that of its heading."""

    key: str
    codes: tuple[ExplainedCode, ...]


async def help_page(request: Request) -> Response:
    words = words_of(language_of(request), request.app.state.view.latest)
    return render(request, "help.html", groups=code_groups(words))


def code_groups(words: Words) -> list[CodeGroup]:
    """Every code once: those that a voter can meet first, explained in the page's language."""
    voters = [key.removeprefix(KEY_PREFIX) for key in catalogue(words.lang) if key.startswith(KEY_PREFIX)]
    known = set(voters)
    groups = [CodeGroup("voters", tuple(_for_voters(words, code) for code in voters))]
    for key, table in _tables():
        rest = {code: text for code, text in table.items() if code not in known}
        known |= rest.keys()
        groups.append(CodeGroup(key, tuple(_in_english(code, text) for code, text in rest.items())))
    groups.append(
        CodeGroup("warnings", tuple(_of_node(words, code) for code in WARNINGS if code not in known))
    )
    return groups


def _tables() -> list[tuple[str, dict[str, str]]]:
    """The tables of the program: code to sentence in English."""
    refusals = {code: sentence for code, (_, sentence) in REFUSALS.items()}
    return [("refusals", refusals), ("faults", FAULTS)]


def _for_voters(words: Words, code: str) -> ExplainedCode:
    return ExplainedCode(code, words.t(KEY_PREFIX + code), english=False)


def _of_node(words: Words, code: str) -> ExplainedCode:
    return ExplainedCode(code, words.t(f"warning.{code}"), english=False)


def _in_english(code: str, text: str) -> ExplainedCode:
    return ExplainedCode(code, Markup("{}").format(text), english=True)
