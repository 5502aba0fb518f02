"""Requests that decide something: each becomes the event that its topic would have brought, under the client's key."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

import structlog
from fastapi import APIRouter, Depends, Request, Response

from orders.errors import NotFoundError, UnreachableError
from orders.operations.decide import Outcome, OutcomeStatus, await_outcome, recorded_outcome
from orders.operations.send import deliver_event, inbound_event
from orders.operations.view import view_order
from orders.web.api.answers import ALWAYS, problems
from orders.web.api.bodies import example_of, json_body, read_json, read_message
from orders.web.api.decision_table import DECISIONS, Decision
from orders.web.api.fields import Answer, OrderId, order_id_of
from orders.web.api.parameters import ApiRoute, Handler
from orders.web.api.preferences import (
    IfMatchHeader,
    KeyHeader,
    Precondition,
    PreferHeader,
    RequestKey,
    described,
    key_of,
    precondition_of,
    wait_of,
)
from orders.web.context import WebContext, context_of
from orders.web.header_fields import header_of
from orders.web.identity import Identity, Role, requires
from orders.web.problems import PROBLEM_TYPES, Problem
from orders.web.waiting import while_wanted
from schemas.event_types import fingerprint_of
from schemas.inbound import InboundEvent

_approver = requires(Role.APPROVER)


class _DecisionRoute(ApiRoute):
    """A route that calls its endpoint itself; FastAPI only describes the endpoint's parameters.

    Most requests of all come here. To find the three parameters of the endpoint, FastAPI would take a fifth of what our
    side of an approval costs (measured on 2026-11-26, FastAPI 0.165).
    """

    def make_handler(self) -> Handler:
        """Calls the endpoint, once the caller's identity and role are known, as FastAPI would."""

        async def handle(request: Request) -> Response:
            identity = await _approver(request)
            response: Response = await self.endpoint(order_id_of(request), request, identity)
            return response

        return handle


router = APIRouter(tags=["decisions"], route_class=_DecisionRoute)

_WAIT_OF_A_PRECONDITION: Final = timedelta(seconds=10)
"""A client that sends If-Match wants to know whether it held, also where it does not ask to wait."""
_DELIVERY_SECONDS_MAX: Final = 12.0
"""Temporal is asked three times within 2 s where it refuses connections; a call that nobody answers takes 10 s."""
_LOOK_AGAIN_SECONDS: Final = 1
_CREATED: Final = 201

_log = structlog.get_logger("orders.api")


class DecisionAnswer(Answer):
    """What became of a request to decide something."""

    order_id: str
    event_id: str
    """The request as an event: by its caller and its Idempotency-Key."""
    type: str
    status: Literal["accepted", "held", "applied"]
    """accepted: Temporal has it, and it is not decided yet. held: it came before its order, and is decided in its turn.
    applied: the order has gone on by it."""
    sequence: int | None
    """The order's event that says what became of it."""
    decided_at: datetime | None
    waits_for: str | None
    """What its order waits for, or what keeps that from being known; null once it is decided."""
    waits_until: datetime | None
    """Until when the order of a held event is waited for."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request, read."""

    decision: Decision
    order_id: str
    key: RequestKey
    event: InboundEvent
    precondition: Precondition | None
    wait: timedelta

    @property
    def fingerprint(self) -> str:
        """What the request says, by which a repeat with another body is told."""
        return fingerprint_of(self.event, self.order_id)

    @property
    def outcome_path(self) -> str:
        """Where its outcome is."""
        event_id = quote(self.event.event_id, safe="")
        return f"/orders/{self.order_id}/inbound/{event_id}?type={self.decision.event_type}"


