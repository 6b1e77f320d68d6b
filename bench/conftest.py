"""What several benches share: the chain of the record, built once for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from record_chain import RecordChain, build


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> RecordChain:
    folder: Path = tmp_path_factory.mktemp("chain")
    return build(folder)
