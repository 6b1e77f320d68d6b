"""The report as one JSON document for programs: stable members, all times in UTC (ISO 8601)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from votenet.cli.report import phrases
from votenet.cli.report.phrases import CheckStep
from votenet.core.election.ballot_text import threshold_text
from votenet.core.methods.method import ContestResult, Round
from votenet.core.records.election_report import ContestFacts, ElectionReport

REPORT_FORMAT: Final = "votenet-report"
REPORT_VERSION: Final = 1


def json_report(report: ElectionReport, checks: Sequence[CheckStep], made_at: int) -> dict[str, Any]:
    """The document; all members are always there."""
    definition = report.definition
    return {
        "format": REPORT_FORMAT,
        "version": REPORT_VERSION,
        "made": utc(made_at),
        "final": report.final,
        "undecided_because": report.undecided,
        "cancelled": report.cancelled,
        "cancelled_at": utc(report.cancelled_at),
        "counts_shown": not report.hidden,
        "source": report.source,
        "election": {
            "title": definition.title,
            "organiser": definition.organiser,
            "language": definition.language,
            "network_id": report.network_id,
            "time_zone": definition.time_zone,
            "created": utc(definition.created),
            "opens": utc(definition.opens),
            "closes": utc(report.closes),
            "closes_before_amendments": utc(definition.closes),
            "registration": definition.registration,
            "registered": report.registered,
            "by_card": report.by_card,
            "weighted": definition.weighted,
            "roll_weight": report.roll_weight,
        },
        "amendments": [
            {
                "number": one.number,
                "action": one.action,
                "closes": utc(one.closes),
                "voter_id": one.voter_id,
                "key": one.key,
                "weight": one.weight,
                "reason": one.reason,
            }
            for one in report.amendments
        ],
        "votes": report.votes,
        "height": report.height,
        "tip": report.tip,
        "contests": [_contest(facts, report.final) for facts in report.contests],
        "not_counted": [{"id": one.id, "lists": one.lists, "why": one.why} for one in report.not_counted],
        "signatures": {
            "named": report.named,
            "quorum": report.quorum,
            "log_size": report.log_size,
            "signed_by": [{"name": name, "time": utc(at)} for name, at in report.signed_by],
            "witnesses": list(report.cosigned_by),
        },
        "checks": [step._asdict() for step in checks],
    }


def utc(seconds: int | None) -> str | None:
    """`2027-05-31T08:00:00Z`; the number alone where no calendar has it."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def _contest(facts: ContestFacts, final: bool) -> dict[str, Any]:
    contest, count = facts.definition, facts.count
    outcome = ContestResult(state="undecided") if count is None else count.outcome
    return {
        "id": contest.id,
        "title": contest.title,
        "description": contest.description,
        "method": contest.method,
        "method_in_words": phrases.method_text(contest),
        "seats": contest.seats,
        "needed": threshold_text(contest),
        "candidates": [candidate.name for candidate in contest.candidates],
        "ballots": None if count is None else count.votes,
        "blank": None if count is None or count.blank_weighed else count.blank,
        "blank_weight": count.blank if count is not None and count.blank_weighed else None,
        "weight": None if count is None else count.weight,
        "counts": [] if count is None else [{"candidate": name, "votes": n} for name, n in count.counts],
        "decision": _decision(outcome.state, final),
        "winners": list(outcome.winners) if final else [],
        "ahead": [] if final else list(outcome.winners),
        "tied": list(outcome.tied),
        "lots": [{"candidate": name, "lot": lot} for name, lot in facts.lots],
        "quota": outcome.quota,
        "conditions": msgspec.to_builtins(outcome.conditions),
        "rounds": [_round(one, final) for one in outcome.rounds],
        "rounds_left_out": outcome.rounds_left_out if facts.has_rounds else None,
        "matrix": [{"candidate": name, "preferred": list(row)} for name, row in outcome.matrix],
    }


def _decision(state: str, final: bool) -> str:
    """The state of a final result; `open` before that, and `undecided` without votes."""
    return state if final or state == "undecided" else "open"


def _round(one: Round, final: bool) -> dict[str, Any]:
    return {
        "number": one.number,
        "counts": [{"candidate": name, "votes": votes} for name, votes in one.counts],
        "exhausted": one.exhausted,
        "elected": list(one.elected) if final else [],
        "would_be_elected": [] if final else list(one.elected),
        "surplus": one.surplus,
        "eliminated": list(one.eliminated),
        "tied": list(one.tied),
        "tie_break": one.tie_break,
    }
