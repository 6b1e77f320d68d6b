"""Alert rules and the dashboard: judged by promtool."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from support.alert_rules import DASHBOARD, RULES, expressions
from support.deploy_tools import run, tool
from support.unit_files import DEPLOY


@pytest.fixture
def promtool() -> str:
    return tool("promtool", "the Debian package prometheus")


def test_prometheus_accepts_its_configuration_and_the_rules(promtool: str) -> None:
    run(promtool, "check", "rules", RULES)
    run(promtool, "check", "config", DEPLOY / "prometheus/prometheus.yml")


def test_each_alert_comes_in_its_case_and_in_no_other(promtool: str) -> None:
    run(promtool, "test", "rules", "votenet.rules.test.yml", cwd=RULES.parent)
    alerts = re.findall(r"alert: (\w+)", RULES.read_text())
    tested = re.findall(r"alertname: (\w+)", (RULES.parent / "votenet.rules.test.yml").read_text())
    assert sorted(set(tested)) == sorted(alerts)
    assert all(tested.count(alert) >= 2 for alert in alerts), (
        "each has a case where it comes, and one without"
    )


def test_a_wrong_rule_would_be_seen(promtool: str, tmp_path: Path) -> None:
    """The unit tests do bear on the rules: one that never comes fails them."""
    for path in RULES.parent.glob("*.yml"):
        shutil.copy(path, tmp_path)
    wrong = RULES.read_text().replace("votenet_node_peers == 0", "votenet_node_peers < 0")
    (tmp_path / RULES.name).write_text(wrong)
    with pytest.raises(AssertionError, match="VotenetNodeAlone"):
        run(promtool, "test", "rules", "votenet.rules.test.yml", cwd=tmp_path)


def test_the_dashboard_asks_what_prometheus_understands(promtool: str, tmp_path: Path) -> None:
    """Each expression as a rule of its own, so that the parser of Prometheus reads it."""
    rules = [{"record": f"panel:{n}", "expr": text} for n, text in enumerate(expressions())]
    (tmp_path / "panels.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    run(promtool, "check", "rules", tmp_path / "panels.yml")


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_the_addresses_scraped_are_those_of_the_environment_files() -> None:
    scraped_there = set(re.findall(r"127\.0\.0\.1:\d+", (RULES.parent / "prometheus.yml").read_text()))
    for kind in ("bootstrap", "web"):
        found = re.search(r"_METRICS=(\S+)", (DEPLOY / f"systemd/{kind}.env").read_text())
        assert found is not None
        assert found[1] in scraped_there
