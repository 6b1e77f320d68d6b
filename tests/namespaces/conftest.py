"""The whole story of five organisations takes minutes: make check tells it."""

from __future__ import annotations

import os

collect_ignore = [] if "VOTENET_FIVE" in os.environ else ["test_five_organisations.py"]
