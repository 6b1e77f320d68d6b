"""The bulletin: which records count, who is waited for, and who contradicts an own record."""

from __future__ import annotations

import random
import re
from functools import cache

import msgspec
import pytest

from support.ceremonies import Ceremony, draft_for, run
from support.secret_elections import refusing
from votenet.secret.ceremony.bulletin import (
    MAX_RECORD,
    STEPS,
    CeremonyRecord,
    Step,
    hash_of_records,
    read_bulletin,
    read_record,
)
from votenet.secret.ceremony.trustee import next_record, rehearse
from votenet.secret.documents import encode
from votenet.secret.key_generation import make_trustee_certificate


@cache
def complete() -> Ceremony:
    return run()


def again(steps: int = 4) -> Ceremony:
    """The same ceremony with the records of these first steps, to be changed."""
    kept = {name: raw for name, raw in complete().files.items() if name.partition("-")[2] in STEPS[:steps]}
    return Ceremony(complete().draft, files=kept)


def record_of(step: Step, place: int) -> CeremonyRecord:
    return complete().bulletin.records[step, place]


def test_the_order_and_the_names_of_files_do_not_matter() -> None:
    files = list(complete().files.values())
    for number in range(4):
        random.Random(number).shuffle(files)
        bulletin = read_bulletin(complete().draft, {f"{place}": raw for place, raw in enumerate(files)})
        bulletin.check_complete()
        assert (bulletin.refused, bulletin.equivocations) == ([], [])
        assert bulletin.trustees == complete().bulletin.trustees


def test_a_record_that_is_there_twice_is_one_record() -> None:
    ceremony = again()
    ceremony.files |= {f"copy of {name}": raw for name, raw in ceremony.files.items()}
    ceremony.bulletin.check_complete()


@pytest.mark.parametrize("step", STEPS)
def test_two_different_records_of_a_step_end_the_ceremony_and_are_both_shown(step: Step) -> None:
    ceremony = again(STEPS.index(step) + 1)
    second = ceremony.forged(record_of(step, 2), 2)
    if step == "rehearsal":
        ceremony.files.pop("3-rehearsal")
    assert second != record_of(step, 2)
    ceremony.hand_in(second, "another")
    bulletin = ceremony.bulletin
    [found] = bulletin.equivocations
    assert (found.place, found.step) == (2, step)
    assert {encode(found.first), encode(found.second)} == {encode(second), encode(record_of(step, 2))}
    for going_on in (
        bulletin.check_going,
        bulletin.check_complete,
        lambda: next_record(bulletin, ceremony.seeds[0], 1),
        lambda: rehearse(bulletin, ceremony.seeds[0]),
    ):
        with refusing("two-records"):
            going_on()


def test_two_keys_for_one_trustee_end_the_ceremony() -> None:
    """A stranger can do that: the names of trustees prove nothing. It is found before there is a key."""
    ceremony = again(1)
    stranger = run(STEPS[:1], complete().draft, seed=37)
    ceremony.files["another"] = stranger.files["1-certificate"]
    with refusing("two-records"):
        ceremony.bulletin.check_going()


def test_who_saw_another_record_than_the_others_is_named() -> None:
    """Eko was told another key of Citra than is here: his record shows it."""
    ceremony = again(1)
    other = Ceremony(complete().draft)
    other.do("certificate")
    other.hand_in(other.forged(record_of("certificate", 1), 1))
    assert next_record(other.bulletin, other.seeds[2], 3) is not None
    other.do("coefficients", (3,))
    ceremony.files["3-coefficients"] = other.files["3-coefficients"]
    [refused] = ceremony.bulletin.refused
    assert refused.source == "3-coefficients"
    assert "Eko saw other records" in refused.error.message
    ceremony.files["shown to Eko"] = other.files["1-certificate"]
    with refusing("two-records"):
        ceremony.bulletin.check_going()


def test_a_record_of_another_draft_is_no_record() -> None:
    ceremony = Ceremony(draft_for(closes=1_800_000_001))
    ceremony.files = dict(complete().files)
    assert set(ceremony.refusals()) == {"wrong-draft"}
    assert ceremony.bulletin.records == {}
    replayed = msgspec.structs.replace(record_of("certificate", 1), draft=ceremony.draft.digest)
    ceremony.files = {"replayed": encode(replayed)}
    assert ceremony.refusals() == ["bad-trustee-record"]


@pytest.mark.parametrize("step", STEPS)
def test_a_record_at_another_place_is_no_record(step: Step) -> None:
    ceremony = again(STEPS.index(step))
    ceremony.hand_in(msgspec.structs.replace(record_of(step, 1), place=2), "moved")
    ceremony.hand_in(ceremony.forged(record_of(step, 1), 1, place=2), "signed by 1")
    ceremony.hand_in(ceremony.forged(record_of(step, 1), 1, place=4), "nobody's")
    assert len(ceremony.bulletin.refused) == 3
    assert set(ceremony.refusals()) == {"bad-trustee-record"}
    if step != "certificate":
        ceremony.files = dict(again(STEPS.index(step)).files)
        ceremony.hand_in(ceremony.forged(record_of(step, 1), 2, place=2), "content of 1")
        assert len(ceremony.bulletin.refused) == 1


