"""The format of log lines."""

from __future__ import annotations

import json
import logging
import re

import pytest

from votenet.cli.logging_setup import start_logging


def test_lines_have_utc_time_level_and_part(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        start_logging("info")
        logging.getLogger("votenet.part").info("said %d", 1)
        logging.getLogger("votenet.part").debug("not said")
    finally:
        root.handlers[:], root.level = before, level
    line = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO votenet.part: said 1\n"
    assert re.fullmatch(line, capsys.readouterr().err)


def test_json_lines_carry_the_same_and_the_trace(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        start_logging("info", as_json=True)
        try:
            raise KeyError("x")
        except KeyError:
            logging.getLogger("votenet.part").exception("said %s", "ü")
    finally:
        root.handlers[:], root.level = before, level
    (line,) = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert (found["level"], found["part"], found["message"]) == ("ERROR", "votenet.part", "said ü")
    assert found["time"].endswith("Z")
    assert "KeyError" in found["trace"]