async def _decide(web: WebContext, request: Request, identity: Identity, asked: _Asked) -> Response:
    """Has the event decided, as far as the client waits for it.

    A repeat is looked for first, so that one with another body is refused before anything is sent. Where Postgres does
    not answer that, nothing was sent, and the client may repeat the request.
    """
    event_type, event_id = asked.decision.event_type, asked.event.event_id
    if asked.key.given:
        before = await recorded_outcome(web.clients, asked.order_id, event_id, event_type, asked.fingerprint)
        if before is not None:
            return _answer(asked, before, replayed=True)
    if asked.precondition is not None:
        expected = await _expected_sequence(web, asked, asked.precondition)
        asked = replace(asked, event=asked.event.model_copy(update={"expected_sequence": expected}))
    await _deliver(web, asked)
    who = {"caller": identity.name, "via": identity.via}
    _log.info("api.event.delivered", order_id=asked.order_id, event_id=event_id, type=event_type.value, **who)
    outcome = None
    if asked.wait:
        outcome = await while_wanted(request, web.stopping, _outcome(web, asked))
    return _answer(asked, outcome, replayed=False)


async def _expected_sequence(web: WebContext, asked: _Asked, wanted: Precondition) -> int | None:
    """The sequence at which the order's workflow is to decide the event; None where any will do.

    Where several would do, it is the one that the order has now: the workflow compares with one, so that it cannot
    race. An order that changes meanwhile to another one of them is refused all the same, and its client looks again.

    Raises:
        Problem: the order has none of them.
        UnreachableError: whether it has cannot be told.
    """
    if len(wanted.sequences) == 1:
        return next(iter(wanted.sequences))
    headers = {"Idempotency-Key": asked.key.key}
    if not wanted.sequences and not wanted.any_order:
        raise Problem("order_changed", "no order can have any of If-Match's ETags: nothing was sent", headers=headers)
    try:
        now = (await view_order(web.clients, asked.order_id)).status.last_sequence
    except NotFoundError:
        raise Problem("order_changed", "there is no such order: nothing was sent", headers=headers) from None
    if wanted.any_order:
        return None
    if now not in wanted.sequences:
        raise Problem("order_changed", "the order has none of If-Match's ETags: nothing was sent", headers=headers)
    return now


async def _deliver(web: WebContext, asked: _Asked) -> None:
    try:
        async with asyncio.timeout(_DELIVERY_SECONDS_MAX):
            await deliver_event(web.clients, asked.order_id, asked.decision.event_type, asked.event)
    except (UnreachableError, TimeoutError) as error:
        event_id = asked.event.event_id
        _log.warning("api.event.undelivered", order_id=asked.order_id, event_id=event_id, detail=str(error))
        raise Problem(
            "server_unreachable",
            "Temporal does not answer, and may have the event: send the request again under its Idempotency-Key",
            headers={"Idempotency-Key": asked.key.key},
        ) from None


async def _outcome(web: WebContext, asked: _Asked) -> Outcome | None:
    """What became of the event; None where Postgres does not say: Temporal has the event all the same."""
    event_type, event_id = asked.decision.event_type, asked.event.event_id
    try:
        return await await_outcome(
            web.clients, asked.order_id, event_id, event_type, wait=asked.wait, fingerprint=asked.fingerprint
        )
    except UnreachableError as error:
        _log.warning("api.outcome.unknown", order_id=asked.order_id, event_id=event_id, detail=str(error))
        return None


def _answer(asked: _Asked, outcome: Outcome | None, *, replayed: bool) -> Response:
    headers = {"Location": asked.outcome_path, "Idempotency-Key": asked.key.key, "Cache-Control": "no-store"}
    if asked.wait:
        headers["Preference-Applied"] = f"wait={asked.wait.total_seconds():g}"
    outcome = outcome or Outcome(OutcomeStatus.UNDECIDED)
    if outcome.body_matches is False:
        other = "a request with this Idempotency-Key and another body was sent before"
        raise Problem("idempotency_key_reused", other, headers=headers)
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    if outcome.status is OutcomeStatus.REJECTED:
        raise _refusal(outcome, headers)
    answer = DecisionAnswer(
        order_id=asked.order_id,
        event_id=asked.event.event_id,
        type=asked.decision.event_type,
        status="accepted" if outcome.status is OutcomeStatus.UNDECIDED else outcome.status.value,
        sequence=outcome.sequence,
        decided_at=outcome.decided_at,
        waits_for=outcome.waits_for,
        waits_until=outcome.waits_until,
    )
    code = 202
    if outcome.status is OutcomeStatus.APPLIED:
        code = asked.decision.applied
        if code == _CREATED:
            headers["Location"] = f"/orders/{asked.order_id}"
    else:
        headers["Retry-After"] = str(_LOOK_AGAIN_SECONDS)
    return Response(answer.model_dump_json(), code, headers, "application/json")


