"""Files of ranked ballots in the formats of other programs: `.blt` (OpaVote, OpenSTV) and PrefLib's.

Both give candidates numbers, and one line to equal ballots.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from votenet.ballots.paper import MAX_PAPERS, Paper, Rank
from votenet.ballots.table import bad_file, trimmed

MAX_NUMBERED: Final = 1_000
"""Candidates of one file."""
_ALTERNATIVE: Final = re.compile(r"# *ALTERNATIVE NAME ([0-9]{1,4}): *(.*)\Z")
_ORDER: Final = re.compile(r"([0-9]{1,9}) *: *([0-9,{} ]*)\Z")


@dataclass(frozen=True, slots=True)
class PreferenceFile:
    """What a file holds. `withdrawn` names stand on ballots and get no vote."""

    kind: str
    names: tuple[str, ...]
    withdrawn: frozenset[str]
    papers: tuple[Paper, ...]
    title: str = ""


def read_blt(text: str) -> PreferenceFile:
    """The content of a `.blt` file. Raises ConfigError: bad-ballot-file."""
    lines = _lines(text)
    number, line = next(lines, (1, ""))
    head = _whole_numbers(line, number)
    if len(head) != 2 or not 1 <= head[1] <= head[0] <= MAX_NUMBERED:
        raise bad_file("a .blt file begins with the numbers of candidates and of seats", number, 1)
    candidates, withdrawn, papers = head[0], set[int](), list[tuple[int, int, list[list[int]]]]()
    for number, line in lines:
        if line == "0":
            break
        if re.fullmatch(r"(-[0-9]+ *)+", line) and not papers:
            withdrawn |= {_candidate(word[1:], candidates, number, 1) for word in line.split()}
            continue
        papers.append(_blt_paper(line, number, candidates))
    else:
        raise bad_file("the line 0 after the ballots is missing", number)
    words = [(number, word) for number, line in lines for word in _quoted(line, number)]
    if len(words) not in (candidates, candidates + 1):
        raise bad_file(f"{candidates} names and a title should follow, not {len(words)}", number)
    names = tuple(trimmed(word) for _, word in words)
    title = names[candidates] if len(names) > candidates else ""
    gone = frozenset(names[one - 1] for one in withdrawn)
    return _made("blt", names[:candidates], gone, papers, title)


def read_preflib(text: str) -> PreferenceFile:
    """The content of a `.soi`, `.toi`, `.soc` or `.toc` file. Raises ConfigError: bad-ballot-file."""
    names, papers, said = dict[int, str](), list[tuple[int, int, list[list[int]]]](), None
    number = 0
    for number, line in _lines(text, comments=False):
        if line.startswith("#"):
            if found := _ALTERNATIVE.match(line):
                names[int(found[1])] = trimmed(found[2])
            elif found := re.match(r"# *NUMBER VOTERS: *([0-9]{1,9})\Z", line):
                said = int(found[1])
            continue
        found = _ORDER.match(line)
        if found is None:
            raise bad_file("a line of ballots is COUNT: 1,2,{3,4}", number, 1)
        papers.append((number, int(found[1]), _order(found[2], number, len(names))))
    if sorted(names) != list(range(1, len(names) + 1)) or len(names) > MAX_NUMBERED:
        raise bad_file("the names of the candidates are not numbered from 1 on", 1, 1)
    total = sum(count for _, count, _ in papers)
    if said not in (None, total):
        raise bad_file(f"the file says that it has {said:,} ballots, and has {total:,}", number)
    return _made("preflib", tuple(names[one + 1] for one in range(len(names))), frozenset(), papers)


def _made(
    kind: str,
    names: tuple[str, ...],
    withdrawn: frozenset[str],
    papers: list[tuple[int, int, list[list[int]]]],
    title: str = "",
) -> PreferenceFile:
    if not all(names) or len(set(names)) != len(names):
        raise bad_file("two candidates have the same name, or one has none", 1, 1)
    total = sum(count for _, count, _ in papers)
    if not 1 <= total <= MAX_PAPERS:
        raise bad_file(
            f"{total:,} ballots: there should be 1 to {MAX_PAPERS:,}", papers[-1][0] if papers else 1
        )
    made = (
        Paper(
            line,
            (tuple(Rank(at, tuple(names[one - 1] for one in rank)) for at, rank in enumerate(ranks, 2)),),
            count=count,
        )
        for line, count, ranks in papers
    )
    return PreferenceFile(kind, names, withdrawn, tuple(made), title)


def _lines(text: str, *, comments: bool = True) -> Iterator[tuple[int, str]]:
    """Numbered lines with content, without comments outside quotes."""
    for number, line in enumerate(text.split("\n"), start=1):
        if comments and not re.match(r'\s*"', line):
            line = line.partition("#")[0]
        if line.strip():
            yield number, line.strip()


def _whole_numbers(line: str, number: int) -> list[int]:
    if not re.fullmatch(r"[0-9]{1,9}([ \t]+[0-9]{1,9})*", line):
        raise bad_file("whole numbers should stand here", number, 1)
    return [int(word) for word in line.split()]


def _blt_paper(line: str, number: int, candidates: int) -> tuple[int, int, list[list[int]]]:
    """Line, count and ranks of `COUNT 2 1=3 - 4 0`; an id in brackets before it is passed over."""
    words = re.sub(r"\A\([^)]*\)\s*", "", line).split()
    if len(words) < 2 or words[-1] != "0" or not re.fullmatch("[0-9]{1,9}", words[0]) or not int(words[0]):
        raise bad_file("a line of ballots is a count, numbers of candidates, and 0", number, 1)
    ranks = [
        [] if word == "-" else [_candidate(one, candidates, number, column) for one in word.split("=")]
        for column, word in enumerate(words[1:-1], start=2)
    ]
    return number, int(words[0]), ranks


def _order(text: str, number: int, candidates: int) -> list[list[int]]:
    """The ranks in `1,{2,3},4`."""
    text = text.replace(" ", "")
    if text and not re.fullmatch(r"([0-9]+|\{[0-9]*(,[0-9]+)*\})(,([0-9]+|\{[0-9]*(,[0-9]+)*\}))*", text):
        raise bad_file(f"{text!r} is no order of candidates", number, 2)
    ranks = re.findall(r"\{[^}]*\}|[0-9]+", text)
    return [
        [_candidate(one, candidates, number, column) for one in re.findall("[0-9]+", rank)]
        for column, rank in enumerate(ranks, start=2)
    ]


def _candidate(word: str, candidates: int, line: int, column: int) -> int:
    if not re.fullmatch("[0-9]{1,4}", word) or not 1 <= int(word) <= candidates:
        raise bad_file(f"{word!r} is the number of no candidate", line, column)
    return int(word)


def _quoted(line: str, number: int) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise bad_file(f"this name does not end: {error}", number, 1) from error
