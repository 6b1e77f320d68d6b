"""QR codes as SVG."""

from __future__ import annotations

from xml.etree import ElementTree

import segno

from votenet.web.pages.qr import qr_code


def test_it_draws_the_code_of_the_text() -> None:
    code = qr_code("https://host.example/vote", 'a "label" <b>')
    drawn = ElementTree.fromstring(code)
    width, _ = segno.make("https://host.example/vote", error="m", micro=False).symbol_size(border=4)
    assert drawn.get("viewBox") == f"0 0 {width} {width}"
    assert drawn.get("aria-label") == 'a "label" <b>'
    assert drawn[0].tag == "path"
    assert "style" not in code