def _refusal(outcome: Outcome, headers: dict[str, str]) -> Problem:
    """The problem of an event that the order's workflow refused."""
    reason = str(outcome.reason)
    if reason in PROBLEM_TYPES:
        return Problem(reason, headers=headers)
    return Problem("event_refused", f"the order's workflow refused it: {reason}", headers=headers)


# Endpoints -----------------------------------------------------------------------------------------------------------

_PROBLEMS: Final = problems(
    *ALWAYS,
    "cross_site_request",
    "body_not_json",
    "precondition_invalid",
    "idempotency_key_invalid",
    "body_too_slow",
    "event_refused",
    "order_changed",
    "body_too_large",
    "body_not_supported",
    "idempotency_key_reused",
)
_HEADERS: Final = {
    "Location": "Where the outcome is; of an order that was started, the order.",
    "Idempotency-Key": "The request's key, given or made.",
    "Idempotent-Replayed": "`true` where the request was done before, and this is its outcome again.",
    "Preference-Applied": "How long the answer was allowed to take.",
}
_ANSWERED: Final[dict[str, Any]] = {
    "headers": {
        name: {"description": description, "schema": {"type": "string"}} for name, description in _HEADERS.items()
    }
}
_Approver = Annotated[Identity, Depends(_approver)]


def _endpoint(decision: Decision) -> Callable[..., Awaitable[Response]]:
    async def endpoint(order_id: OrderId, request: Request, identity: _Approver) -> Response:
        web, headers = context_of(request), request.headers
        key = key_of(header_of(headers, "Idempotency-Key"))
        precondition = precondition_of(headers)
        fields = await read_json(request, web)
        message = read_message(decision.event_type, order_id, fields, by=identity.name, event_id=key.event_id(identity))
        asked = _Asked(
            decision=decision,
            order_id=order_id,
            key=key,
            event=inbound_event(decision.event_type, message, verified_by=identity.verified_by),
            precondition=precondition,
            wait=wait_of(
                header_of(headers, "Prefer"), timedelta(0) if precondition is None else _WAIT_OF_A_PRECONDITION
            ),
        )
        try:
            return await _decide(web, request, identity, asked)
        except asyncio.CancelledError:
            # See `orders.web.middleware.Guarded`, which knows no key.
            again = "Temporal may have the event: send the request again under its Idempotency-Key"
            raise Problem("stopping", again, headers={"Idempotency-Key": key.key}) from None

    return endpoint


for _decision in DECISIONS:
    router.add_api_route(
        _decision.path,
        _endpoint(_decision),
        methods=["POST"],
        status_code=202,
        summary=_decision.summary,
        description=_decision.description,
        operation_id=_decision.operation_id,
        response_model=DecisionAnswer,
        responses={
            202: {"description": "Temporal has it; it is not decided yet", **_ANSWERED},
            _decision.applied: {"description": "The order has gone on by it", "model": DecisionAnswer, **_ANSWERED},
            **_PROBLEMS,
        },
        openapi_extra={
            "parameters": described(KeyHeader, PreferHeader, IfMatchHeader),
            **json_body(
                _decision.component,
                required=_decision.body_required,
                examples={"example": example_of(_decision.event_type), **_decision.examples},
            ),
        },
    )
