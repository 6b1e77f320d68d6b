"""An election file that is written and read again says the same."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from support.elections import key_of, named_nodes
from votenet.core.election.definition import (
    Candidate,
    ChainParameters,
    Contest,
    ElectionDefinition,
    Quorum,
    Threshold,
    Witness,
)
from votenet.core.election.election_file import ElectionFile, TrusteesTable, read_election_file
from votenet.core.election.election_file_writer import election_toml
from votenet.core.limits import MAX_GRACE_SECONDS
from votenet.core.log.signed_note import COSIGNATURE_V1, VerifierKey
from votenet.core.methods.registry import METHODS
from votenet.core.text import skeleton, text_fault
from votenet.pow import bits_for_zero_bits

NAMES = st.text(min_size=1, max_size=20).filter(lambda name: not text_fault(name))
TEXTS = st.just("") | NAMES | st.just('He said "no"\\\nand left')
SHARES = ("simple", "absolute", "two-thirds", "three-quarters")
LATEST = 253_402_214_400
"""The last day of the year 9999."""
WITNESS = Witness(
    key=str(VerifierKey("witness.example", COSIGNATURE_V1, key_of("witness").public)),
    name="Court",
    url="https://witness.example",
)


@st.composite
def contests(draw: st.DrawFn, number: int, roll: bool) -> Contest:
    method = draw(st.sampled_from(list(METHODS)))
    motion = method == "motion"
    names = draw(st.lists(NAMES, min_size=2, max_size=3 if motion else 6, unique_by=skeleton))
    most = METHODS[method].max_choices or draw(st.integers(1, len(names)))
    of_roll = st.builds(Threshold, basis=st.just("roll"), share=st.sampled_from(SHARES[1:]))
    of_votes = st.builds(Threshold, basis=st.just("cast"), share=st.sampled_from(SHARES))
    quorum = draw(st.none() | st.builds(Quorum, percent=st.integers(1, 100)))
    return Contest(
        blank=draw(st.booleans()),
        candidates=tuple(Candidate(name=name, statement=draw(TEXTS)) for name in names),
        description=draw(TEXTS),
        id=f"c{number}",
        max=most,
        method=method,
        min=draw(st.integers(1, most)),
        quorum=quorum if motion and roll else None,
        seats=1 if METHODS[method].max_seats == 1 else draw(st.integers(1, len(names) - 1)),
        threshold=draw(of_votes | of_roll if roll else of_votes) if motion else None,
        title=f"{number} {draw(NAMES)}",
    )


@st.composite
def files(draw: st.DrawFn) -> ElectionFile:
    difficulty = draw(st.none() | st.integers(1, 64))
    opens = draw(st.none() | st.integers(0, LATEST))
    closes = draw(st.none() | st.integers((opens or 0) + 1, LATEST + 1))
    roll = draw(st.sampled_from(["", "roll.json", 'C:\\rolls\\"our" roll.json']))
    grace = draw(st.integers(0, MAX_GRACE_SECONDS))
    definition = ElectionDefinition(
        chain=ChainParameters(bits=bits_for_zero_bits(difficulty or 8), grace_seconds=grace),
        closes=closes,
        contests=tuple(draw(contests(number, bool(roll))) for number in range(draw(st.integers(1, 3)))),
        created=0,
        language=draw(st.sampled_from(["en", "de-AT", "zh-Hant-TW"])),
        nodes=named_nodes(draw(st.integers(0, 2))),
        opens=opens,
        organiser=draw(NAMES),
        registration="roll" if roll else "open",
        roll_root="00" * 32 if roll else None,
        roll_size=1 if roll else None,
        time_zone=draw(st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"])),
        title=draw(NAMES),
        uuid="1" * 14,
        weighted=bool(roll) and draw(st.booleans()),
        witnesses=draw(st.sampled_from([(), (WITNESS,)])),
    )
    members, enrolment = draw(st.sampled_from([("", ""), ("m.csv", ""), ("m.csv", "e"), ("", "e")]))
    makes_roll = bool(roll) and bool(members or enrolment)
    return ElectionFile(
        definition,
        "" if makes_roll else roll,
        difficulty,
        members if makes_roll else "",
        enrolment if makes_roll else "",
        draw(st.sampled_from(["", "https://vote.example.org", "http://192.168.1.5:8080/club"])),
    )


def test_the_trustees_of_secret_ballots_are_written() -> None:
    text = """\
title = "Board"
secrecy = "secret"
closes = 2060-05-31T20:00:00+02:00
roll = "roll.json"
[trustees]
names = ["Ann", "Bo \\"B\\"", "Cy"]
threshold = 3
folder = "keys"
[[contests]]
candidates = ["D", "E"]
"""
    file, faults = read_election_file(text.encode())
    assert file is not None, faults
    again, faults = read_election_file(election_toml(file).encode())
    assert (again, faults) == (file, [])
    assert file.trustees == TrusteesTable(("Ann", 'Bo "B"', "Cy"), 3, "keys")


@settings(max_examples=40)
@given(files())
def test_a_file_that_is_written_says_the_same_when_it_is_read(file: ElectionFile) -> None:
    again, faults = read_election_file(election_toml(file).encode())
    assert faults == []
    assert again == file
