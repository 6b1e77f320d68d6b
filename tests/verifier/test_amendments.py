"""Both readers on archives with amendments: good ones, and each rule broken once."""

from __future__ import annotations

import io
import json
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from nacl.bindings import crypto_core_ed25519_add

from support.amended_files import Amended, AmendedFile, good_amended
from support.elections import CREATED, key_of
from support.second_opinion import same_contests
from support.tampered_amendments import NO_POINT, NOT_CANONICAL, POINTS_OF_SMALL_ORDER, broken_amendments
from verifier.test_votenet_verifier import verifier
from votenet.core.keys import is_public_key
from votenet.core.limits import MAX_AMENDMENTS
from votenet.core.records.archive import ArchiveCheck, ArchiveReport
from votenet.errors import ConfigError, NotProven

NOW = CREATED + 100_000


class Readers:
    """Both readers of an archive, and of its roll."""

    def __init__(self, folder: Path) -> None:
        self._archive, self._roll = folder / "archive", folder / "roll"

    def written(self, made: Amended) -> tuple[Any, ...]:
        """The arguments with which the verifier reads it."""
        self._archive.write_bytes(made.data)
        if made.roll is not None:
            self._roll.write_bytes(made.roll.to_file())
        return str(self._archive), None, NOW, None if made.roll is None else str(self._roll)

    def theirs(self, made: Amended) -> Any:
        """The verifier's report. Raises its Fault."""
        return verifier.check_archive(*self.written(made))

    def ours(self, made: Amended) -> ArchiveReport:
        return ArchiveCheck(io.BytesIO(made.data), NOW, roll=made.roll).run()

    def codes(self, made: Amended) -> tuple[str, str]:
        """What the verifier and the product refuse it with; empty if they take it."""
        theirs = ours = ""
        try:
            self.theirs(made)
        except verifier.Fault as fault:
            theirs = str(fault.code)
        try:
            self.ours(made)
        except (NotProven, ConfigError) as error:
            ours = error.code
        return theirs, ours

    def same(self, made: Amended) -> Any:
        """Fails unless both take it and say the same; returns the verifier's report."""
        theirs, ours = self.theirs(made), self.ours(made)
        same_contests(theirs["contests"], ours.contests)
        for name in ("height", "tip", "votes", "final", "finality", "closes", "cancelled", "registration"):
            assert theirs[name] == getattr(ours, name), name
        assert theirs["amendments"] == json.loads(msgspec.json.encode(ours.amendments))
        return theirs


@pytest.fixture
def readers(tmp_path: Path) -> Readers:
    return Readers(tmp_path)


@pytest.mark.parametrize("name", good_amended())
def test_good_amendments_hold(readers: Readers, name: str) -> None:
    readers.same(good_amended()[name])


@pytest.mark.parametrize("name", broken_amendments())
def test_a_broken_rule_of_amendments_is_refused(readers: Readers, name: str) -> None:
    code, made = broken_amendments()[name]
    assert readers.codes(made) == (code, code)


def test_the_largest_number_of_an_amendment(readers: Readers) -> None:
    for number, code in ((MAX_AMENDMENTS, "bad-amendment"), (MAX_AMENDMENTS + 1, "bad-record")):
        file = AmendedFile()
        made = file.amend(file.amendment("cancel", number=number)).without_roll()
        assert readers.codes(made) == (code, code)


def test_both_take_the_same_keys_for_keys() -> None:
    random = Random(4)
    torsion = [bytes.fromhex(point) for point in (*POINTS_OF_SMALL_ORDER, NO_POINT, NOT_CANONICAL)]
    mixed = [crypto_core_ed25519_add(key_of("x").public, bytes.fromhex(POINTS_OF_SMALL_ORDER[0]))]
    keys = [
        *torsion,
        *mixed,
        *(key_of(str(n)).public for n in range(9)),
        *(random.randbytes(32) for _ in range(40)),
    ]
    answers = [verifier.point_can_sign(key) for key in keys]
    assert answers == [verifier.key_can_sign(key) for key in keys]
    assert answers == [is_public_key(key.hex()) for key in keys]
    assert set(answers[: len(torsion) + 1]) == {False}
    assert {True, False} == set(answers)
