"""The timeline: well formed, complete, escaped, with nothing from elsewhere."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from votenet.cli.chaos_checks import ALL_AGREE, Broken
from votenet.cli.chaos_plan import Kind, Step
from votenet.cli.chaos_report import LEFT, RIGHT, ROW, WIDTH, as_html, as_svg
from votenet.cli.chaos_run import Done, Outcome

SVG = "{http://www.w3.org/2000/svg}"
STEPS = [
    Done(0.0, Step(Kind.KILL, ("node-1", "node-6")), 0.5, 0.1),
    Done(2.0, Step(Kind.PARTITION, groups=(("node-2",), ("node-1", "node-3"))), 0.2, None),
    Done(4.0, Step(Kind.KILL_SUPERVISOR), 1.0, None),
    Done(6.0, Step(Kind.HEAL), 0.2, 0.8),
    Done(8.0, Step(Kind.SLOW, ("node-3",), value=0.2), 0.1, 0.1),
]


def outcome(**more: object) -> Outcome:
    return Outcome(7, 3, STEPS, votes=1234, seconds=10.0, **more)  # type: ignore[arg-type]


def bars() -> dict[tuple[str, float], tuple[float, str]]:
    """(row, x) to (width, words)."""
    root = ElementTree.fromstring(as_svg(outcome()))
    rows = {
        int(text.attrib["y"]) - 17: text.text or ""
        for text in root.iter(f"{SVG}text")
        if text.attrib["x"] == "0"
    }
    found = {}
    for bar in root.iter(f"{SVG}rect"):
        row = rows[int(bar.attrib["y"]) - 4]
        found[row, float(bar.attrib["x"])] = float(bar.attrib["width"]), bar[0].text or ""
    return found


def test_each_fault_is_a_bar_in_the_rows_of_those_it_met() -> None:
    found, scale = bars(), (WIDTH - LEFT - RIGHT) / 10.0
    assert {row for row, _ in found} == {"supervisor", "node-1", "node-2", "node-3", "node-6"}
    width, words = found["node-6", LEFT]
    assert (round(width, 1), words) == (
        round(0.5 * scale, 1),
        "kill node-1,node-6 at 0.0 s: ready after 0.50 s",
    )
    width, words = found["node-2", round(LEFT + 2.0 * scale, 1)]
    assert round(width, 1) == round(4.2 * scale, 1), "a partition lasts until it was healed"
    width, words = found["node-2", round(LEFT + 6.2 * scale, 1)]
    assert (round(width, 1), words) == (round(0.8 * scale, 1), "agreed after 0.80 s")


def test_the_page_is_whole_and_stands_alone() -> None:
    page = as_html(outcome(stop_seconds=1.5))
    assert "Every invariant held." in page
    assert "5 faults" not in page  # the end of a partition is no fault
    assert "4 faults in 10 s, 1,234 votes" in page
    assert "Stopping everything took 1.5 s." in page
    assert "votenet chaos --seed 7 --nodes 3" in page
    assert page.count("<tr>") == 1 + len(STEPS)
    assert page.replace("http://www.w3.org/2000/svg", "").count("http") == 0


def test_what_is_broken_is_named_and_escaped() -> None:
    page = as_html(outcome(broken=Broken(ALL_AGREE, "<script>")))
    assert f"broken: {ALL_AGREE}: &lt;script&gt;" in page
    assert "<script>" not in page
    assert "Every invariant held" not in page


def test_a_run_without_a_step() -> None:
    page = as_html(Outcome(1, 3))
    root = ElementTree.fromstring(as_svg(Outcome(1, 3)))
    assert int(root.attrib["height"]) == ROW * 6
    assert "0 faults" in page


def test_every_colour_is_explained() -> None:
    page = as_html(outcome())
    drawn = set(re.findall(r'<rect [^>]*fill="(#[0-9a-f]+)"', page))
    explained = dict(re.findall(r'<i style="background:(#[0-9a-f]+)"></i>([^<]+)<', page))
    assert len(drawn) == 5
    assert drawn <= set(explained)
    assert "kill" in explained.values()
