"""QR codes as inline SVG, black on white whatever the colours of the page."""

from __future__ import annotations

import io

import segno
from markupsafe import Markup, escape


def qr_code(text: str, label: str) -> Markup:
    """The code of a text, with a quiet zone of four modules.

    Args:
        label: what a screen reader says.
    """
    code = segno.make(text, error="m", micro=False)
    width, height = code.symbol_size(border=4)
    out = io.BytesIO()
    code.save(out, kind="svg", border=4, svgns=False, xmldecl=False, svgclass="", lineclass="", omitsize=True)
    path = out.getvalue().decode()
    inside = path[path.index(">") + 1 : path.rindex("</svg>")]
    return Markup(
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}" shape-rendering="crispEdges">{}</svg>'
    ).format(width, height, escape(label), Markup(inside))
