"""Where a ceremony stands, in words for people who are no engineers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from votenet.errors import Command
from votenet.secret.ceremony.bulletin import STEPS, Bulletin, Step
from votenet.storage.ceremony_folder import record_name

STEP_WORDS: Final[dict[Step, str]] = {
    "certificate": "made a key",
    "coefficients": "sent every trustee a sealed part",
    "key": "put the parts together",
    "rehearsal": "decrypted the test tally from the card",
}


def bulletin_lines(bulletin: Bulletin, folder: Path) -> Iterator[str]:
    """What a trustee is told: who has done what, who is waited for, and what is wrong."""
    draft = bulletin.draft
    for number, step in enumerate(STEPS, start=1):
        done = [draft.name_of(record.place) for record in bulletin.of_step(step)]
        yield f"  {number}. {STEP_WORDS[step]}: {', '.join(done) or '-'}"
    for refused in bulletin.refused:
        yield f"  Not counted: {refused.source}: {refused.error.message}"
    if bulletin.equivocations:
        yield from _ended(bulletin)
        return
    if bulletin.is_whole("key"):
        yield "Read these numbers to the other trustees by telephone: if one has others, begin again."
        yield f"  {bulletin.spoken()}"
    waiting = bulletin.waiting()
    if waiting is None:
        up = Command("up", "-d", "-f", "election.toml")
        yield f"The ceremony is complete: the organiser can make the election: {up}"
        check = Command.calling("trustee status", str(folder), options=("--genesis", "genesis.json"))
        yield f"Then each trustee checks, before anybody votes, that it has their keys: {check}"
        return
    names = ", ".join(map(draft.name_of, waiting.places))
    yield f"Waiting for {names}. Each types:"
    for place in waiting.places:
        yield f"  {next_command(waiting.step, folder, draft.name_of(place))}"


def next_command(step: Step, folder: Path, name: str) -> Command:
    """What the trustee with this name types next."""
    if step == "rehearsal":
        return Command.calling("trustee rehearse", str(folder), name)
    return Command.calling("trustee join", str(folder), name)


def _ended(bulletin: Bulletin) -> Iterator[str]:
    yield "The ceremony has ended without a key:"
    for one in bulletin.equivocations:
        name = bulletin.draft.name_of(one.place)
        both = " and ".join(map(record_name, (one.first, one.second)))
        yield f"  {name} handed in two different records of one step ({STEP_WORDS[one.step]}): {both}"
    yield "Find out why, then begin again in another folder."


def bulletin_facts(bulletin: Bulletin) -> Mapping[str, Any]:
    """The same for programs."""
    waiting = bulletin.waiting()
    name_of = bulletin.draft.name_of
    return {
        "draft": bulletin.draft.digest,
        "trustees": list(bulletin.draft.trustees),
        "threshold": bulletin.draft.threshold,
        "done": {step: [one.place for one in bulletin.of_step(step)] for step in STEPS},
        "complete": waiting is None and not bulletin.equivocations,
        "spoken": bulletin.spoken() if bulletin.is_whole("key") else None,
        "step": waiting.step if waiting else None,
        "waiting_for": [name_of(place) for place in waiting.places] if waiting else [],
        "two_records": [
            {
                "trustee": name_of(one.place),
                "step": one.step,
                "records": [record_name(one.first), record_name(one.second)],
            }
            for one in bulletin.equivocations
        ],
        "refused": [
            {"file": one.source, "code": one.error.code, "message": one.error.message}
            for one in bulletin.refused
        ],
    }
