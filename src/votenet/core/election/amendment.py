"""Amendments: changes of an election that its authority signs; they stand in blocks and hold after these.

The chain numbers them 1, 2, 3 and so on. `Election.amended` is the election in force behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Final, Literal

import msgspec

from votenet.core.election.definition import Election
from votenet.core.encoding import DOMAIN_AMENDMENT, Hex32, Hex64, Unsigned, VoterId, canonical
from votenet.core.faults import fault
from votenet.core.keys import SigningKey, is_public_key, verify
from votenet.core.limits import MAX_AMENDMENTS, MAX_SAFE_INTEGER, MAX_STATEMENT, MAX_WEIGHT
from votenet.core.text import text_fault
from votenet.errors import NotProven, Rejected
from votenet.secret.credentials import MAX_TOTAL_WEIGHT
from votenet.secret.group import Point

NOTICE_SECONDS: Final = 60
"""An amendment of the hours is in a block so long before the closing time in force, and before its own."""

Action = Literal["add-voter", "replace-key", "extend", "close", "cancel"]

_ROLL_ACTIONS: Final = ("add-voter", "replace-key")
_HOUR_ACTIONS: Final = ("extend", "close")


class Amendment(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="amendment"
):
    """A signed change; members that its action does not need are null.

    `credential`, the public one of the voter, stands only in changes of the roll of a secret election.

    `closes` in Unix seconds; `key`: the public key of the voter, in hexadecimal; `reason`: for people.
    """

    action: Action
    closes: Unsigned | None
    credential: Hex32 | msgspec.UnsetType = msgspec.UNSET
    key: Hex32 | None
    network_id: Hex32
    number: Annotated[int, msgspec.Meta(ge=1, le=MAX_AMENDMENTS)]
    reason: Annotated[str, msgspec.Meta(max_length=MAX_STATEMENT)]
    signature: Hex64
    voter_id: VoterId | None
    weight: Annotated[int, msgspec.Meta(ge=1, le=MAX_WEIGHT)] | None


Amendments = Annotated[tuple[Amendment, ...], msgspec.Meta(max_length=MAX_AMENDMENTS)]
"""All of a chain, in the order of their numbers."""


def sign_amendment(
    authority: SigningKey,
    *,
    network_hex: str,
    number: int,
    action: Action,
    closes: int | None = None,
    credential: str | None = None,
    key: str | None = None,
    voter_id: str | None = None,
    weight: int | None = None,
    reason: str = "",
) -> Amendment:
    """The amendment with the authority's signature; its rules are not checked here.

    Args:
        key: the public key of the voter, in hexadecimal.
        credential: the public one of the voter, as Belenios writes it, where ballots are secret.
    """
    unsigned = Amendment(
        action=action,
        closes=closes,
        credential=msgspec.UNSET if credential is None else credential,
        key=key,
        network_id=network_hex,
        number=number,
        reason=reason,
        signature="",
        voter_id=voter_id,
        weight=weight,
    )
    signature = authority.sign(_signed_bytes(unsigned))
    return msgspec.structs.replace(unsigned, signature=signature.hex())


def _signed_bytes(amendment: Amendment) -> bytes:
    members = msgspec.structs.asdict(amendment)
    del members["signature"]
    if amendment.credential is msgspec.UNSET:
        del members["credential"]
    return DOMAIN_AMENDMENT + canonical(members)


# -- what holds without a chain --------------------------------------------------------------------


def check_signed(amendment: Amendment, election: Election) -> None:
    """Check all that follows from the amendment and the definition: form, network, signature.

    Raises:
        Rejected: bad-amendment.
    """
    definition = election.definition
    if not election.named:
        raise bad_amendment("an election without named nodes has no amendments")
    if definition.authority_key is None:
        raise bad_amendment("this election has no authority that may change it")
    if amendment.network_id != election.network_hex:
        raise bad_amendment("it belongs to another election")
    if wrong := _form_fault(amendment):
        raise bad_amendment(wrong)
    if wrong := _credential_fault(amendment, election):
        raise bad_amendment(wrong)
    if amendment.action in _ROLL_ACTIONS and definition.registration != "roll":
        raise bad_amendment("this election has no roll")
    if amendment.action == "add-voter" and amendment.weight != 1 and not definition.weighted:
        raise bad_amendment("in this election each voter weighs 1")
    if not verify(
        bytes.fromhex(definition.authority_key), _signed_bytes(amendment), bytes.fromhex(amendment.signature)
    ):
        raise bad_amendment("it is not signed by the authority of this election")


def _form_fault(amendment: Amendment) -> str:
    """Why its members do not fit its action; empty if they do."""
    action = amendment.action
    wanted = {
        "closes": action in _HOUR_ACTIONS,
        "key": action in _ROLL_ACTIONS,
        "voter_id": action in _ROLL_ACTIONS,
        "weight": action == "add-voter",
    }
    for member, needed in wanted.items():
        if (getattr(amendment, member) is not None) != needed:
            return f"{action} {'needs' if needed else 'has no'} {member}"
    if wrong := text_fault(amendment.reason):
        return f"its reason has {wrong}"
    if amendment.key is not None and not is_public_key(amendment.key):
        return "its key is no Ed25519 public key"
    if amendment.voter_id is not None and (wrong := text_fault(amendment.voter_id)):
        return f"its voter id has {wrong}"
    return ""


def _credential_fault(amendment: Amendment, election: Election) -> str:
    """Why its credential does not fit its action; empty if it does."""
    wanted = election.secret is not None and amendment.action in _ROLL_ACTIONS
    if amendment.credential is msgspec.UNSET:
        return f"{amendment.action} needs a credential: ballots are secret" if wanted else ""
    if not wanted:
        return "it has a credential, which only changes of the roll of a secret election have"
    try:
        Point.parse(amendment.credential)
    except NotProven:
        return "its credential is no member of the group"
    return ""


# -- what holds at its place on a chain ------------------------------------------------------------


def check_amendment(
    amendment: Amendment,
    election: Election,
    *,
    time: int | None = None,
    has_voted: Callable[[str], bool] = lambda voter_id: False,
) -> None:
    """Check every rule about the amendment that would hold next.

    Args:
        election: the election in force before it.
        time: of its block's header, in Unix seconds; None where no chain is at hand.
        has_voted: whether a voter has a vote in its block, or in a block before.

    Raises:
        Rejected: bad-amendment.
    """
    check_signed(amendment, election)
    check_in_place(amendment, election, time=time, has_voted=has_voted)


def check_in_place(
    amendment: Amendment, election: Election, *, time: int | None, has_voted: Callable[[str], bool]
) -> None:
    """`check_amendment` of one that `check_signed` has passed. Raises Rejected bad-amendment."""
    if election.cancelled:
        raise bad_amendment("the election was cancelled before")
    if amendment.number != election.next_number:
        raise bad_amendment(f"its number is {amendment.number}, the next one is {election.next_number}")
    if amendment.action in _ROLL_ACTIONS:
        _check_roll(amendment, election, has_voted)
    elif amendment.action in _HOUR_ACTIONS:
        _check_closes(amendment, election, time)


def _check_roll(amendment: Amendment, election: Election, has_voted: Callable[[str], bool]) -> None:
    voter_id, key = amendment.voter_id, amendment.key
    assert voter_id is not None
    assert key is not None
    if amendment.action == "add-voter":
        if election.is_on_roll(voter_id):
            raise bad_amendment(f"{voter_id!r} is on the roll")
        weight = (election.roll_weight or 0) + (amendment.weight or 0)
        if weight > MAX_SAFE_INTEGER:
            raise bad_amendment("the weights of the roll would add up to more than 2^53")
        if election.secret is not None and weight > MAX_TOTAL_WEIGHT:
            raise bad_amendment("the weights of the roll would add up to more than secret ballots allow")
    else:
        if election.registered is not None and voter_id not in election.registered:
            raise bad_amendment(f"{voter_id!r} is not on the roll")
        if has_voted(voter_id):
            raise bad_amendment(f"{voter_id!r} has voted")
    if election.was_on_roll(key):
        raise bad_amendment("its key is, or was, that of a voter on the roll")
    if amendment.credential and election.had_credential(amendment.credential):
        raise bad_amendment("its credential is, or was, that of a voter on the roll")


def _check_closes(amendment: Amendment, election: Election, time: int | None) -> None:
    old, new, opens = election.closes, amendment.closes, election.definition.opens
    assert new is not None
    if amendment.action == "extend":
        if old is None:
            raise bad_amendment("the election has no closing time to extend")
        if new <= old:
            raise bad_amendment(
                "it does not extend the hours: the closing time in force is as late, or later"
            )
    elif old is not None and new >= old:
        raise bad_amendment("the closing time in force is as early, or earlier")
    if opens is not None and new <= opens:
        raise bad_amendment("the election would close before it opens")
    for limit, which in ((old, "the closing time in force"), (new, "its closing time")):
        if time is not None and limit is not None and time + NOTICE_SECONDS > limit:
            raise bad_amendment(f"it comes less than {NOTICE_SECONDS} seconds before {which}")


def amend(
    election: Election,
    amendments: Iterable[Amendment],
    *,
    time: int | None = None,
    has_voted: Callable[[str], bool] = lambda voter_id: False,
) -> Election:
    """The election in force behind these amendments, each checked behind those with smaller numbers.

    The arguments are those of `check_amendment`.

    Raises:
        Rejected: bad-amendment.
    """
    for amendment in sorted(amendments, key=lambda one: one.number):
        check_amendment(amendment, election, time=time, has_voted=has_voted)
        election = election.amended([amendment])
    return election


def with_amendments(election: Election, amendments: Sequence[Amendment]) -> Election:
    """The election in force behind the amendments that a file carries, as far as they can be judged there.

    Raises:
        NotProven: bad-amendment; cancelled.
    """
    try:
        for number, one in enumerate(amendments, start=1):
            if one.number != number:
                raise bad_amendment(f"its number is {one.number}, and it is the {number}. in the file")
        found = amend(election, amendments)
    except Rejected as error:
        raise fault(error.code, error.message) from error
    if found.cancelled:
        raise fault("cancelled", "the election was cancelled")
    return found


def bad_amendment(what: str) -> Rejected:
    return Rejected("bad-amendment", f"the amendment is refused: {what}")
