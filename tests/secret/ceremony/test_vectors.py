"""The committed vectors of ceremonies are what the product makes: pages are tested with them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from support.ceremony_vectors import ceremony_vectors

VECTORS = Path(__file__).parents[2] / "vectors/ceremony.json"


def test_the_product_makes_the_committed_vectors() -> None:
    """`VOTENET_REWRITE=1` writes them."""
    made = ceremony_vectors()
    if os.environ.get("VOTENET_REWRITE"):
        VECTORS.write_text(json.dumps(made, ensure_ascii=False, separators=(",", ":")) + "\n")
    assert json.loads(VECTORS.read_text()) == json.loads(json.dumps(made))
