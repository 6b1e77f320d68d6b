"""The draft: what trustees agree on before they make a key."""

from __future__ import annotations

import pytest

from support.ceremonies import draft_for
from support.secret_elections import refusing
from votenet.secret.ceremony.draft import check_draft, cost_of_loss, read_draft
from votenet.secret.documents import encode


def test_a_draft_is_read_as_it_was_written() -> None:
    draft = draft_for()
    assert read_draft(encode(draft)) == draft
    assert read_draft(encode(draft)).digest == draft.digest
    with refusing("not-canonical"):
        read_draft(encode(draft) + b"\n")


@pytest.mark.parametrize(
    "changed",
    [
        {"closes": 1_800_000_001},
        {"opens": 1},
        {"contests": "11" * 32},
        {"uuid": "2" * 14},
        {"threshold": 3},
        {"trustees": ("Citra", "Eko", "Dewi")},
    ],
)
def test_every_member_is_in_the_hash(changed: dict[str, object]) -> None:
    assert draft_for(**changed).digest != draft_for().digest  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [
        {"threshold": 1},
        {"threshold": 4},
        {"trustees": ("Citra",)},
        {"trustees": ("Citra", "Citra", "Eko")},
        {"trustees": ("Citra", " ", "Eko")},
        {"trustees": tuple(f"T{number}" for number in range(17))},
        {"questions": ()},
    ],
)
def test_a_draft_that_contradicts_itself_is_refused(changed: dict[str, object]) -> None:
    with refusing("bad-draft"):
        check_draft(draft_for(**changed))  # type: ignore[arg-type]
    with refusing("bad-draft"):
        read_draft(encode(draft_for(**changed)))  # type: ignore[arg-type]


def test_a_trustee_has_a_place() -> None:
    draft = draft_for()
    assert [draft.place_of(name) for name in draft.trustees] == [1, 2, 3]
    assert draft.name_of(3) == "Eko"
    with refusing("bad-draft"):
        draft.place_of("Fajar")


def test_what_a_lost_key_costs_is_said() -> None:
    assert cost_of_loss(2, 3).endswith("the votes can be counted if one trustee loses both cards.")
    assert "if 2 trustees lose both cards" in cost_of_loss(3, 5)
    assert cost_of_loss(3, 3).startswith("All 3 trustees are needed")
