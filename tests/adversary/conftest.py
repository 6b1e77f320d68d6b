"""Which files of this folder `make adversary` alone plays: they take longer than a contributor waits."""

from __future__ import annotations

import os

collect_ignore = [] if "ADVERSARY_SECONDS" in os.environ else ["test_restored_nodes.py", "test_liars.py"]
