"""Archives of elections whose authority amends them, good ones, built from docs/audit.md alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from support.elections import CREATED, key_of
from support.named_files import CLOSES, Batch, Json, NamedFile, closing_of, named_definition, record_id
from votenet.core.election.roll import Roll
from votenet.core.encoding import canonical
from votenet.core.keys import SigningKey

AUTHORITY: Final = key_of("the authority")
VOTERS: Final = {"ann": 1, "bo": 1, "cy": 1}
WEIGHTS: Final = {"ann": 5, "bo": 3, "cy": 1}
NULLS: Final = {"closes": None, "key": None, "reason": "", "voter_id": None, "weight": None}


class Amended(NamedTuple):
    """An archive, and the roll that goes with it."""

    data: bytes
    roll: Roll | None = None


def roll_of(voters: Mapping[str, int]) -> Roll:
    """Each voter, by id with a weight, has the key of that name."""
    return Roll([(voter, key_of(voter).public_hex, weight) for voter, weight in voters.items()])


def amendable(voters: Mapping[str, int] | None = None, count: int = 5, **fields: Any) -> Json:
    """The definition of an election with an authority; with a roll of these voters."""
    given: Json = {"authority_key": AUTHORITY.public_hex}
    if voters is not None:
        roll = roll_of(voters)
        given |= {"registration": "roll", "roll_root": roll.root_hex, "roll_size": len(voters)}
        given["weighted"] = set(voters.values()) != {1}
    return named_definition(count, **given | fields)


class AmendedFile(NamedFile):
    """A file whose authority signs what it is told, right or wrong."""

    def __init__(self, definition: Json | None = None) -> None:
        super().__init__(definition or amendable())
        self.amendments: list[Json] = []

    def amendment(
        self,
        action: str,
        *,
        signer: SigningKey = AUTHORITY,
        domain: bytes = b"votenet/amendment/2\n",
        **members: Any,
    ) -> Json:
        """The next amendment, signed with `members` in it."""
        unsigned = {
            **NULLS,
            "action": action,
            "network_id": self.network_hex,
            "number": len(self.amendments) + 1,
            **members,
        }
        signature = signer.sign(domain + canonical(unsigned)).hex()
        return {**unsigned, "kind": "amendment", "signature": signature}

    def voter(self, action: str, voter: str, key: str = "", **members: Any) -> Json:
        """The amendment that gives a voter the key of the name `key`, by default of "new <voter>"."""
        if action == "add-voter":
            members = {"weight": 1} | members
        given = {"key": key_of(key or f"new {voter}").public_hex, "voter_id": voter}
        return self.amendment(action, **given | members)

    def hours(self, action: str, closes: int, **members: Any) -> Json:
        return self.amendment(action, closes=closes, **members)

    def keyed_vote(self, voter: str, key: str = "", choice: str = "Alice") -> Json:
        """A vote with the key of the name `key`, by default of "new <voter>"."""
        signer = key_of(key or f"new {voter}")
        unsigned = {
            "choices": [[choice]] * len(self.definition["contests"]),
            "network_id": self.network_hex,
            "time": CREATED + 2,
            "voter_id": voter,
            "voter_key": signer.public_hex,
        }
        return {**unsigned, "signature": signer.sign(b"votenet/vote/2\n" + canonical(unsigned)).hex()}

    def amend(self, *records: Json, votes: Iterable[Json] = (), **block: Any) -> AmendedFile:
        """A block with these amendments."""
        self.block(Batch(list(votes), records), **block)
        for record in records:
            self.amendments.append(record)
            if isinstance(record.get("closes"), int):
                self.closes = record["closes"]
        return self

    def cast(self, *votes: Json, **block: Any) -> AmendedFile:
        """A block with these votes."""
        self.block(Batch(votes), **block)
        return self

    def close(self, held: list[list[bytes]] | None = None, **list_members: Any) -> AmendedFile:
        """The closing block, with the lists of nodes 0 to 3: `held` are the ids of each, by default none."""
        own = held or [[], [], [], []]
        lists = [self.closing_list(node, ids, **list_members) for node, ids in enumerate(own)]
        self.block(Batch((), lists, closing_of(own)), time=max(self.tip.time, self.closes + 40))
        return self

    def end(self, votes: Iterable[Json] = (), not_counted: Iterable[Json] = ()) -> AmendedFile:
        """The block of late votes behind the closing block."""
        self.block(Batch(list(votes), [{"kind": "not-counted", "vote": vote} for vote in not_counted]))
        return self

    def with_roll(self, voters: Mapping[str, int] = VOTERS) -> Amended:
        return Amended(self.pack(), roll_of(voters))

    def without_roll(self) -> Amended:
        return Amended(self.pack())


def with_voters(voters: Mapping[str, int] = VOTERS, **fields: Any) -> AmendedFile:
    """A file of an election with a roll, with no block yet."""
    return AmendedFile(amendable(voters, **fields))


def replaced_late(file: AmendedFile, voter: str = "ann") -> tuple[Json, list[list[bytes]]]:
    """A vote with the key of before the replacement, and the lists of nodes that still hold it."""
    vote = file.keyed_vote(voter, voter)
    one = [record_id(vote)]
    return vote, [one, one, [], []]


@cache
def good_amended() -> dict[str, Amended]:
    """Archives that hold, by what is special about them."""
    late, held = replaced_late(with_voters())
    roll = with_voters()
    added = roll.amend(roll.voter("add-voter", "di")).cast(roll.keyed_vote("di"), roll.keyed_vote("bo", "bo"))
    return {
        **_good_hours(),
        **_good_rolls(),
        "added-voter": added.with_roll(),
        "added-voter-without-the-roll": added.without_roll(),
        "late-vote-with-a-replaced-key": _late(late, held).with_roll(),
        "late-vote-with-a-replaced-key-without-the-roll": _late(late, held).without_roll(),
    }


def _late(late: Json, held: list[list[bytes]]) -> AmendedFile:
    """Two nodes had listed a vote before they knew that its key was replaced: it does not count."""
    file = with_voters()
    file.amend(file.voter("replace-key", "ann")).cast(file.keyed_vote("ann"))
    return file.close(held).end(not_counted=[late])


def _good_rolls() -> dict[str, Amended]:
    one, two, three, heavy = with_voters(), with_voters(), with_voters(), with_voters(WEIGHTS)
    one.amend(one.voter("replace-key", "ann", reason="card lost")).cast(one.keyed_vote("ann"))
    first, second = two.voter("add-voter", "di"), two.voter("replace-key", "di", "newer di", number=2)
    two.amend(second, first, votes=[two.keyed_vote("bo", "bo")]).cast(two.keyed_vote("di", "newer di"))
    three.cast(three.keyed_vote("bo", "bo"))
    three.amend(three.voter("replace-key", "cy")).amend(three.voter("replace-key", "cy", "newer cy"))
    heavy.amend(heavy.voter("add-voter", "di", weight=1_000_000)).amend(heavy.voter("replace-key", "bo"))
    heavy.cast(heavy.keyed_vote("di", choice="Bob"), heavy.keyed_vote("bo"), heavy.keyed_vote("ann", "ann"))
    stranger = with_voters()
    stranger.amend(stranger.voter("replace-key", "somebody"))
    return {
        "replaced-key": one.with_roll(),
        "added-and-replaced-in-one-block": two.with_roll(),
        "replaced-twice": three.with_roll(),
        "weights": heavy.with_roll(WEIGHTS),
        "replaced-key-of-a-stranger-without-the-roll": stranger.without_roll(),
    }


def _good_hours() -> dict[str, Amended]:
    later, sooner, never, twice = (AmendedFile() for _ in range(4))
    never = AmendedFile(amendable(closes=None))
    later.amend(later.hours("extend", CLOSES + 600), time=CLOSES - 60).cast(later.vote("v")).close()
    sooner.amend(sooner.hours("close", CREATED + 100), time=CREATED + 40).cast(sooner.vote("v")).close()
    never.amend(never.hours("close", CREATED + 100)).close()
    records = [twice.hours("close", CLOSES - 300), twice.hours("extend", CLOSES + 9, number=2)]
    twice.amend(*records, votes=[twice.vote("v")], time=CREATED + 9).close()
    gone = AmendedFile().cast(AmendedFile().vote("v"))
    gone.amend(gone.amendment("cancel", reason="the hall burnt down"), votes=[gone.vote("w")])
    last = AmendedFile()
    return {
        "extended": later.without_roll(),
        "closed-sooner": sooner.without_roll(),
        "closed-where-it-never-closed": never.without_roll(),
        "closed-and-extended-in-one-block": twice.without_roll(),
        "cancelled": gone.without_roll(),
        "cancelled-without-certificate": Amended(gone.pack("")),
        "a-reason-of-2000-letters": last.amend(last.amendment("cancel", reason="é" * 2000)).without_roll(),
    }
