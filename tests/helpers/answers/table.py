"""Every request that the API takes, and what it answers in every case: the table that the tests of answers go by.

`tests/unit/web/api/test_answer_table.py` holds it to the application's own routes, so that a new one without answers
fails; `tests/integration/web/api/test_every_answer*.py` put every cell of it to real servers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.helpers.answers.cases import Case, Cell, Ends, Never, Says

STREAM: Final = {"Accept": "text/event-stream"}
WAIT: Final = {"Prefer": "wait=30"}
NOW: Final = {"Prefer": "wait=0"}


@dataclass(frozen=True, slots=True)
class Named:
    """What a request's path names; each is there unless a test says otherwise."""

    order_id: str
    """An order that waits for approval; for a request that decides something, one in the state that its case needs."""
    event_id: str = "none"
    """An event of the order that is decided."""
    place: str = "0:999999"
    """A dead letter's place."""
    replay_id: str = "none"
    code: str = "order_not_found"


@dataclass(frozen=True, slots=True)
class Row:
    """A request, and its answers."""

    operation: str
    """Method and path, as the OpenAPI document has them."""
    cells: Mapping[Case, Cell]
    form: str = ""
    """Which of an operation's forms; "" where it has one."""
    body: Any = None
    other_body: Any = None
    """Another body that is as good."""
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How tests call it."""
        return f"{self.operation} {self.form}".strip()

    @property
    def method(self) -> str:
        """The method of HTTP."""
        return self.operation.partition(" ")[0]

    @property
    def is_stream(self) -> bool:
        """Whether its answer does not end."""
        return self.headers.get("Accept") == STREAM["Accept"]

    def path(self, named: Named) -> str:
        """Its path, with what it names."""
        template = self.operation.partition(" ")[2]
        return template.format(**{one: getattr(named, one) for one in Named.__slots__})


_NO_DECISION: Final = Never("it decides nothing")
_NO_BODY: Final = Never("it has no body")
_NO_STREAM: Final = Never("it is no stream")
_AT_ONCE: Final = Never("it waits for nothing: it is answered within seconds, whoever goes")
_ANYBODY: Final = Never("whoever is known has a role that may: there is no lesser one than viewer")
_NOBODY_COUNTS: Final = Never("it asks nobody who they are, so it counts nobody's requests")
_NOTHING_NAMED: Final = Never("it names nothing")

NOT_SIGNED_IN: Final = Says(401, "not_signed_in")
NOT_ALLOWED: Final = Says(403, "not_allowed")
ORDER_NOT_FOUND: Final = Says(404, "order_not_found")
WRONG: Final = Says(422, "request_invalid")
TOO_MANY: Final = Says(429, "too_many_requests")
AWAY: Final = Says(503, "server_unreachable")
STOPPING: Final = Says(503, "stopping")
OK: Final = Says(200)


def _cells(*groups: Mapping[Case, Cell]) -> dict[Case, Cell]:
    """The cells of all groups; of those that have one in common, the last one's."""
    return {case: cell for group in groups for case, cell in group.items()}


_READ: Final[dict[Case, Cell]] = {
    Case.GOOD: OK,
    **dict.fromkeys((Case.REPEATED, Case.OTHER_BODY, Case.EARLY, Case.LATE, Case.REFUSED), _NO_DECISION),
    **dict.fromkeys((Case.TOO_LARGE, Case.WRONG_TYPE), _NO_BODY),
    Case.UNKNOWN: _NOTHING_NAMED,
    Case.INVALID: WRONG,
    Case.NO_IDENTITY: NOT_SIGNED_IN,
    Case.WRONG_ROLE: _ANYBODY,
    Case.OVER_THE_LIMIT: TOO_MANY,
    **dict.fromkeys((Case.NO_TEMPORAL, Case.NO_POSTGRES, Case.NO_KAFKA), OK),
    **dict.fromkeys((Case.CLIENT_GONE, Case.STOP_IN_WAIT), _AT_ONCE),
    Case.STOP_IN_STREAM: _NO_STREAM,
}
_OF_NOBODY: Final[dict[Case, Cell]] = {Case.NO_IDENTITY: OK, Case.OVER_THE_LIMIT: _NOBODY_COUNTS}
_OF_AN_ORDER: Final[dict[Case, Cell]] = {Case.UNKNOWN: ORDER_NOT_FOUND}
_OF_POSTGRES: Final[dict[Case, Cell]] = {Case.NO_POSTGRES: AWAY}
_OF_KAFKA: Final[dict[Case, Cell]] = {Case.NO_KAFKA: AWAY, Case.CLIENT_GONE: Ends(), Case.STOP_IN_WAIT: STOPPING}
_STREAM_CELLS: Final[dict[Case, Cell]] = {
    Case.NO_POSTGRES: AWAY,
    Case.CLIENT_GONE: Ends(),
    Case.STOP_IN_WAIT: Never("it is a stream"),
    Case.STOP_IN_STREAM: Ends(),
}
_CHANGE: Final[dict[Case, Cell]] = {
    Case.TOO_LARGE: Says(413, "body_too_large"),
    Case.WRONG_TYPE: Says(415, "body_not_supported"),
    Case.WRONG_ROLE: NOT_ALLOWED,
    Case.OTHER_BODY: Says(422, "idempotency_key_reused"),
    Case.CLIENT_GONE: Ends(),
}
_DECISION: Final[dict[Case, Cell]] = {
    **_CHANGE,
    Case.REPEATED: Says(200, has=("status", "applied")),
    Case.EARLY: Says(202, has=("status", "held")),
    Case.LATE: Says(409, "order_closed"),
    Case.REFUSED: Says(412, "order_changed"),
    Case.UNKNOWN: Never("an order that nobody knows is one that has not come yet: see `too early`"),
    Case.NO_TEMPORAL: AWAY,
    Case.NO_POSTGRES: Says(202, has=("status", "accepted")),
    Case.STOP_IN_WAIT: Says(202, has=("status", "accepted")),
}
_ADDRESS: Final = {"street": "2 Example Street", "city": "Utrecht", "zip_code": "3511 AA", "country": "NL"}

