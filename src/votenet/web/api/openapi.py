"""The OpenAPI document of the API: every route, its parameters, its answers, its refusals."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from votenet import __version__
from votenet.core.election.amendment import Amendment
from votenet.core.election.contest import ContestReport
from votenet.core.election.definition import ElectionDefinition
from votenet.core.ledger.vote import Vote
from votenet.core.limits import MAX_VOTER_ID
from votenet.core.records.final_result import FinalResult
from votenet.core.records.receipt import Receipt
from votenet.web.api.casting import VoteTaken
from votenet.web.api.chain import MAX_ROWS, MAX_SEARCH, ROWS, BlockPage, BlockSummary, Found
from votenet.web.api.lookups import WhereVoteIs
from votenet.web.api.requests import MAX_NUMBER
from votenet.web.snapshot import NodeView

Schema = dict[str, Any]
JSON: Final = "application/json"
TEXT_TYPE: Final = "text/plain; charset=utf-8"
BYTES: Final = "application/octet-stream"
HASH: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
STRINGS: Final[Schema] = {"type": "array", "items": {"type": "string"}}
ANY_TEXT: Final[Schema] = {"type": "string"}
TILE: Final[Schema] = {"type": "string", "examples": ["0/000.p/1", "entries/000.p/1"]}
YES_NO: Final[Schema] = {"type": "boolean"}


class Parameter(NamedTuple):
    name: str
    schema: Schema
    meaning: str
    required: bool = False
    place: str = "query"


class Operation(NamedTuple):
    """A route. `answer`: schema of its answer; `codes`: what it refuses, by HTTP status."""

    path: str
    summary: str
    answer: Schema
    parameters: tuple[Parameter, ...] = ()
    codes: Mapping[int, Sequence[str]] = {}
    media_type: str = JSON
    body: Schema | None = None


def ref(kind: type) -> Schema:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def listed(kind: type) -> Schema:
    return {"type": "array", "items": ref(kind)}


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def an_object(**members: Schema) -> Schema:
    """An object with all of these members; later versions may have more."""
    return {"type": "object", "properties": members, "required": list(members)}


STRUCTS: Final[Sequence[type]] = (
    *(VoteTaken, WhereVoteIs, BlockPage, BlockSummary, Found, NodeView, Vote, Amendment, ElectionDefinition),
    *(ContestReport, Receipt, FinalResult),
)
TIME: Final = or_null(COUNT)
STATE: Final[Schema] = {"type": "string", "enum": ["before", "open", "closed", "final", "cancelled"]}
VOTER: Final = Parameter(
    "voter",
    {"type": "string", "minLength": 1, "maxLength": MAX_VOTER_ID, "examples": ["voter-1"]},
    "The voter id.",
    required=True,
)
ERROR: Final = an_object(
    error={
        "type": "object",
        "properties": {
            "code": {"type": "string", "pattern": "^[a-z-]+$"},
            "message": ANY_TEXT,
            "next": ANY_TEXT,
            "details": {"type": "object"},
        },
        "required": ["code", "message", "next"],
    }
)
BAD_VOTES: Final = (
    *("bad-json", "bad-vote", "bad-choices", "unknown-candidate", "bad-signature", "network-mismatch"),
    *("vote-too-large", "vote-from-future"),
)
EVERYWHERE: Final[Mapping[int, Sequence[str]]] = {
    400: ["bad-path", "bad-host"],
    414: ["too-long"],
    429: ["too-many"],
    502: ["wrong-answer", "split-view"],
    503: ["unreachable", "waiting-for-nodes", "busy", "storage-failed", "pool-full"],
}
"""Refusals of every route."""
OPERATIONS: Final[Sequence[Operation]] = (
    Operation(
        "/api/v1/state",
        "The small state of the election: hours, height, how many have voted, who has signed",
        an_object(
            network_id=HASH,
            state=STATE,
            opens=TIME,
            closes=TIME,
            height=COUNT,
            tip=HASH,
            final_height=TIME,
            named=COUNT,
            signed_by=STRINGS,
            votes=COUNT,
            registered=TIME,
            waiting=COUNT,
            nodes_up=COUNT,
            at=COUNT,
            stale=COUNT,
        ),
    ),
    Operation(
        "/api/v1/election",
        "What is voted on and what is in force: definition, amendments, hours",
        an_object(
            network_id=HASH,
            definition=ref(ElectionDefinition),
            amendments=listed(Amendment),
            opens=TIME,
            closes=TIME,
            state=STATE,
            registration={"type": "string", "enum": ["open", "roll"]},
            roll_size=TIME,
        ),
    ),
    Operation("/api/v1/amendments", "All amendments in blocks", an_object(amendments=listed(Amendment))),
    Operation(
        "/api/v1/nodes",
        "The nodes as this server last saw them",
        an_object(nodes=listed(NodeView), named=COUNT),
    ),
    Operation(
        "/api/v1/voter",
        "The voter on the roll who has this public key",
        an_object(voter_id=ANY_TEXT, weight=COUNT, voted=YES_NO),
        (Parameter("key", HASH, "The public key, 64 hexadecimal digits.", required=True),),
        {400: ["bad-request"], 404: ["no-roll", "not-on-roll"]},
    ),
    Operation(
        "/api/v1/votes",
        "Hand in a signed vote. It is answered once a node has saved it; the same vote may be sent again",
        ref(VoteTaken),
        codes={
            400: BAD_VOTES,
            403: ["closed", "not-open", "not-on-roll", "wrong-key", "cancelled", "cross-site"],
            408: ["too-slow"],
            409: ["already-voted"],
            413: ["too-large"],
            415: ["bad-content-type"],
        },
        body=ref(Vote),
    ),
    Operation(
        "/api/v1/enrolments",
        "Hand in the public key that a member has made with an invitation. It is saved, then answered",
        an_object(voter_id=ANY_TEXT, state={"type": "string", "enum": ["waiting", "on-roll"]}),
        codes={
            400: ["bad-code", "bad-enrolment"],
            403: ["bad-invitation", "closed", "cancelled", "cross-site"],
            404: ["no-enrolment"],
            408: ["too-slow"],
            409: ["invitation-used"],
            413: ["too-large"],
            415: ["bad-content-type"],
        },
        body=an_object(invitation=ANY_TEXT, public_key=HASH),
    ),
    Operation(
        "/api/v1/vote",
        "Where the vote of a voter stands, and its record once it is in a block",
        ref(WhereVoteIs),
        (
            VOTER,
            Parameter("other_than", ANY_TEXT, "Ask another node than this HOST:PORT, and fetch the record."),
        ),
        {400: ["bad-request", "bad-vote"]},
    ),
    Operation(
        "/api/v1/receipt",
        "The receipt: a file that proves that the vote is final",
        ref(Receipt),
        (VOTER, Parameter("received", {"type": "integer", "enum": [0, 1]}, "1: of a vote that waits, too.")),
        {400: ["bad-request", "bad-vote"], 404: ["not-found"], 409: ["not-final"]},
    ),
    Operation(
        "/api/v1/results",
        "The count, as `votenet results --json` prints it",
        an_object(
            title=ANY_TEXT,
            contests=listed(ContestReport),
            counts_shown=YES_NO,
            votes=COUNT,
            waiting=COUNT,
            height=COUNT,
            tip=HASH,
            network_id=HASH,
            node=ANY_TEXT,
            opens=TIME,
            closes=TIME,
            registered=TIME,
            amendments=listed(Amendment),
            cancelled=YES_NO,
            cancelled_at=TIME,
            final=YES_NO,
            finality=ANY_TEXT,
            final_height=TIME,
            signed_by=STRINGS,
            warnings=STRINGS,
            lies=STRINGS,
        ),
    ),
    Operation(
        "/api/v1/final-result",
        "The final result: a file that proves who signed it",
        ref(FinalResult),
        codes={404: ["not-final"]},
    ),
    Operation(
        "/api/v1/archive",
        "The whole chain as an archive file: `votenet audit ARCHIVE` checks it",
        ANY_TEXT,
        media_type="application/jsonl",
    ),
    Operation(
        "/api/v1/blocks",
        "Blocks, the newest first",
        an_object(blocks=listed(BlockSummary), height=COUNT),
        (
            Parameter(
                "from", COUNT | {"maximum": MAX_NUMBER}, "The first one's height; by default the last."
            ),
            Parameter(
                "count", {"type": "integer", "minimum": 1, "maximum": MAX_ROWS, "default": ROWS}, "How many."
            ),
        ),
        {400: ["bad-request"]},
    ),
    Operation(
        "/api/v1/blocks/{which}",
        "A block with some of its votes",
        ref(BlockPage),
        (
            Parameter(
                "which",
                {"type": "string", "pattern": "^[0-9]{1,15}$|^[0-9a-f]{64}$", "examples": ["1"]},
                "Its height, or its hash.",
                required=True,
                place="path",
            ),
            Parameter("first_vote", COUNT | {"maximum": MAX_NUMBER}, "The first vote that is listed."),
            Parameter("count", {"type": "integer", "minimum": 1, "maximum": MAX_ROWS}, "How many votes."),
        ),
        {400: ["bad-request"], 404: ["not-found"]},
    ),
    Operation(
        "/api/v1/search",
        "What a vote id or a receipt code, a block's hash, a height, a voter id or a voter's key is",
        ref(Found),
        (
            Parameter(
                "q",
                {"type": "string", "minLength": 1, "maxLength": MAX_SEARCH, "examples": ["voter-1"]},
                "The text.",
                required=True,
            ),
        ),
        {400: ["bad-request"]},
    ),
    Operation(
        "/genesis.json", "The definition as a file: its hash is the network id", ref(ElectionDefinition)
    ),
    Operation(
        "/join.json",
        "For nodes that join: the network id, and the bootstrap servers of the network",
        an_object(network_id=HASH, bootstrap=STRINGS),
    ),
    Operation(
        "/log/checkpoint",
        "The newest checkpoint of the log, cosigned by named nodes (C2SP tlog-checkpoint)",
        ANY_TEXT,
        codes={404: ["not-found"]},
        media_type=TEXT_TYPE,
    ),
    Operation(
        "/log/tile/{path}",
        "Hashes or entries of the log (C2SP tlog-tiles)",
        {"type": "string", "format": "binary"},
        (
            Parameter(
                "path", TILE, "LEVEL/N, LEVEL/N.p/W, entries/N or entries/N.p/W.", required=True, place="path"
            ),
        ),
        {404: ["not-found"]},
        BYTES,
    ),
)


async def get_openapi(request: Request) -> Response:
    return Response(document_bytes(), 200, {"Cache-Control": "no-cache"}, JSON)


@functools.cache
def document_bytes() -> bytes:
    return msgspec.json.format(msgspec.json.encode(document()), indent=1)


def document() -> Schema:
    """The whole document (OpenAPI 3.1)."""
    paths: dict[str, Schema] = {}
    for operation in OPERATIONS:
        paths[operation.path] = {"get" if operation.body is None else "post": _described(operation)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "votenet",
            "version": __version__,
            "description": "Every error is {error: {code, message, next}}. Times are Unix seconds.",
        },
        "paths": paths,
        "components": {"schemas": _components() | {"Error": ERROR}},
    }


def _described(operation: Operation) -> Schema:
    answers: dict[str, Schema] = {
        "200": {"description": "Done.", "content": {operation.media_type: {"schema": operation.answer}}}
    }
    for status in sorted(EVERYWHERE.keys() | operation.codes.keys()):
        codes = [*operation.codes.get(status, ()), *EVERYWHERE.get(status, ())]
        answers[str(status)] = {
            "description": f"Codes: {', '.join(codes)}.",
            "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
        }
    name = operation.path.removeprefix("/api/v1/").replace("/", "-").strip("-")
    made: Schema = {"operationId": name, "summary": operation.summary, "responses": answers}
    if operation.parameters:
        made["parameters"] = [
            {
                "name": one.name,
                "in": one.place,
                "required": one.required,
                "description": one.meaning,
                "schema": one.schema,
            }
            for one in operation.parameters
        ]
    if operation.body is not None:
        made["requestBody"] = {"required": True, "content": {JSON: {"schema": operation.body}}}
    return made


def _components() -> Schema:
    r"""The schemas of all records. Python's end of a text, `\Z`, is `$` in a schema."""
    _, found = msgspec.json.schema_components(STRUCTS, ref_template="#/components/schemas/{name}")
    plain: Schema = msgspec.json.decode(msgspec.json.encode(found).replace(rb"\\Z", b"$"))
    return plain
