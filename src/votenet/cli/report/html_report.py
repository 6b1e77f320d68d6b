"""The report as one HTML page for the screen, the phone and the printer: no scripts, nothing from outside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from votenet import __version__
from votenet.cli import ui
from votenet.cli.html import html_text, page_begin, page_end
from votenet.cli.report import phrases
from votenet.cli.report.phrases import CheckStep
from votenet.core.election.ballot_text import threshold_text
from votenet.core.election.contest import ContestReport
from votenet.core.election.outcome_text import decision, round_text, tie_breaks, votes_text
from votenet.core.methods.method import ContestResult, Round
from votenet.core.records.election_report import ContestFacts, ElectionReport

ROUNDS_SIDE_BY_SIDE: Final = 5
"""Rounds in one table: as many as a page and a phone have room for."""
MATRIX_CANDIDATES: Final = 12
"""Candidates whose comparisons are shown."""
STYLE: Final = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 52rem; padding: 1.5rem 1rem 3rem; background: #fff; color: #000;
  font: 1rem/1.5 Georgia, "Liberation Serif", "DejaVu Serif", serif; overflow-wrap: anywhere; }
h1, h2, h3, th, .state, dt { font-family: system-ui, "Liberation Sans", "DejaVu Sans", sans-serif; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.35rem; margin: 2.2rem 0 .6rem; border-bottom: 2px solid #000; padding-bottom: .2rem; }
h3 { font-size: 1.05rem; margin: 1.4rem 0 .4rem; }
p { margin: .4rem 0; }
.organiser { margin: 0 0 1rem; font-size: 1.1rem; }
.state { margin: 1rem 0; padding: .7rem 1rem; border: 3px solid #000; }
.state strong { display: block; font-size: 1.7rem; line-height: 1.2; text-transform: uppercase;
  letter-spacing: .06em; }
.final { border-width: 1px; }
.final strong { font-size: 1.15rem; letter-spacing: .03em; }
dl { display: grid; grid-template-columns: minmax(7rem, 12rem) 1fr; gap: .25rem 1rem; margin: .6rem 0; }
dt { font-weight: 600; font-size: .92rem; }
dd { margin: 0; }
.decision { margin: .8rem 0; padding: .5rem .8rem; border-left: 6px solid #000; font-size: 1.15rem;
  font-weight: bold; }
.scroll { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: bold; padding: .2rem 0; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #999; text-align: right; vertical-align: top; }
th { font-size: .88rem; }
thead th { border-bottom: 2px solid #000; vertical-align: bottom; }
tbody th { font-weight: 600; }
th, td { overflow-wrap: normal; white-space: nowrap; }
.first, .text { text-align: left; overflow-wrap: anywhere; white-space: normal; }
thead .first, thead .text { overflow-wrap: normal; }
.text { min-width: 6rem; }
tbody .first { min-width: 3.5rem; }
.bar { width: 30%; min-width: 5rem; }
.bar span { display: block; height: .8em; margin-top: .35em; background: #444; min-width: 1px;
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
code { font: .85em/1.5 "Liberation Mono", "DejaVu Sans Mono", monospace; }
.command { display: block; padding: .35rem .6rem; border: 1px solid #999; white-space: pre-wrap; }
ol, ul { padding-left: 1.4rem; margin: .4rem 0; }
li { margin: .25rem 0; }
.plain { list-style: none; padding: 0; }
.hand { display: grid; grid-template-columns: 1fr 1fr; gap: 3.2rem 2rem; margin-top: 4rem; }
.hand div { border-top: 1px solid #000; padding-top: .2rem; font-size: .9rem; }
footer { margin-top: 2rem; font-size: .85rem; }
@media (max-width: 34rem) {
  body { padding: 1rem .8rem 2rem; }
  h1 { font-size: 1.6rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; }
  th, td { padding: .3rem .35rem; }
  .bar { display: none; }
}
@media print {
  @page { size: A4; margin: 18mm 16mm; }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  h2, h3, caption { break-after: avoid; }
  .contest, .plain { break-inside: avoid; }
  .decision, dl, tr, li, .state, .hand { break-inside: avoid; }
  thead { display: table-header-group; }
  .scroll { overflow: visible; }
  .command { border-color: #000; }
}
"""
"""Black on white; on paper a contest that fits a page is not torn apart."""


