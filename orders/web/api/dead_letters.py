"""Dead letters: found, read, and sent again."""

import asyncio
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge.reading.models import what_is_wrong
from orders.errors import NotFoundError
from orders.operations.dead_letters.documents import VALUE_BYTES_MAX, letter_json, replay_json, summary_json
from orders.operations.dead_letters.finding import list_letters, show_letter
from orders.operations.dead_letters.replay_plan import REPLAYS_MAX_DEFAULT
from orders.operations.dead_letters.selection import Place, Selection, parse_place
from orders.web.api.answers import ALWAYS, problems
from orders.web.api.bodies import json_body, read_json
from orders.web.api.fields import MOST, Answer
from orders.web.api.parameters import ApiRoute
from orders.web.api.preferences import KeyHeader, PreferHeader, described, key_of, wait_of
from orders.web.context import Web
from orders.web.handlers import json_pointer
from orders.web.header_fields import header_of
from orders.web.identity import Identity, Role, requires
from orders.web.problems import FieldError, Problem
from orders.web.replays import Replay, ReplayRequest, ReplayState
from orders.web.waiting import while_wanted
from schemas.base import IDENTIFIER_PATTERN, Timestamp

router = APIRouter(
    prefix="/dead-letters",
    tags=["dead letters"],
    dependencies=[Depends(requires(Role.VIEWER))],
    route_class=ApiRoute,
)

LIMIT_MAX: Final = 1_000
PLACES_MAX: Final = 1_000
SELECTED_MAX: Final = 100_000
_PLACE: Final = r"^[0-9]{1,9}:[0-9]{1,18}$"
_LOOK_AGAIN_SECONDS: Final = 1

PlaceText = Annotated[str, Field(pattern=_PLACE, examples=["3:17"])]
Code = Annotated[str, Field(min_length=1, max_length=200)]


class DeadLetterSummary(Answer):
    """A dead letter in a list."""

    at: str
    """Its place in the dead-letter topic, `partition:offset`: its id here."""
    set_aside_at: str
    origin: str | None
    """Where it was, `topic:partition:offset`."""
    stage: str
    error_code: str
    message: str
    """What is wrong, and what to do."""
    key: dict[str, str] | None
    """`text` where it is UTF-8, else `base64`."""
    pointer: bool
    """Whether the record was too large to be copied."""
    replay_count: int


class DeadLetterList(Answer):
    """What is in the dead-letter topic, as far as it was selected."""

    dead_letters: list[DeadLetterSummary]
    """The newest of those that match, oldest first."""
    matching: int
    scanned: int
    by_reason: dict[str, int]
    """How many of the matching ones have each error code."""


Reasons = Annotated[list[Code] | None, Query(max_length=100, description="With one of these error codes.")]
Topics = Annotated[list[Code] | None, Query(max_length=100, description="That came from one of these topics.")]


@router.get(
    "",
    summary="Dead letters",
    operation_id="listDeadLetters",
    responses=problems(*ALWAYS),
)
async def dead_letters(
    request: Request,
    web: Web,
    *,
    reason: Reasons = None,
    topic: Topics = None,
    order_id: Annotated[
        str | None, Query(pattern=IDENTIFIER_PATTERN, description="Whose key or body names this order.")
    ] = None,
    since: Annotated[Timestamp | None, Query(description="Set aside at this time or later.")] = None,
    until: Annotated[Timestamp | None, Query(description="Set aside before this time.")] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX, description=MOST)] = 100,
) -> DeadLetterList:
    """Reads the whole topic, as `orders dlq list` does: it may take seconds."""
    selection = Selection(frozenset(reason or ()), frozenset(topic or ()), order_id, since, until)
    listing = await web.scan(request, lambda: list_letters(web.clients, selection, limit))
    return DeadLetterList(
        dead_letters=[DeadLetterSummary(**summary_json(one)) for one in listing.newest],
        matching=listing.matching,
        scanned=listing.scanned,
        by_reason=dict(listing.by_reason.most_common()),
    )


# Replays; before the route of one dead letter, whose id could be taken for theirs ------------------------------------


