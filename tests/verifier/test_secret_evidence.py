"""Both readers on the evidence that a node accepted a secret ballot and left it out."""

from __future__ import annotations

from pathlib import Path

from web.corpus_files import product_says, second_says
from web.corpus_secret_files import evidence_cases, order_cases

CODES = {
    "good": "",
    "spaced": "bad-evidence",
    "of-another": "bad-evidence",
}
"""Of the evidence with the archive; without it both ask for that before they look at a proof."""


def test_the_proofs_of_the_ballot_are_looked_at_last(tmp_path: Path) -> None:
    found = {
        case.name.removeprefix("secret/evidence/"): (
            product_says(case, tmp_path),
            second_says(case, tmp_path)[0],
        )
        for case in evidence_cases()
    }
    expected = {name: (code, code) for name, code in CODES.items()}
    expected |= {f"{name}-alone": ("needs-archive", "needs-archive") for name in CODES}
    assert found == expected


def test_of_two_faults_both_tell_the_same(tmp_path: Path) -> None:
    found = [(product_says(case, tmp_path), second_says(case, tmp_path)[0]) for case in order_cases()]
    codes = ("bad-signature", "bad-decryption", "bad-point")
    assert found == [(code, code) for code in codes]