def html_report(report: ElectionReport, checks: Sequence[CheckStep], made_at: int) -> Iterator[str]:
    """The lines of the page. `made_at`: Unix seconds."""
    title = html_text(report.definition.title)
    state = "result" if report.final else "cancelled" if report.cancelled else "provisional count"
    yield from page_begin("en", f"{title}: {state}", STYLE, for_phones=True)
    yield from _head(report)
    yield "<main>"
    yield from _summary(report)
    yield from _election(report)
    yield from _amendments(report)
    for facts in report.contests:
        yield from _contest(report, facts)
    yield from _not_counted(report)
    yield from _signatures(report)
    yield from _checks(checks)
    yield "</main>"
    yield from _foot(report, made_at)
    yield from page_end()


# -- small parts -----------------------------------------------------------------------------------


def _own(report: ElectionReport, text: str, tag: str = "span", attributes: str = "") -> str:
    """Text in the language of the election, in whatever direction it is written."""
    lang = escape(report.definition.language)
    return f'<{tag} lang="{lang}" dir="auto"{attributes}>{html_text(text)}</{tag}>'


def _lines(report: ElectionReport, text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield _own(report, line, "p")


def _fields(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A list of names and values; the values are HTML."""
    yield "<dl>"
    for name, value in pairs:
        yield f"<dt>{name}</dt><dd>{value}</dd>"
    yield "</dl>"


def _table(
    caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], *, text_columns: int = 1
) -> Iterator[str]:
    """A table whose cells are HTML; the first cell of a row is its heading.

    Args:
        text_columns: how many columns hold text; the others hold numbers.
    """
    kinds = [' class="first"', *[' class="text"'] * (text_columns - 1)]
    kinds += [""] * (len(heads) - len(kinds))
    yield f'<div class="scroll" role="region" tabindex="0" aria-label="{caption}"><table>'
    yield f"<caption>{caption}</caption>"
    cells = "".join(f'<th scope="col"{kind}>{head}</th>' for kind, head in zip(kinds, heads, strict=True))
    yield f"<thead><tr>{cells}</tr></thead>"
    yield "<tbody>"
    for first, *rest in rows:
        cells = "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds[1:], rest, strict=True))
        yield f'<tr><th scope="row"{kinds[0]}>{first}</th>{cells}</tr>'
    yield "</tbody></table></div>"


def _share(votes: int, of: int) -> str:
    return f"{votes / of:.1%}" if of else "-"


# -- the parts of the page -------------------------------------------------------------------------


def _head(report: ElectionReport) -> Iterator[str]:
    yield "<header>"
    yield _own(report, report.definition.title, "h1")
    if report.definition.organiser:
        yield _own(report, report.definition.organiser, "p", ' class="organiser"')
    if report.final:
        yield '<div class="state final"><strong>Final result</strong>'
        yield f"<p>Voting is over. {escape(phrases.signatures(report))}</p></div>"
    elif report.cancelled:
        yield '<div class="state" role="note"><strong>Cancelled</strong>'
        yield f'<p dir="auto">{html_text(phrases.cancelled(report))}</p></div>'
    else:
        yield '<div class="state" role="note"><strong>Provisional</strong>'
        yield f"<p>Nothing is decided: {escape(report.undecided)}.</p></div>"
    yield "</header>"


def _summary(report: ElectionReport) -> Iterator[str]:
    yield "<section><h2>In short</h2>"
    if report.hidden:
        yield f"<p>{escape(phrases.no_counts(report))}</p>"
    pairs = [("Turnout", escape(phrases.turnout(report)))]
    for facts in report.contests:
        if facts.count is not None:
            said = html_text(decision(facts.count.outcome, report.final, facts.count.votes))
            pairs.append((_own(report, facts.definition.title), f"<bdi>{said}</bdi>"))
    yield from _fields(pairs)
    yield "</section>"


def _election(report: ElectionReport) -> Iterator[str]:
    definition = report.definition

    def hour(seconds: int | None, without: str) -> str:
        return escape(without if seconds is None else phrases.when(seconds, definition))

    yield "<section><h2>The election</h2>"
    yield from _fields(
        [
            ("Opens", hour(definition.opens, "at once")),
            ("Closes", hour(report.closes, "no closing time") + _other_hour(report)),
            ("Who could vote", escape(phrases.who_may_vote(report))),
            *(("Keys of the voters", escape(said)) for said in phrases.who_has_the_keys(report)),
            ("Set up", hour(definition.created, "")),
            ("Votes", f"{report.votes:,} in {ui.count_of(report.height, 'block')}"),
            ("Network id", f"<code>{report.network_id}</code>"),
            ("Last block", f"<code>{escape(report.tip)}</code>"),
        ]
    )
    yield f"<p>{escape(phrases.whose_word(report))}</p>"
    yield "</section>"


def _other_hour(report: ElectionReport) -> str:
    """The closing time of the definition, where an amendment set another one."""
    first = report.definition.closes
    if first == report.closes:
        return ""
    before = "without" if first is None else phrases.when(first, report.definition)
    return escape(f"; before amendments: {before}")


def _amendments(report: ElectionReport) -> Iterator[str]:
    if not report.amendments:
        return
    yield "<section><h2>Amendments</h2>"
    rows = [
        [str(number), html_text(what), f"<bdi>{html_text(reason)}</bdi>"]
        for number, what, reason in phrases.amendments(report)
    ]
    heads = ["Number", "Change", "Reason"]
    yield from _table("Changes that the authority signed", heads, rows, text_columns=3)
    yield "</section>"


def _contest(report: ElectionReport, facts: ContestFacts) -> Iterator[str]:
    contest, count = facts.definition, facts.count
    yield '<section class="contest">'
    yield _own(report, contest.title, "h2")
    yield from _lines(report, contest.description)
    if count is None:
        yield from _fields([("Method", escape(phrases.method_text(contest)))])
        yield f"<p>{escape(phrases.no_counts(report))}</p></section>"
        return
    decided = html_text(decision(count.outcome, report.final, count.votes))
    yield f'<p class="decision" dir="auto">{decided}</p>'
    pairs = [
        ("Method", f"{escape(phrases.method_text(contest))} <code>({contest.method})</code>"),
        (
            "Ballots",
            f"{count.votes:,}" + ("" if count.blank_weighed else f", of these {count.blank:,} blank"),
        ),
    ]
    if report.definition.weighted:
        blank = f", {count.blank:,} of it blank" if count.blank_weighed else ""
        pairs.append(("Weight of the ballots", f"{count.weight:,}{blank}"))
    if needed := threshold_text(contest):
        pairs.append(("Needed", escape(needed)))
    if count.outcome.quota:
        pairs.append(("Quota", f"{int(count.outcome.quota):,}"))
    for one in count.outcome.conditions:
        met = "met" if one.met else "not met"
        pairs.append((one.name.capitalize(), f"{met}: {one.got:,} of {one.needed:,} needed"))
    yield from _fields(pairs)
    yield from _counts(report, facts, count)
    yield from _rounds(report, facts, count.outcome)
    yield from _matrix(count.outcome)
    yield from _ties(facts, count.outcome)
    yield "</section>"


def _counts(report: ElectionReport, facts: ContestFacts, count: ContestReport) -> Iterator[str]:
    ranked = facts.definition.method in ("instant-runoff", "stv", "schulze")
    votes = "Weight" if report.definition.weighted else "Votes"
    rows = []
    for name, number in count.counts:
        width = f"{100 * number / count.weight:.1f}" if count.weight else "0"
        bar = f'<span style="width:{width}%"></span>'
        rows.append([f"<bdi>{html_text(name)}</bdi>", f"{number:,}", _share(number, count.weight), bar])
    heads = [
        "Option" if facts.definition.method == "motion" else "Candidate",
        votes,
        "Share of ballots",
        '<span aria-hidden="true"></span>',
    ]
    lines = _table("First choices" if ranked else "Count", heads, rows)
    yield from (line.replace("<td><span style", '<td class="bar"><span style') for line in lines)


def _rounds(report: ElectionReport, facts: ContestFacts, outcome: ContestResult) -> Iterator[str]:
    if not outcome.rounds:
        if not facts.has_rounds and facts.definition.method in ("instant-runoff", "stv"):
            yield "<p>The rounds are not in a final result file: make the report from the archive.</p>"
        return
    yield "<h3>Rounds</h3>"
    if outcome.rounds_left_out:
        yield f"<p>{outcome.rounds_left_out:,} earlier rounds are too large to be listed.</p>"
    order = list(dict.fromkeys(name for one in outcome.rounds for name, _ in one.counts))
    for start in range(0, len(outcome.rounds), ROUNDS_SIDE_BY_SIDE):
        yield from _some_rounds(outcome.rounds[start : start + ROUNDS_SIDE_BY_SIDE], order)
    yield '<ul class="plain">'
    for one in outcome.rounds:
        yield f"<li>After round {one.number}: <bdi>{html_text(round_text(one, report.final))}</bdi>.</li>"
    yield "</ul>"


def _some_rounds(rounds: Sequence[Round], order: Sequence[str]) -> Iterator[str]:
    """A column for each round, a row for each candidate who is in one of them."""
    columns = [dict(one.counts) for one in rounds]
    first, last = rounds[0].number, rounds[-1].number
    caption = f"Round {first}" if first == last else f"Rounds {first} to {last}"
    rows = [
        [
            f"<bdi>{html_text(name)}</bdi>",
            *(votes_text(column[name]) if name in column else "–" for column in columns),
        ]
        for name in order
        if any(name in column for column in columns)
    ]
    rows.append(["Exhausted", *(votes_text(one.exhausted) for one in rounds)])
    yield from _table(caption, ["Candidate", *(f"Round {one.number}" for one in rounds)], rows)


def _matrix(outcome: ContestResult) -> Iterator[str]:
    if not outcome.matrix:
        return
    if len(outcome.matrix) > MATRIX_CANDIDATES:
        yield f"<p>The comparisons of all {len(outcome.matrix)} candidates are in the JSON form.</p>"
        return
    names = [f"<bdi>{html_text(name)}</bdi>" for name, _ in outcome.matrix]
    rows = [
        [name, *("" if other == place else f"{votes:,}" for other, votes in enumerate(row))]
        for place, (name, (_, row)) in enumerate(zip(names, outcome.matrix, strict=True))
    ]
    yield from _table("Ballots that prefer the row to the column", ["Preferred", *names], rows)


def _ties(facts: ContestFacts, outcome: ContestResult) -> Iterator[str]:
    told = list(tie_breaks(outcome))
    if not told and not facts.lots:
        return
    yield "<h3>Ties and lots</h3>"
    if told:
        yield "<ul>"
        for line in told:
            yield f"<li>{html_text(line)}</li>"
        yield "</ul>"
    if facts.lots:
        yield (
            "<p>The lots follow from the definition of the election: they were known before the first vote,"
            " and they never change. Of tied candidates the smallest lot leaves.</p>"
        )
        rows = [[f"<bdi>{html_text(name)}</bdi>", f"<code>{lot}</code>"] for name, lot in facts.lots]
        yield from _table("Lots", ["Candidate", "Lot"], rows, text_columns=2)


def _not_counted(report: ElectionReport) -> Iterator[str]:
    if not report.final:
        return
    yield "<section><h2>Not counted</h2>"
    if not report.not_counted:
        yield "<p>The closing lists of the named nodes name no vote that is not counted.</p></section>"
        return
    rows = [[f"<code>{one.id}</code>", escape(one.why)] for one in report.not_counted]
    yield from _table(
        "Votes that were accepted and are not counted", ["Vote id", "Why"], rows, text_columns=2
    )
    yield "</section>"


def _signatures(report: ElectionReport) -> Iterator[str]:
    yield "<section><h2>Who signed</h2>"
    yield f"<p>{escape(phrases.signatures(report))}</p>"
    if report.signed_by:
        rows = [
            [f"<bdi>{html_text(name)}</bdi>", escape(phrases.when(at, report.definition))]
            for name, at in report.signed_by
        ]
        yield from _table("Signatures", ["Named node", "Signed"], rows, text_columns=2)
    if report.cosigned_by:
        names = ", ".join(f"<bdi>{html_text(name)}</bdi>" for name in report.cosigned_by)
        yield f"<p>Cosigned by these witnesses: {names}.</p>"
    yield "</section>"


def _checks(checks: Sequence[CheckStep]) -> Iterator[str]:
    yield "<section><h2>How to check this report</h2>"
    yield "<p>Anybody who has the archive of the election can count it again, today or years later:</p>"
    yield "<ol>"
    for step in checks:
        yield f'<li>{escape(step.what)} <code class="command">{html_text(step.command)}</code></li>'
    yield "</ol>"
    yield (
        "<p>Compare the network id with the one that the organisers published before the election. Both"
        " programs must show the votes, the last block and the counts of this report.</p></section>"
    )


def _foot(report: ElectionReport, made_at: int) -> Iterator[str]:
    if report.final:
        yield '<div class="hand"><div>Place and date</div><div>Secretary</div>'
        yield "<div>Chair of the meeting</div><div>Teller</div></div>"
    made = escape(phrases.when(made_at, report.definition))
    yield f"<footer>Made {made} with votenet {escape(__version__)}.</footer>"
