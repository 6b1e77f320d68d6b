"""Every fault has a code and a sentence."""

from __future__ import annotations

import re

from votenet.core.faults import FAULTS, fault


def test_every_fault_has_a_sentence_and_shows_it() -> None:
    for code, sentence in FAULTS.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)
        assert re.fullmatch(r"[A-Z].*\.", sentence)
        assert fault(code, "line 3").next_step == sentence
