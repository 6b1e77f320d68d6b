"""Charts say with shapes what the tables say in numbers."""

from __future__ import annotations

from xml.etree import ElementTree

from votenet.core.methods.method import Round
from votenet.web.pages.charts import CHART_WIDTH, bar, rounds_chart
from votenet.web.words import Words

ROUNDS = (
    Round(number=1, counts=(("<A>", 5), ("B", "3.50000"), ("C", 2)), exhausted="0.50000"),
    Round(number=2, counts=(("<A>", 6), ("B", "4.50000")), exhausted="0.50000"),
)


def test_a_bar() -> None:
    _, fill = ElementTree.fromstring(bar(1, 4))
    assert fill.get("width") == "25.00"
    assert ElementTree.fromstring(bar(1, 0))[1].get("width") == "0"


def test_rounds_share_the_width_and_keep_their_colours() -> None:
    chart = ElementTree.fromstring(rounds_chart(Words("en"), ROUNDS))
    titles = [title.text for title in chart.iter("title")]
    assert titles[:2] == ["<A>: 5", "B: 3.50000"]
    assert titles.count("Used up: 0.50000") == 2
    rects = [(rect.get("class"), float(rect.get("width", 0))) for rect in chart.iter("rect")]
    assert rects[0][0] == rects[4][0] == "segment shade-0"
    assert abs(sum(width + 2 for _, width in rects[:4]) - CHART_WIDTH) < 1
    assert "style" not in chart.attrib


def test_one_round_needs_no_chart() -> None:
    assert rounds_chart(Words("en"), ROUNDS[:1]) == ""
