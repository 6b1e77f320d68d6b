"""The colours of the pages: text has a contrast of 10 to 1, in the light and in the dark."""

from __future__ import annotations

import re
from pathlib import Path

import votenet.web

STATIC = Path(votenet.web.__file__).parent / "static"
STYLE = (STATIC / "style.css").read_text("utf-8")
TEXTS = {
    "ink": (
        "paper",
        "card",
        "accent-soft",
        "good-soft",
        "wait-soft",
        "bad-soft",
        *(f"s{n}" for n in range(9)),
    ),
    "quiet": ("paper", "card"),
    "accent": ("paper", "card", "accent-soft"),
    "on-accent": ("accent",),
    "good": ("good-soft", "paper", "card"),
    "wait": ("wait-soft", "card"),
    "bad": ("bad-soft", "card"),
}


def palettes() -> list[dict[str, str]]:
    """Name to colour, of the light and of the dark."""
    light, dark = re.findall(r":root \{([^}]*--ink: #[^}]*)\}", STYLE)
    return [dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", part)) for part in (light, dark)]


def brightness(colour: str) -> float:
    """Relative luminance, as WCAG defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((brightness(one), brightness(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_has_a_contrast_of_ten_to_one() -> None:
    found = [
        (text, ground, round(contrast(palette[text], palette[ground]), 1))
        for palette in palettes()
        for text, grounds in TEXTS.items()
        for ground in grounds
        if contrast(palette[text], palette[ground]) < 10
    ]
    assert found == []


def test_bars_and_edges_have_a_contrast_of_three_to_one() -> None:
    for palette in palettes():
        assert contrast(palette["fill"], palette["track"]) >= 3
        for ground in ("card", "paper"):
            assert contrast(palette["edge"], palette[ground]) >= 3


def test_nothing_moves_and_nothing_comes_from_elsewhere() -> None:
    for path in STATIC.glob("*.css"):
        assert not re.search(r"\b(animation|transition|@import|url\()", path.read_text("utf-8")), path.name