class ReplayBody(BaseModel):
    """Which dead letters are sent again: places, or filters which must all hold, or all of them."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)

    dead_letters: Annotated[list[PlaceText] | None, Field(max_length=PLACES_MAX)] = None
    """Places in the dead-letter topic; not together with filters."""
    reasons: Annotated[list[Code] | None, Field(max_length=100)] = None
    topics: Annotated[list[Code] | None, Field(max_length=100)] = None
    """That the records came from."""
    order_id: Annotated[str, Field(pattern=IDENTIFIER_PATTERN)] | None = None
    since: Timestamp | None = None
    """Set aside at this time or later."""
    until: Timestamp | None = None
    """Set aside before this time."""
    all: bool = False
    """All of them, without any filter."""
    dry_run: bool = True
    """Only find out what would be done."""
    force: bool = False
    """Also those that were replayed `replays_max` times already."""
    trust: bool = False
    """Also those of which nobody knows whether a bridge wrote them."""
    replays_max: Annotated[int, Field(ge=1, le=1_000)] = REPLAYS_MAX_DEFAULT
    """How often one record may be replayed."""
    limit: Annotated[int, Field(ge=1, le=SELECTED_MAX)] = 10_000
    """Nothing is done where more than so many are selected."""

    def request(self) -> ReplayRequest:
        """The request for the operation.

        Raises:
            Problem: nothing is selected, or places and filters are.
        """
        selection = Selection(
            frozenset(self.reasons or ()), frozenset(self.topics or ()), self.order_id, self.since, self.until
        )
        which: Selection | tuple[Place, ...] = selection
        if self.dead_letters:
            which = tuple(map(parse_place, self.dead_letters))
            if not selection.is_everything or self.all:
                raise _wrong("has places and filters: give one of them")
        elif selection.is_everything and not self.all:
            raise _wrong("selects nothing: give dead_letters, filters, or all")
        return ReplayRequest(which, self.dry_run, None if self.force else self.replays_max, self.limit, self.trust)


def _wrong(sentence: str) -> Problem:
    return Problem("request_invalid", f"the body {sentence}", errors=[FieldError(sentence, pointer="")])


class ReplayResult(Answer):
    """What a replay did; of a dry run, what it would do."""

    dry_run: bool
    selected: int
    replayed: int
    duplicates: int
    """Dead letters that were left out, as another one of the same record is replayed."""
    not_replayed_count: int
    not_replayed: list[dict[str, str]]
    """`at` and `why` of each."""
    records: list[dict[str, str]]
    """`at`, and where it goes `to`."""


class ReplayAnswer(Answer):
    """A replay, as far as it is."""

    id: str
    state: Annotated[str, Field(json_schema_extra={"x-extensible-enum": [str(one) for one in ReplayState]})]
    dry_run: bool
    by: str
    """Who asked for it."""
    began_at: datetime
    ended_at: datetime | None
    done: int
    total: int | None
    """How many are selected; null until that is known."""
    result: ReplayResult | None
    failure: str | None

    @classmethod
    def of(cls, replay: Replay) -> "ReplayAnswer":
        """The answer for a replay."""
        outcome, dry_run = replay.outcome, replay.request.dry_run
        return cls(
            id=replay.id,
            state=replay.state,
            dry_run=dry_run,
            by=replay.by,
            began_at=replay.began_at,
            ended_at=replay.ended_at,
            done=replay.done,
            total=replay.total,
            result=None if outcome is None else ReplayResult(**replay_json(outcome, dry_run=dry_run)),
            failure=replay.failure,
        )


class ReplayList(Answer):
    """The replays that this process remembers."""

    replays: list[ReplayAnswer]
    """The newest first."""


@router.post(
    "/replays",
    status_code=202,
    summary="Send dead letters again",
    operation_id="startReplay",
    response_model=ReplayAnswer,
    responses={
        200: {"description": "It has ended", "model": ReplayAnswer},
        202: {"description": "It runs, or waits for its turn: see Location"},
        **problems(
            *ALWAYS,
            "cross_site_request",
            "body_not_json",
            "idempotency_key_invalid",
            "body_too_slow",
            "body_too_large",
            "body_not_supported",
            "idempotency_key_reused",
        ),
    },
    openapi_extra={
        "parameters": described(KeyHeader, PreferHeader),
        **json_body("ReplayBody", required=True),
    },
)
async def start_replay(
    request: Request, web: Web, identity: Annotated[Identity, Depends(requires(Role.OPERATOR))]
) -> Response:
    """Only a dry run unless `dry_run` is false. Correct the cause first: what is still wrong is set aside again."""
    key = key_of(header_of(request.headers, "Idempotency-Key"))
    body = _read_body(await read_json(request, web))
    begun = web.replays.begin(body.request(), by=identity.name, key=key.event_id(identity))
    wait = wait_of(header_of(request.headers, "Prefer"), timedelta(0))
    if wait:
        await while_wanted(request, web.stopping, _ended(begun, wait))
    return _answer(begun, {"Location": f"/dead-letters/replays/{begun.id}", "Idempotency-Key": key.key})


def _read_body(fields: dict[str, Any]) -> ReplayBody:
    try:
        return ReplayBody.model_validate(fields)
    except ValidationError as error:
        errors = []
        for detail in error.errors(include_url=False):
            code, sentence = what_is_wrong(detail)
            if detail["type"] == "extra_forbidden":
                sentence = f"is no field of this body: there are {', '.join(ReplayBody.model_fields)}"
            errors.append(FieldError(sentence, pointer=json_pointer(detail["loc"]), code=code))
        said = "; ".join(f"{one.pointer or 'the body'} {one.detail}" for one in errors)
        raise Problem("request_invalid", said, errors=errors) from None


async def _ended(begun: Replay, wait: timedelta) -> None:
    try:
        async with asyncio.timeout(wait.total_seconds()):
            await begun.ended.wait()
    except TimeoutError:
        return


def _answer(replay: Replay, headers: dict[str, str]) -> Response:
    if not replay.is_over:
        headers["Retry-After"] = str(_LOOK_AGAIN_SECONDS)
    body = orjson.dumps(ReplayAnswer.of(replay).model_dump(mode="json"))
    return Response(body, 200 if replay.is_over else 202, headers, "application/json")


@router.get("/replays", summary="Replays of late", operation_id="listReplays", responses=problems(*ALWAYS))
async def replays(web: Web) -> ReplayList:
    """Those that this process has run since its start, a hundred at most."""
    return ReplayList(replays=[ReplayAnswer.of(one) for one in web.replays.newest()])


@router.get(
    "/replays/{replay_id}",
    summary="A replay",
    operation_id="getReplay",
    response_model=ReplayAnswer,
    responses={
        200: {"description": "It has ended"},
        202: {"description": "It runs, or waits for its turn: ask again after Retry-After", "model": ReplayAnswer},
        **problems(*ALWAYS, "replay_not_found"),
    },
)
async def get_replay(
    replay_id: Annotated[str, Path(max_length=100, description="As it was answered when it was begun.")], web: Web
) -> Response:
    """How far it is, and what came of it. Known to the process that runs it, for as long as that lives."""
    found = web.replays.find(replay_id)
    if found is None:
        raise Problem("replay_not_found")
    return _answer(found, {})


@router.get(
    "/{place}",
    summary="A dead letter",
    operation_id="getDeadLetter",
    responses=problems(*ALWAYS, "dead_letter_not_found"),
)
async def dead_letter(
    request: Request,
    place: Annotated[str, Path(pattern=_PLACE, description="`partition:offset`.", examples=["3:17"])],
    web: Web,
    *,
    full: Annotated[bool, Query(description=f"The whole value, not only {VALUE_BYTES_MAX} bytes of it.")] = False,
) -> dict[str, Any]:
    """All of it: headers, key and value, as text where they are UTF-8, else in base64."""
    try:
        shown = await web.scan(request, lambda: show_letter(web.clients, parse_place(place)))
    except NotFoundError as error:
        raise Problem("dead_letter_not_found", str(error)) from None
    return letter_json(shown, None if full else VALUE_BYTES_MAX)