TABLE: Final = (
    Row("GET /", _cells(_READ, _OF_NOBODY)),
    Row("GET /problems/{code}", _cells(_READ, _OF_NOBODY, {Case.UNKNOWN: Says(404, "path_not_found")})),
    Row(
        "POST /orders/{order_id}/start",
        _cells(
            _READ,
            _DECISION,
            {
                **dict.fromkeys((Case.GOOD, Case.REPEATED, Case.NO_KAFKA), Says(201, has=("status", "applied"))),
                Case.EARLY: Never("it is what the others wait for"),
                Case.REFUSED: Says(409, "duplicate_order"),
                Case.UNKNOWN: Never("it makes the order known"),
            },
        ),
        body={"payment_id": "p-{order_id}"},
        other_body={"payment_id": "p-{order_id}", "customer_id": "c-2"},
    ),
    *(
        Row(f"POST /orders/{{order_id}}/signals/{name}", _cells(_READ, _DECISION), body=body, other_body=other)
        for name, body, other in (
            ("approve", {"note": "checked"}, {"note": "not checked"}),
            ("cancel", {"reason": "ordered twice"}, {"reason": "no longer wanted"}),
            ("update-address", _ADDRESS, {**_ADDRESS, "city": "Delft"}),
        )
    ),
    Row("GET /orders/{order_id}/status", _cells(_READ, _OF_AN_ORDER, {Case.NO_TEMPORAL: AWAY})),
    Row(
        "GET /orders/{order_id}/result",
        _cells(
            _READ,
            _OF_AN_ORDER,
            _OF_POSTGRES,
            dict.fromkeys(
                (Case.GOOD, Case.NO_TEMPORAL, Case.NO_KAFKA, Case.STOP_IN_WAIT), Says(202, has=("status", "open"))
            ),
            {Case.CLIENT_GONE: Ends()},
        ),
        headers=NOW,
    ),
    Row("GET /orders", _cells(_READ, _OF_POSTGRES), query={"limit": "1"}),
    Row("GET /orders/{order_id}", _cells(_READ, _OF_AN_ORDER, _OF_POSTGRES)),
    Row("GET /orders/{order_id}/events", _cells(_READ, _OF_AN_ORDER, _OF_POSTGRES)),
    Row(
        "GET /orders/{order_id}/events", _cells(_READ, _OF_AN_ORDER, _STREAM_CELLS), form="as a stream", headers=STREAM
    ),
    Row("GET /events", _cells(_READ, _STREAM_CELLS), headers=STREAM),
    Row(
        "GET /orders/{order_id}/explain",
        _cells(_READ, _OF_AN_ORDER, _OF_KAFKA, {Case.NO_KAFKA: Says(200, has=("kafka", None))}),
    ),
    Row("GET /orders/{order_id}/inbound/{event_id}", _cells(_READ, _OF_AN_ORDER, _OF_POSTGRES)),
    Row("GET /dead-letters", _cells(_READ, _OF_KAFKA), query={"limit": "1"}),
    Row("GET /dead-letters/{place}", _cells(_READ, _OF_KAFKA, {Case.UNKNOWN: Says(404, "dead_letter_not_found")})),
    Row(
        "POST /dead-letters/replays",
        _cells(
            _READ,
            _CHANGE,
            {
                Case.GOOD: Says(200, has=("state", "done")),
                Case.REPEATED: Says(200, has=("state", "done")),
                **dict.fromkeys(
                    (Case.EARLY, Case.LATE), Never("a dead letter waits for nothing, and may be replayed at any time")
                ),
                Case.REFUSED: Never("of each dead letter its result says whether it is replayed, and why not"),
                Case.UNKNOWN: Says(200, has=("state", "failed")),
                Case.NO_KAFKA: Says(200, has=("state", "failed")),
                Case.STOP_IN_WAIT: Says(202, has=("state", "running")),
            },
        ),
        body={"dead_letters": ["{place}"]},
        other_body={"dead_letters": ["{place}"], "trust": True},
    ),
    Row("GET /dead-letters/replays", _cells(_READ)),
    Row("GET /dead-letters/replays/{replay_id}", _cells(_READ, {Case.UNKNOWN: Says(404, "replay_not_found")})),
)
"""Every request of the API."""


def rows_of(case: Case) -> list[Row]:
    """The rows of the requests to which a case can happen."""
    return [row for row in TABLE if not isinstance(row.cells[case], Never)]


def written(value: Any, named: Named) -> Any:
    """A body, with the order and the dead letter that it names put in."""
    if isinstance(value, str):
        return value.replace("{order_id}", named.order_id).replace("{place}", named.place)
    if isinstance(value, dict):
        return {name: written(one, named) for name, one in value.items()}
    return [written(one, named) for one in value] if isinstance(value, list) else value
