"""The corpus of archives with broken amendments: name to (code of both readers, archive and roll)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from support.amended_files import (
    VOTERS,
    WEIGHTS,
    Amended,
    AmendedFile,
    amendable,
    replaced_late,
    with_voters,
)
from support.elections import CREATED, key_of
from support.named_files import CLOSES, Batch, Json, NamedFile, named_definition, record_id

Cases = dict[str, tuple[str, Amended]]
POINTS_OF_SMALL_ORDER: Final = (
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000",
)
"""Of order 2, 8, 8, 1, 4."""
NO_POINT: Final = "02" + 62 * "0"
NOT_CANONICAL: Final = "efffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"


def only(record: Callable[[AmendedFile], Json], file: AmendedFile | None = None, **block: Any) -> Amended:
    """An archive with one block of one amendment, by default of an election with a roll."""
    made = file or with_voters()
    made.amend(record(made), **block)
    return made.with_roll() if made.definition["roll_root"] else made.without_roll()


def bad(record: Callable[[AmendedFile], Json], **block: Any) -> tuple[str, Amended]:
    return "bad-amendment", only(record, **block)


def _shapes() -> Cases:
    def broken(**members: Any) -> tuple[str, Amended]:
        """An amendment with members of another type or range, signed as it stands."""
        return "bad-record", only(lambda f: f.voter("add-voter", "di", **members))

    def without(name: str) -> Callable[[AmendedFile], Json]:
        return lambda f: {key: one for key, one in f.voter("add-voter", "di").items() if key != name}

    return {
        **{f"without-{name}": ("bad-record", only(without(name))) for name in ("closes", "reason", "weight")},
        "unknown-action": ("bad-record", only(lambda f: f.amendment("remove-voter", voter_id="bo"))),
        "action-of-no-text": ("bad-record", only(lambda f: f.amendment("cancel") | {"action": ["cancel"]})),
        "unknown-member": broken(note=""),
        "number-0": broken(number=0),
        "number-of-text": broken(number="1"),
        "number-beyond-the-last": broken(number=10_001),
        "key-in-capitals": ("bad-record", only(lambda f: _changed(f, key=key_of("di").public_hex.upper()))),
        "key-cut": ("bad-record", only(lambda f: _changed(f, key=key_of("di").public_hex[2:]))),
        "weight-0": broken(weight=0),
        "weight-too-large": broken(weight=1_000_001),
        "weight-true": broken(weight=True),
        "closes-negative": ("bad-record", only(lambda f: f.hours("extend", -1))),
        "closes-too-large": ("bad-record", only(lambda f: f.hours("extend", 2**53))),
        "reason-null": broken(reason=None),
        "reason-of-2001-letters": broken(reason="x" * 2001),
        "voter-id-empty": broken(voter_id=""),
        "voter-id-of-129-letters": broken(voter_id="x" * 129),
        "signature-cut": ("bad-record", only(lambda f: _changed(f, signature="ab" * 63))),
        "network-id-cut": broken(network_id="ab"),
    }


def _changed(file: AmendedFile, **members: Any) -> Json:
    """An amendment with members that are other ones than what was signed."""
    return file.voter("add-voter", "di") | members


def _signatures() -> Cases:
    other = NamedFile(named_definition(title="Another")).network_hex
    flipped = lambda f: _changed(f, signature="00" * 64)  # noqa: E731
    return {
        "by-a-voter": bad(lambda f: f.voter("add-voter", "di", signer=key_of("ann"))),
        "by-the-new-key-itself": bad(lambda f: f.voter("replace-key", "ann", signer=key_of("new ann"))),
        "not-signed": bad(flipped),
        "reason-changed-after-signing": bad(lambda f: _changed(f, reason="x")),
        "voter-changed-after-signing": bad(lambda f: _changed(f, voter_id="ed")),
        "key-changed-after-signing": bad(lambda f: _changed(f, key=key_of("evil").public_hex)),
        "signed-for-version-1": bad(lambda f: f.voter("add-voter", "di", domain=b"votenet/amendment/1\n")),
        "signed-as-a-vote": bad(lambda f: f.voter("add-voter", "di", domain=b"votenet/vote/2\n")),
        "of-another-network": bad(lambda f: f.voter("add-voter", "di", network_id=other)),
        "signed-for-another-network": bad(lambda f: _of_another(f)),
        "without-an-authority": bad(lambda f: f.amendment("cancel"), file=_file(authority_key=None)),
        "without-named-nodes": (
            "bad-amendment",
            only(
                lambda f: f.amendment("cancel"),
                AmendedFile(amendable(count=0, closes=None)),
                miner=lambda _: None,
            ),
        ),
    }


def _of_another(file: AmendedFile) -> Json:
    """Replayed from another election of the same authority."""
    other = AmendedFile(amendable(VOTERS, title="Another"))
    return other.voter("add-voter", "di") | {"network_id": file.network_hex}


def _file(**fields: Any) -> AmendedFile:
    return AmendedFile(amendable(**fields))


def _members() -> Cases:
    key, hour = key_of("di").public_hex, CLOSES + 60
    cases: dict[str, Json] = {
        "extend-without-closes": {"action": "extend"},
        "extend-with-a-voter": {"action": "extend", "closes": hour, "voter_id": "ann"},
        "close-without-closes": {"action": "close"},
        "close-with-a-key": {"action": "close", "closes": CLOSES - 60, "key": key},
        "cancel-with-closes": {"action": "cancel", "closes": hour},
        "cancel-with-a-voter": {"action": "cancel", "voter_id": "ann"},
        "added-without-a-key": {"action": "add-voter", "voter_id": "di", "weight": 1},
        "added-without-a-voter": {"action": "add-voter", "key": key, "weight": 1},
        "added-without-a-weight": {"action": "add-voter", "key": key, "voter_id": "di"},
        "added-with-closes": {
            "action": "add-voter",
            "closes": hour,
            "key": key,
            "voter_id": "di",
            "weight": 1,
        },
        "replaced-with-a-weight": {"action": "replace-key", "key": key, "voter_id": "ann", "weight": 1},
        "replaced-without-a-key": {"action": "replace-key", "voter_id": "ann"},
    }
    made = {name: bad(lambda f, given=given: f.amendment(**given)) for name, given in cases.items()}
    texts = {
        "reason-on-two-lines": {"reason": "a\nb"},
        "reason-with-a-control-character": {"reason": "a\x1b[2J"},
        "reason-written-backwards": {"reason": "a\u202eb"},
        "reason-that-ends-with-a-space": {"reason": "a "},
        "voter-id-that-begins-with-a-space": {"voter_id": " di"},
        "voter-id-with-a-zero-width-space": {"voter_id": "d\u200bi"},
    }
    return made | {
        name: bad(lambda f, given=given: f.voter("add-voter", "di", **given)) for name, given in texts.items()
    }


def _numbers() -> Cases:
    file, again, gap, twins, swapped = (with_voters() for _ in range(5))
    first = file.voter("add-voter", "di")
    again.amend(first).amend(again.voter("add-voter", "ed", number=1))
    gap.amend(first).amend(gap.voter("add-voter", "ed", number=3))
    twins.amend(first, twins.voter("add-voter", "ed", number=1))
    swapped.amend(swapped.voter("add-voter", "ed", number=2)).amend(
        swapped.voter("add-voter", "di", number=1)
    )
    return {
        "number-2-first": bad(lambda f: f.voter("add-voter", "di", number=2)),
        "number-1-again": ("bad-amendment", again.with_roll()),
        "replayed": ("bad-amendment", with_voters().amend(first).cast().amend(first).with_roll()),
        "number-3-after-1": ("bad-amendment", gap.with_roll()),
        "two-of-one-number-in-a-block": ("bad-amendment", twins.with_roll()),
        "numbers-the-other-way-round": ("bad-amendment", swapped.with_roll()),
        "not-in-block-order": ("bad-order", _disordered().with_roll()),
    }


def _disordered() -> AmendedFile:
    file = with_voters()
    records = [file.voter("add-voter", "di"), file.voter("add-voter", "ed", number=2)]
    file.block(Batch((), sorted(records, key=record_id, reverse=True)), ordered=False)
    return file


def _rolls() -> Cases:
    def after(*steps: Callable[[AmendedFile], object], bare: bool = False) -> tuple[str, Amended]:
        """The archive of these blocks, one after the other; `bare`: without its roll."""
        file = with_voters()
        for step in steps:
            step(file)
        return "bad-amendment", file.without_roll() if bare else file.with_roll()

    def add(voter: str, key: str = "") -> Callable[[AmendedFile], object]:
        return lambda f: f.amend(f.voter("add-voter", voter, key))

    def replace(voter: str, key: str = "") -> Callable[[AmendedFile], object]:
        return lambda f: f.amend(f.voter("replace-key", voter, key))

    def vote(voter: str) -> Callable[[AmendedFile], object]:
        return lambda f: f.cast(f.keyed_vote(voter, voter))

    full = AmendedFile(amendable(VOTERS, roll_size=2**53 - 1))
    full.amend(full.voter("add-voter", "di"))
    points = {"none": NO_POINT, "not-canonical": NOT_CANONICAL, "of-order-2": POINTS_OF_SMALL_ORDER[0]}
    return {
        "added-where-everybody-may-vote": bad(lambda f: f.voter("add-voter", "di"), file=_file()),
        "added-who-is-on-the-roll": after(add("ann")),
        "added-twice": after(add("di"), add("di", "another")),
        "added-twice-without-the-roll": after(add("di"), add("di", "another"), bare=True),
        "added-twice-in-a-block": after(
            lambda f: f.amend(f.voter("add-voter", "di"), f.voter("add-voter", "di", "another", number=2))
        ),
        "added-with-a-key-of-the-roll": after(add("di", "bo")),
        "added-with-an-added-key": after(add("di"), add("ed", "new di")),
        "added-with-an-added-key-without-the-roll": after(add("di"), add("ed", "new di"), bare=True),
        "added-with-a-key-of-before": after(replace("ann"), add("di", "ann")),
        "added-with-a-replaced-new-key": after(
            replace("ann"), replace("ann", "newer ann"), add("di", "new ann")
        ),
        "added-with-a-weight": bad(lambda f: f.voter("add-voter", "di", weight=2)),
        "added-to-a-full-roll": ("bad-amendment", full.without_roll()),
        "replaced-of-a-stranger": after(replace("di")),
        "replaced-of-a-voter-who-has-voted": after(vote("ann"), replace("ann")),
        "replaced-of-a-voter-who-has-voted-without-the-roll": after(vote("ann"), replace("ann"), bare=True),
        "replaced-of-a-voter-who-votes-in-the-block": after(
            lambda f: f.amend(f.voter("replace-key", "ann"), votes=[f.keyed_vote("ann", "ann")])
        ),
        "replaced-by-the-same-key": after(replace("ann", "ann")),
        "replaced-by-the-key-of-another": after(replace("ann", "bo")),
        "replaced-and-back": after(replace("ann"), replace("ann", "ann")),
        "replaced-where-everybody-may-vote": bad(lambda f: f.voter("replace-key", "di"), file=_file()),
        **{
            f"key-{name}": bad(lambda f, key=key: f.amendment("replace-key", key=key, voter_id="ann"))
            for name, key in points.items()
        },
    }


def _votes() -> Cases:
    early, other, old, before, heavy = (with_voters() for _ in range(5))
    early.amend(early.voter("add-voter", "di"), votes=[early.keyed_vote("di")])
    other.amend(other.voter("add-voter", "di")).cast(other.keyed_vote("di", "another"))
    old.amend(old.voter("replace-key", "ann")).cast(old.keyed_vote("ann", "ann"))
    before.cast(before.keyed_vote("ann")).amend(before.voter("replace-key", "ann"))
    heavy = with_voters(WEIGHTS)
    heavy.amend(heavy.voter("add-voter", "di", weight=9))
    late, held = replaced_late(with_voters())
    counted, dropped, forged = (_replaced_then_closed(held) for _ in range(3))
    vote = dropped.keyed_vote("bo", "bo")
    return {
        "vote-before-its-voter": ("not-on-roll", early.with_roll()),
        "vote-of-an-added-voter-by-another-key": ("wrong-key", other.with_roll()),
        "vote-of-an-added-voter-by-another-key-without-the-roll": ("wrong-key", other.without_roll()),
        "vote-by-the-key-of-before": ("wrong-key", old.with_roll()),
        "vote-by-the-key-of-before-without-the-roll": ("wrong-key", old.without_roll()),
        "vote-before-its-key": ("wrong-key", before.with_roll()),
        "weights-without-the-roll": ("roll-missing", heavy.without_roll()),
        "late-vote-by-the-key-of-before-counted": ("bad-late-votes", counted.end([late]).with_roll()),
        "late-vote-by-the-key-in-force-left-out": (
            "bad-late-votes",
            _replaced_then_closed([[record_id(vote)], [record_id(vote)], [], []])
            .end(not_counted=[vote])
            .with_roll(),
        ),
        "late-vote-by-the-key-of-before-missing": ("bad-late-votes", dropped.end([vote]).with_roll()),
        "late-vote-by-the-key-of-before-not-signed": ("bad-signature", _forged(late).with_roll()),
        "late-vote-of-a-stranger-left-out": ("bad-late-votes", forged.end(not_counted=[vote]).with_roll()),
    }


def _replaced_then_closed(held: list[list[bytes]]) -> AmendedFile:
    file = with_voters()
    return file.amend(file.voter("replace-key", "ann")).close(held)


def _forged(late: Json) -> AmendedFile:
    vote = late | {"signature": "00" * 64}
    return _replaced_then_closed([[record_id(vote)], [record_id(vote)], [], []]).end(not_counted=[vote])


def _hours() -> Cases:
    def hours(action: str, hour: int, time: int = CREATED + 5, **fields: Any) -> tuple[str, Amended]:
        return bad(lambda f: f.hours(action, hour), file=_file(**fields), time=time)

    stale, moved = AmendedFile(), AmendedFile()
    stale.amend(stale.hours("extend", CLOSES + 600))
    stale.closes = CLOSES
    moved.amend(moved.hours("close", CLOSES - 500)).amend(
        moved.hours("extend", CLOSES), time=CLOSES - 500 - 59
    )
    return {
        "extended-where-it-never-closes": hours("extend", CLOSES, closes=None),
        "extended-to-the-same-hour": hours("extend", CLOSES),
        "extended-to-an-earlier-hour": hours("extend", CLOSES - 1),
        "closed-at-the-same-hour": hours("close", CLOSES),
        "closed-later": hours("close", CLOSES + 1),
        "closed-before-the-opening": hours("close", CREATED + 500, opens=CREATED + 500),
        "extended-59-seconds-before": hours("extend", CLOSES + 600, CLOSES - 59),
        "extended-after-the-hour": hours("extend", CLOSES + 600, CLOSES + 5),
        "closed-59-seconds-ahead": hours("close", CREATED + 100, CREATED + 41),
        "closed-in-the-past": hours("close", CREATED + 50, CREATED + 60),
        "closed-in-the-past-where-it-never-closed": hours("close", CREATED + 50, CREATED + 60, closes=None),
        "closed-59-seconds-before-the-old-hour": hours("close", CLOSES - 1, CLOSES - 59),
        "extended-59-seconds-before-the-hour-in-force": ("bad-amendment", moved.without_roll()),
        "lists-of-the-hour-of-before": ("bad-closing", stale.close().without_roll()),
    }


def _ends() -> Cases:
    def cancelled() -> AmendedFile:
        file = AmendedFile()
        return file.amend(file.amendment("cancel"))

    both, closing, behind, over = AmendedFile(), AmendedFile(), AmendedFile(), AmendedFile()
    both.amend(both.amendment("cancel"), both.hours("extend", CLOSES + 600, number=2))
    lists = [closing.closing_list(node, []) for node in range(4)]
    closing.amend(closing.amendment("cancel"), *lists, time=CLOSES + 40)
    vote = behind.vote("v")
    held = [[record_id(vote)], [record_id(vote)], [], []]
    behind.close(held).amend(behind.hours("extend", CLOSES + 900), votes=[vote])
    over.close().amend(over.amendment("cancel"))
    one, two, three = cancelled(), cancelled(), cancelled()
    return {
        "block-behind-a-cancel": ("cancelled", one.cast().without_roll()),
        "vote-behind-a-cancel": ("cancelled", two.cast(two.vote("v")).without_roll()),
        "amendment-behind-a-cancel": (
            "cancelled",
            three.amend(three.hours("extend", CLOSES + 600)).without_roll(),
        ),
        "closing-behind-a-cancel": ("cancelled", cancelled().close().without_roll()),
        "extended-behind-a-cancel-in-a-block": ("bad-amendment", both.without_roll()),
        "in-the-closing-block": ("bad-amendment", closing.without_roll()),
        "among-the-late-votes": ("bad-amendment", behind.without_roll()),
        "behind-the-end": ("closed", over.without_roll()),
        "totals-of-another-count": ("wrong-totals", Amended(cancelled().pack(votes=1))),
    }


@cache
def broken_amendments() -> Cases:
    """Name of the fault to (code, archive)."""
    return {
        **_shapes(),
        **_signatures(),
        **_members(),
        **_numbers(),
        **_rolls(),
        **_votes(),
        **_hours(),
        **_ends(),
    }
