"""Writes files and numbers that the third verifier must judge as the product and the second verifier do.

    PYTHONPATH=tests .venv/bin/python -m web.make_corpus FOLDER  # files and vectors
    PYTHONPATH=tests .venv/bin/python -m web.make_corpus --votes FILE  # are these votes ours?
    PYTHONPATH=tests .venv/bin/python -m web.make_corpus --ballots FILE  # do these secret ballots hold?

`cases.json` in the folder lists, for each file, what is checked, with which other files, and the code of the
first fault (empty if it holds); `secret-cases.json` does so for elections with secret ballots. The program
stops where the product and the second verifier differ.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from votenet.core.keys import SigningKey
from votenet.core.ledger.vote import sign_vote
from web import corpus_files as files
from web.corpus_changes import amendment_cases, random_cases
from web.corpus_files import NOW, Case, product_says, second_says, verifier
from web.corpus_secret import check_ballots, secret_vectors
from web.corpus_secret_files import more_secret_cases
from web.corpus_vectors import VECTORS

RANDOM = 300
"""Random changes of each kind."""


def all_cases(scratch: Path) -> Iterator[Case]:
    for source in (
        *(files.first_cases, files.roll_cases, files.limit_cases, files.meeting_cases),
        *(files.named_cases, files.note_cases, files.amended_cases),
    ):
        yield from source()
    yield from random_cases(RANDOM)
    yield from amendment_cases(RANDOM // 5, scratch)


def write_cases(folder: Path, name: str, cases: Callable[[Path], Iterable[Case]]) -> int:
    """The list of this name, and its files; returns how many cases there are."""
    names: dict[bytes, str] = {}

    def kept(data: bytes | None) -> str | None:
        if data is None:
            return None
        digest = hashlib.sha256(data).digest()
        if digest not in names:
            names[digest] = f"{name}-{len(names)}.bin"
            (folder / names[digest]).write_bytes(data)
        return names[digest]

    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for case in cases(Path(scratch)):
            code, report = second_says(case, Path(scratch))
            if case.product:
                ours = product_says(case, Path(scratch))
                if ours != code:
                    raise SystemExit(f"{case.name}: the product says {ours!r}, the verifier {code!r}")
            kept_files = {"data": kept(case.data), "roll": kept(case.roll), "archive": kept(case.archive)}
            found.append(
                {"name": case.name, "check": case.check, "file": case.file, "code": code, "report": report}
                | kept_files
            )
    (folder / f"{name}.json").write_text(json.dumps({"now": NOW, "cases": found}))
    return len(found)


def check_votes(path: Path) -> int:
    """Signs each vote again; returns how many records are the same, byte for byte."""
    votes = json.loads(path.read_text())
    for number, made in enumerate(votes):
        key = SigningKey(bytes.fromhex(made["seed"]))
        fields = {name: made[name] for name in ("voter_id", "choices", "time")}
        ours = sign_vote(key, network_hex=made["network"], **fields)
        if (ours.record.decode(), ours.id.hex()) != (made["record"], made["id"]):
            raise SystemExit(f"vote {number} is another one here:\n{ours.record.decode()}\n{made['record']}")
        verifier.check_signature(json.loads(made["record"]))
    return len(votes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="where the files go")
    parser.add_argument("--votes", type=Path, help="votes that the other side signed")
    parser.add_argument("--ballots", type=Path, help="secret ballots that the other side made")
    options = parser.parse_args()
    if options.votes is not None:
        print(f"{check_votes(options.votes)} votes are the same")
        return
    if options.ballots is not None:
        print(check_ballots(options.ballots))
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, make in VECTORS.items():
        (options.folder / f"{name}.json").write_text(json.dumps(make()))
    (options.folder / "secret.json").write_text(json.dumps(secret_vectors()))
    count = write_cases(options.folder, "cases", all_cases)
    secret = write_cases(
        options.folder, "secret-cases", lambda _: (*files.secret_cases(), *more_secret_cases())
    )
    print(f"{count} files in {options.folder}, and {secret} of secret elections")


if __name__ == "__main__":
    main()
