"""The alert rules and the dashboard of deploy/."""

from __future__ import annotations

import json
import re
from typing import Final

from support.unit_files import DEPLOY

RULES: Final = DEPLOY / "prometheus/votenet.rules.yml"
DASHBOARD: Final = DEPLOY / "grafana/votenet.json"


def expressions() -> list[str]:
    """Those of the rules and of the dashboard."""
    rules = re.findall(r"expr: (?:>-\n\s+)?(.*)", RULES.read_text())
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return rules + [target["expr"] for panel in panels for target in panel["targets"]]
