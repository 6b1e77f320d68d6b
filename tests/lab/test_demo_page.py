"""What the demonstration does on the page; tests/e2e/test_readers_of_demo.py has it vote there."""

from __future__ import annotations

import pytest

from support.ports import free_port
from votenet.errors import VotenetError
from votenet.lab import demo_page
from votenet.lab.demo_page import browser, fetch


def test_a_page_that_is_not_there_is_a_failed_step(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VotenetError, match="refused"):
        fetch(f"http://127.0.0.1:{free_port()}/")
    monkeypatch.setenv("PATH", "/nowhere")
    assert browser() is None
    assert set(demo_page.CHROMIUM_FLAGS) > {"--no-sandbox"}
