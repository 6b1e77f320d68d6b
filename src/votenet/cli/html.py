"""HTML pages that commands write: files on their own that load nothing from anywhere and run no scripts."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from votenet.text import visible

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def html_text(text: str) -> str:
    """Text of others: escaped, on one line, nothing invisible."""
    return escape(visible(text))


def page_begin(lang: str, title: str, style: str, *, for_phones: bool = False) -> Iterator[str]:
    """The lines of a page up to its body.

    Args:
        title: HTML.
        for_phones: the page is read on screens of any width, not only printed.
    """
    yield "<!DOCTYPE html>"
    yield f'<html lang="{lang}">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    if for_phones:
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="referrer" content="no-referrer">'
    yield f"<title>{title}</title>"
    yield f"<style>{style}</style>"
    yield "</head>"
    yield "<body>"


def page_end() -> Iterator[str]:
    yield "</body>"
    yield "</html>"
