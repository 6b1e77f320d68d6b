"""Canonical JSON against RFC 8785, written here a second time; hexadecimal fields; domains."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from votenet.core import encoding
from votenet.core.encoding import Hex32, Hex64, Unsigned, canonical, domain_hash
from votenet.core.limits import MAX_SAFE_INTEGER

SHORT_ESCAPES = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def rfc8785_string(text: str) -> str:
    """RFC 8785, section 3.2.2.2."""
    out = []
    for char in text:
        if char in SHORT_ESCAPES:
            out.append(SHORT_ESCAPES[char])
        elif ord(char) < 0x20:
            out.append(f"\\u{ord(char):04x}")
        else:
            out.append(char)
    return '"' + "".join(out) + '"'


def rfc8785(value: object) -> str:
    """RFC 8785 for JSON without fractions, from its text and without a JSON library."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return rfc8785_string(value)
    if isinstance(value, list):
        return "[" + ",".join(rfc8785(item) for item in value) + "]"
    assert isinstance(value, dict)
    # Section 3.2.3: by UTF-16 code units, as unsigned numbers.
    members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
    return "{" + ",".join(f"{rfc8785_string(name)}:{rfc8785(item)}" for name, item in members) + "}"


any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
# Names in U+E000 to U+FFFF would sort differently beside ones above U+FFFF; votenet's are ASCII.
names = st.text(st.characters(max_codepoint=0xD7FF), max_size=8)
integers = st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
documents = st.recursive(
    st.none() | st.booleans() | integers | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


@given(documents)
@settings(max_examples=150)
def test_canonical_is_rfc_8785(value: object) -> None:
    assert canonical(value) == rfc8785(value).encode()


@pytest.mark.parametrize("first", range(0, 0x110000, 0x2000))
def test_every_character_is_written_as_rfc_8785_says(first: int) -> None:
    text = "".join(chr(n) for n in range(first, first + 0x2000) if not 0xD800 <= n < 0xE000)
    assert canonical(text) == rfc8785_string(text).encode()


def test_the_rfcs_own_string_example() -> None:
    # RFC 8785, section 3.2.2: the member "string" and its canonical form.
    example = "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/"
    assert canonical(example) == b'"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'


def test_the_rfcs_own_order_of_names() -> None:
    # RFC 8785, section 3.2.3, without the emoji: see `names`.
    example = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    values = list(msgspec.json.decode(canonical(example), type=dict[str, str]).values())
    assert values == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Hebrew Letter Dalet With Dagesh",
    ]


def test_members_of_a_record_are_sorted_for_any_order_in_the_class() -> None:
    class Record(msgspec.Struct):
        b: int
        a: str
        aa: tuple[int, ...]

    assert canonical(Record(1, "x", (2, 1))) == b'{"a":"x","aa":[2,1],"b":1}'


def test_a_lone_surrogate_has_no_canonical_form() -> None:
    with pytest.raises(UnicodeEncodeError):
        canonical("\udc80")


HEX_FIELDS = [(Hex32, 64), (Hex64, 128)]


@pytest.mark.parametrize(("field", "digits"), HEX_FIELDS)
def test_a_hexadecimal_field_takes_lower_case_digits(field: type[str], digits: int) -> None:
    text = ("0123456789abcdef" * 8)[:digits]
    assert msgspec.convert(text, field) == text


@pytest.mark.parametrize(("field", "digits"), HEX_FIELDS)
@pytest.mark.parametrize("change", ["upper", "short", "long", "newline", "space", "letter", "digit"])
def test_a_hexadecimal_field_takes_nothing_else(field: type[str], digits: int, change: str) -> None:
    text = "a" * digits
    wrong = {
        "upper": "A" + text[1:],
        "short": text[1:],
        "long": text + "a",
        "newline": text + "\n",
        "space": " " + text[1:],
        "letter": "g" + text[1:],
        "digit": "\uff11" + text[1:],  # a digit to Unicode, not to us
    }[change]
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, field)


@pytest.mark.parametrize("value", [-1, MAX_SAFE_INTEGER + 1, 1.0, "1", True])
def test_an_unsigned_is_an_integer_that_every_reader_keeps(value: object) -> None:
    assert msgspec.json.decode(str(MAX_SAFE_INTEGER), type=Unsigned) == 2**53 - 1
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(value), type=Unsigned)


def test_a_domain_separates_kinds() -> None:
    assert domain_hash(b"a\n", b"{}") == hashlib.sha256(b"a\n{}").digest()
    domains = [value for name, value in vars(encoding).items() if name.startswith("DOMAIN_")]
    assert len(domains) == len(set(domains)) >= 5
    for domain in domains:
        # Ended by a newline, which no canonical JSON begins with: none is a prefix of another's input.
        assert domain.startswith(b"votenet/")
        assert domain.endswith(b"\n")
        assert domain.count(b"\n") == 1
