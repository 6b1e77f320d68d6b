"""Both readers on random sequences of amendments, votes and closings: one answer, one roll, one count.

A block that both refuse is taken off again, and the sequence goes on without it.
"""

from __future__ import annotations

import io
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.amended_files import AUTHORITY, Amended, roll_of, with_voters
from support.amended_records import MOTION
from support.elections import key_of
from support.named_files import CLOSES, Batch, Json, closing_of, record_id
from verifier.test_amendments import NOW, Readers
from verifier.test_votenet_verifier import verifier
from votenet.core.records.archive import ArchiveCheck

WEIGHTS: Final = {"ann": 5, "bo": 3}
PEOPLE: Final = ("ann", "bo", "cy")
HOURS: Final = tuple(CLOSES + shift for shift in (-600, -60, -59, 0, 1, 60, 600))

people, keys = st.sampled_from(PEOPLE), st.sampled_from(["ann", "bo", "k1", "k2", "k3"])
actions = st.sampled_from(["add-voter", "replace-key"] * 4 + ["extend", "close"] * 2 + ["cancel"])
amendments = st.fixed_dictionaries(
    {
        "action": actions,
        "voter": people,
        "key": keys,
        "weight": st.sampled_from([1, 1, 2, 1_000_000]),
        "hour": st.sampled_from(HOURS),
        "shift": st.sampled_from([0] * 9 + [1, -1]),
        "signer": st.sampled_from(["the authority"] * 9 + ["ann"]),
    }
)
blocks = st.fixed_dictionaries(
    {
        "amendments": st.lists(amendments, max_size=2),
        "votes": st.lists(st.tuples(people, keys, st.sampled_from(["Alice", "Bob"])), max_size=2),
        "closes": st.sampled_from([False] * 4 + [True]),
        "left_out": st.tuples(st.booleans(), st.booleans()),
        "wait": st.sampled_from([1, 1, 1, 300, 500]),
    }
)


class RandomFile:
    """An archive that grows by random blocks."""

    def __init__(self, voters: dict[str, int]) -> None:
        self.file = with_voters(voters, contest=MOTION)
        self.late: list[Json] = []
        """The votes that a closing block has listed."""

    def kept(self) -> Json:
        """What `restore` needs to take later blocks off again."""
        found = {**vars(self.file), "late": self.late}
        return {name: list(value) if isinstance(value, list) else value for name, value in found.items()}

    def restore(self, kept: Json) -> None:
        self.late = kept.pop("late")
        vars(self.file).update(kept)

    def grow(self, drawn: Json) -> None:
        """Adds a block; behind a closing block it holds the votes that this has listed."""
        file, time = self.file, self.file.tip.time + drawn["wait"]
        cast = [file.keyed_vote(*vote) for vote in drawn["votes"]]
        if drawn["closes"] and not self.late:
            ids = sorted({record_id(vote) for vote in cast})
            lists = [file.closing_list(node, ids) for node in range(4)]
            file.block(Batch((), lists, closing_of([ids] * 4)), time=time)
            self.late = [next(vote for vote in cast if record_id(vote) == one) for one in ids]
            return
        records = [self.amendment(one, place) for place, one in enumerate(drawn["amendments"])]
        if self.late:
            left_out = [vote for vote, out in zip(self.late, drawn["left_out"], strict=False) if out]
            cast = [vote for vote in self.late if vote not in left_out]
            records = records[:1] if drawn["wait"] == 500 else []
            records += [{"kind": "not-counted", "vote": vote} for vote in left_out]
        file.block(Batch(cast, records), time=time)
        self.took(records)

    def took(self, records: list[Json]) -> None:
        for record in records:
            if record["kind"] == "amendment":
                self.file.amendments.append(record)
                self.file.closes = record["closes"] or self.file.closes

    def amendment(self, one: Json, place: int) -> Json:
        """The amendment that was drawn, mostly with the number that comes next."""
        members: Json = {"number": max(1, len(self.file.amendments) + 1 + place + one["shift"])}
        if one["action"] in ("add-voter", "replace-key"):
            members |= {"key": key_of(one["key"]).public_hex, "voter_id": one["voter"]}
        if one["action"] == "add-voter":
            members["weight"] = one["weight"]
        if one["action"] in ("extend", "close"):
            members["closes"] = one["hour"]
        signer = AUTHORITY if one["signer"] == "the authority" else key_of(one["signer"])
        return self.file.amendment(one["action"], signer=signer, **members)


def same_rolls(readers: Readers, made: Amended) -> None:
    """Fails unless both have the same roll in force."""
    books, _ = verifier.read_archive(*readers.written(made))
    check = ArchiveCheck(io.BytesIO(made.data), NOW, roll=made.roll)
    check.run()
    theirs, ours = books.election, check.election
    assert ours.registered is not None
    assert {voter: theirs.key_of(voter) for voter in PEOPLE} == {
        voter: ours.registered.get(voter) for voter in PEOPLE
    }
    assert theirs.roll_weight() == ours.roll_weight
    on_roll = [voter for voter in PEOPLE if voter in ours.registered]
    assert (ours.weights_of(on_roll) or [1] * len(on_roll)) == [theirs.weight(voter) for voter in on_roll]


def check_sequence(readers: Readers, voters: dict[str, int], sequence: list[Json]) -> list[str]:
    """Fails where the readers differ; returns the codes of the refused blocks."""
    random, roll = RandomFile(voters), roll_of(voters)
    refused = []
    for drawn in sequence:
        before = random.kept()
        random.grow(drawn)
        data = random.file.pack()
        theirs, ours = readers.codes(Amended(data, roll))
        assert theirs == ours, drawn
        if set(voters.values()) == {1}:
            bare = readers.codes(Amended(data))
            assert bare[0] == bare[1], drawn
            assert theirs or not bare[0], "the roll forbids more than no roll"
            if not bare[0]:
                readers.same(Amended(data))
        if ours:
            refused.append(ours)
            random.restore(before)
        else:
            readers.same(Amended(data, roll))
            same_rolls(readers, Amended(data, roll))
    return refused


@pytest.mark.parametrize("voters", [WEIGHTS, dict.fromkeys(WEIGHTS, 1)], ids=["weights", "none"])
def test_both_say_the_same_of_random_amendments(
    tmp_path_factory: pytest.TempPathFactory, voters: dict[str, int]
) -> None:
    readers = Readers(tmp_path_factory.mktemp("random"))

    @settings(max_examples=20)
    @given(st.lists(blocks, min_size=3, max_size=9))
    def check(sequence: list[Json]) -> None:
        check_sequence(readers, voters, sequence)

    check()
