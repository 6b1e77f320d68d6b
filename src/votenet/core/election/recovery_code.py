"""The code on a trustee's recovery card: the whole key of a trustee, as people can type it.

A seed is a number of 22 digits in base58, less than 129 bits. Base58 has capital and small letters, which
people confuse. So the card has the same number in 26 characters of Crockford's base32, in six groups with a
check character each.
"""

from __future__ import annotations

from typing import Final

from votenet.core.election.checked_code import CodeForm, wrong_group
from votenet.derive import BASE58

RECOVERY_FORM: Final = CodeForm("votenet/recovery/1\n", (5, 5, 5, 5, 6, 6))
SEED_LENGTH: Final = 22


def recovery_code(seed: str) -> str:
    """The code of a trustee's seed, 22 base58 characters, without hyphens."""
    if len(seed) != SEED_LENGTH:
        raise ValueError(f"a seed has {SEED_LENGTH} characters, not {len(seed)}")
    number = 0
    for character in seed:
        number = number * len(BASE58) + BASE58.index(character)
    return RECOVERY_FORM.of_number(number)


def read_recovery_code(typed: str) -> str:
    """The seed in a typed code. Blanks, hyphens and case are free; I and L are 1, O is 0.

    Raises:
        Rejected: bad-code; `details` has the first wrong group (1 to 6), or 0 where the length is wrong.
    """
    number, seed = RECOVERY_FORM.number_of(RECOVERY_FORM.read(typed)), ""
    for _ in range(SEED_LENGTH):
        number, digit = divmod(number, len(BASE58))
        seed = BASE58[digit] + seed
    if number:
        raise wrong_group(1)
    return seed