def test_one_key_at_two_places_is_refused() -> None:
    ceremony = again(1)
    own = make_trustee_certificate(ceremony.seeds[0], 2, 2, 3, random.Random(38).randbytes)
    ceremony.hand_in(ceremony.forged(record_of("certificate", 2), 1, content=encode(own).decode()))
    [refused] = ceremony.bulletin.refused
    assert refused.error.message == "Citra and Dewi have the same key"


def test_a_certificate_is_for_this_threshold_and_signed() -> None:
    ceremony = again(0)
    entropy = random.Random(39).randbytes
    other = make_trustee_certificate(ceremony.seeds[0], 1, 3, 3, entropy)
    ceremony.hand_in(ceremony.forged(record_of("certificate", 1), 1, content=encode(other).decode()))
    assert ceremony.refusals() == ["bad-trustee-record"]
    first, second = (make_trustee_certificate(ceremony.seeds[0], 1, 2, 3, entropy) for _ in range(2))
    unsigned = msgspec.structs.replace(first, signature=second.signature)
    assert unsigned != first
    broken = msgspec.structs.replace(unsigned, message=unsigned.message.replace('"index":1', '"index":2'))
    for one in (broken, msgspec.structs.replace(other, message=first.message)):
        ceremony.hand_in(ceremony.forged(record_of("certificate", 1), 1, content=encode(one).decode()))
        assert len(ceremony.refusals()) == 1
    assert ceremony.refusals() == ["bad-trustee-certificate"]


def test_a_record_that_is_not_signed_by_its_trustee_is_no_equivocation() -> None:
    ceremony = again(2)
    other = ceremony.forged(record_of("coefficients", 1), 2)
    ceremony.hand_in(msgspec.structs.replace(other, place=1), "forged")
    assert ceremony.refusals() == ["bad-trustee-record"]
    ceremony.bulletin.check_going()


def test_nothing_goes_on_without_a_late_trustee_and_all_goes_on_when_it_comes() -> None:
    ceremony = again(1)
    late = ceremony.files.pop("2-certificate")
    waiting = ceremony.bulletin.waiting()
    assert waiting == ("certificate", (2,))
    with pytest.raises(Exception, match="waits for Dewi") as caught:
        ceremony.bulletin.check_complete()
    assert getattr(caught.value, "code", "") == "ceremony-incomplete"
    ceremony.files["1-coefficients"] = complete().files["1-coefficients"]
    assert ceremony.refusals() == ["too-early"], "its file came before that of the late trustee"
    ceremony.files["late"] = late
    assert ceremony.refusals() == []
    assert ceremony.bulletin.waiting() == ("coefficients", (2, 3))


def test_the_definition_cannot_be_completed_before_every_trustee_has_rehearsed() -> None:
    ceremony = again()
    ceremony.files.pop("3-rehearsal")
    with refusing("ceremony-incomplete"):
        ceremony.bulletin.check_complete()
    assert ceremony.bulletin.waiting() == ("rehearsal", (3,))
    moved = ceremony.forged(record_of("rehearsal", 1), 3, place=3)
    ceremony.hand_in(moved)
    assert ceremony.refusals() == ["bad-decryption"]


def test_a_step_that_is_not_whole_comes_to_nothing() -> None:
    bulletin = Ceremony().bulletin
    for what in (
        "certificates",
        "polynomials",
        "outputs",
        "coefficients",
        "trustees",
        "key",
        "keys",
        "rehearsal",
    ):
        with refusing("ceremony-incomplete"):
            getattr(bulletin, what)


def test_what_is_no_record_is_named_and_left_out() -> None:
    ceremony = again()
    ceremony.files |= {"empty": b"", "large": b" " * (MAX_RECORD + 1), "text": b"\xff"}
    broken = msgspec.structs.replace(record_of("key", 1), content="{}")
    ceremony.hand_in(ceremony.forged(broken, 1), "no output")
    assert {one.source for one in ceremony.bulletin.refused} == {"empty", "large", "text", "no output"}
    ceremony.bulletin.check_complete()


def test_the_hash_of_records_covers_each_in_its_place() -> None:
    first, second = record_of("certificate", 1), record_of("certificate", 2)
    assert hash_of_records([first, second]) == hash_of_records([second, first])
    assert len({hash_of_records(some) for some in ([], [first], [second], [first, second])}) == 4


def test_what_trustees_read_to_each_other_is_of_these_keys() -> None:
    """A stranger who stands between two trustees, each of whom sees other keys, is found."""
    spoken = complete().bulletin.spoken()
    assert re.fullmatch(r"[0-9]{5}( [0-9]{5}){7}", spoken)
    assert run(STEPS[:3], complete().draft).bulletin.spoken() == spoken
    assert run(STEPS[:3], complete().draft, seed=40).bulletin.spoken() != spoken


def test_the_largest_records_fit() -> None:
    names = tuple("Nama yang panjang sekali nomor " * 6 + str(number) for number in range(16))
    ceremony = run(STEPS[:2], draft_for(16, 16, trustees=names))
    longest = max(map(len, ceremony.files.values()))
    assert longest < MAX_RECORD
    assert read_record(max(ceremony.files.values(), key=len))
