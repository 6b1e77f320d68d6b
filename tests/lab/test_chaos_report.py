"""The timeline: well formed, complete, escaped, with nothing from elsewhere."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from votenet.lab.chaos_checks import ALL_AGREE, Broken
from votenet.lab.chaos_plan import Step, StepKind
from votenet.lab.chaos_report import LEFT_MARGIN, RIGHT_MARGIN, ROW, WIDTH, as_html, as_svg
from votenet.lab.chaos_run import ChaosResult, StepResult

SVG = "{http://www.w3.org/2000/svg}"
STEPS = [
    StepResult(0.0, Step(StepKind.KILL, ("node-1", "node-6")), 0.5, 0.1),
    StepResult(2.0, Step(StepKind.PARTITION, groups=(("node-2",), ("node-1", "node-3"))), 0.2, None),
    StepResult(4.0, Step(StepKind.KILL_SUPERVISOR), 1.0, None),
    StepResult(6.0, Step(StepKind.HEAL), 0.2, 0.8),
    StepResult(8.0, Step(StepKind.SLOW, ("node-3",), value=0.2), 0.1, 0.1),
]


def outcome(**more: object) -> ChaosResult:
    return ChaosResult(7, 3, STEPS, votes=1234, seconds=10.0, **more)  # type: ignore[arg-type]


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
    found, scale = bars(), (WIDTH - LEFT_MARGIN - RIGHT_MARGIN) / 10.0
    assert {row for row, _ in found} == {"supervisor", "node-1", "node-2", "node-3", "node-6"}
    width, words = found["node-6", LEFT_MARGIN]
    assert (round(width, 1), words) == (
        round(0.5 * scale, 1),
        "kill node-1,node-6 at 0.0 s: ready after 0.50 s",
    )
    width, words = found["node-2", round(LEFT_MARGIN + 2.0 * scale, 1)]
    assert round(width, 1) == round(4.2 * scale, 1), "a partition lasts until it was healed"
    width, words = found["node-2", round(LEFT_MARGIN + 6.2 * scale, 1)]
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


def test_a_broken_invariant_is_named_and_escaped() -> None:
    page = as_html(outcome(broken=Broken(ALL_AGREE, "<script>")))
    assert f"broken: {ALL_AGREE}: &lt;script&gt;" in page
    assert "<script>" not in page
    assert "Every invariant held" not in page


def test_a_run_without_a_step() -> None:
    page = as_html(ChaosResult(1, 3))
    root = ElementTree.fromstring(as_svg(ChaosResult(1, 3)))
    assert int(root.attrib["height"]) == ROW * 6
    assert "0 faults" in page


def test_every_colour_is_explained() -> None:
    page = as_html(outcome())
    rendered = set(re.findall(r'<rect [^>]*fill="(#[0-9a-f]+)"', page))
    explained = dict(re.findall(r'<i style="background:(#[0-9a-f]+)"></i>([^<]+)<', page))
    assert len(rendered) == 5
    assert rendered <= set(explained)
    assert "kill" in explained.values()
