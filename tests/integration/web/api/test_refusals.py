"""Requests that are wrong: each is answered as a problem that says what and where, and none reaches Temporal."""

import asyncio
import gzip
import json
from typing import Any

import pytest

from tests.helpers.system.api_room import ApiRoom, new_order_id, problem_of
from tests.helpers.system.waiting import patient_timeout

JSON = {"Content-Type": "application/json"}


def pointers(problem: dict[str, Any]) -> set[str]:
    return {error["pointer"] for error in problem["errors"]}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"/payment_id"}),
        ({"payment_id": 7}, {"/payment_id"}),
        ({"payment_id": "has blanks"}, {"/payment_id"}),
        ({"payment_id": None}, {"/payment_id"}),
        ({"payment_id": "p", "amount": -1}, {"/amount"}),
        ({"payment_id": "p", "amount": 12.5}, {"/amount"}),
        ({"payment_id": "p", "amount": "12"}, {"/amount"}),
        ({"payment_id": "p", "currency": "XXL"}, {"/currency"}),
        ({"payment_id": "p", "customer_id": 7}, {"/customer_id"}),
        ({"payment_id": "p", "customer_id": "x" * 1_001}, {"/customer_id"}),
        ({"payment_id": "p", "items": [{"sku": "", "quantity": 1, "unit_amount": 1}]}, {"/items/0/sku"}),
        ({"payment_id": "p", "items": {}}, {"/items"}),
        ({"payment_id": "p", "adjustments": [{"kind": "tax"}]}, {"/adjustments/0/amount"}),
        ({"payment_id": "p", "amount": 1, "items": [{"sku": "a", "quantity": 1, "unit_amount": 2}]}, {""}),
        ({"payment_id": "p", "occurred_at": "yesterday"}, {"/occurred_at"}),
        ({"payment_id": "p", "shipping_address": {"street": 7}}, {"/shipping_address/street"}),
        ({"payment_id": "p", "shippingAddress": {}}, {""}),
        ({"payment_id": "p", "order_id": "another"}, {"/order_id"}),
        ({"payment_id": "p", "event_id": "mine"}, {"/event_id"}),
        ({"payment_id": 7, "amount": -1, "event_id": "x"}, {"/payment_id", "/amount", "/event_id"}),
    ],
)
async def test_each_field_that_is_wrong_is_named_by_its_pointer(
    api: ApiRoom, fields: dict[str, Any], expected: set[str]
) -> None:
    problem = problem_of(await api.http.post("/orders/o-1/start", json=fields), 422, "request_invalid")
    assert pointers(problem) == expected
    assert all(error["detail"] for error in problem["errors"])


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("approve", {"note": 7}, {"/note"}),
        ("approve", {"approved_by": "the boss"}, {"/approved_by"}),
        ("cancel", {"cancelled_by": "nobody"}, {"/cancelled_by"}),
        ("cancel", {"reason": "x" * 1_001}, {"/reason"}),
        ("update-address", {}, {""}),
        ("update-address", {"street": ""}, {""}),
        ("update-address", {"street": 7, "city": "x" * 1_001}, {"/street", "/city"}),
        ("update-address", {"zipCode": "3511"}, {""}),
        ("update-address", {"address": {"street": 7}}, {"/address/street"}),
        ("update-address", {"address": "Utrecht"}, {"/address"}),
    ],
)
async def test_bodies_of_signals_are_held_to_the_contract(
    api: ApiRoom, name: str, body: dict[str, Any], expected: set[str]
) -> None:
    problem = problem_of(await api.signal("o-1", name, body), 422, "request_invalid")
    assert pointers(problem) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b"7",
        b'"x"',
        b"{'a': 1}",
        b'{"a": 1, "a": 2}',
        b"\xff\xfe",
        b'{"a": NaN}',
        b"[" * 5_000,
        b" ",
    ],
)
async def test_what_is_not_one_json_object_is_refused(api: ApiRoom, body: bytes) -> None:
    problem_of(await api.http.post("/orders/o-1/start", content=body, headers=JSON), 400, "body_not_json")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
async def test_what_is_not_sent_as_json_is_refused(api: ApiRoom, headers: dict[str, str]) -> None:
    """A page of another site can send these without asking first; none of them is taken."""
    content = json.dumps({"payment_id": "p"}).encode()
    sent = gzip.compress(content) if "Content-Encoding" in headers else content
    answer = await api.http.post("/orders/o-1/start", content=sent, headers=headers)
    problem_of(answer, 415, "body_not_supported")


async def test_a_body_that_is_too_large_is_refused_by_its_length_and_by_its_bytes(api: ApiRoom) -> None:
    large = json.dumps({"payment_id": "p", "customer_id": "x" * (513 * 1024)}).encode()
    problem_of(await api.http.post("/orders/o-1/start", content=large, headers=JSON), 413, "body_too_large")

    async def parts() -> Any:
        for _ in range(60):
            yield b" " * 10_000

    problem_of(await api.http.post("/orders/o-1/start", content=parts(), headers=JSON), 413, "body_too_large")


async def test_a_body_that_never_comes_is_given_up(api: ApiRoom) -> None:
    reader, writer = await asyncio.open_connection(api.http.base_url.host, api.http.base_url.port)
    writer.write(
        b"POST /orders/o-1/start HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    )
    async with patient_timeout(20):
        assert b"408" in await reader.readline()
    writer.close()


@pytest.mark.parametrize(
    ("header", "value", "status", "code"),
    [
        ("If-Match", '"2', 400, "precondition_invalid"),
        ("If-Match", '"1" "2"', 400, "precondition_invalid"),
        ("If-Match", 'W/"7"', 412, "order_changed"),
        ("If-Match", '"x"', 412, "order_changed"),
        ("If-Match", '"1", "2"', 412, "order_changed"),
        ("If-Match", "*", 412, "order_changed"),
        ("If-None-Match", "*", 400, "precondition_invalid"),
        ("If-Unmodified-Since", "Thu, 26 Nov 2026 12:00:00 GMT", 400, "precondition_invalid"),
        ("Idempotency-Key", "a b", 400, "idempotency_key_invalid"),
        ("Idempotency-Key", '"a', 400, "idempotency_key_invalid"),
        ("Idempotency-Key", "", 400, "idempotency_key_invalid"),
    ],
)
async def test_headers_that_make_no_sense_are_refused(
    api: ApiRoom, header: str, value: str, status: int, code: str
) -> None:
    order_id = new_order_id()
    answer = await api.http.post(f"/orders/{order_id}/signals/approve", headers={header: value})
    problem_of(answer, status, code)
    problem_of(await api.http.get(f"/orders/{order_id}/status"), 404, "order_not_found")


@pytest.mark.parametrize(
    ("header", "values", "status", "code"),
    [
        ("If-Match", ('"1"', "*"), 400, "precondition_invalid"),
        ("Idempotency-Key", ("a", "b"), 400, "idempotency_key_invalid"),
        ("Idempotency-Key", ("a", "a"), 400, "idempotency_key_invalid"),
        ("Content-Type", ("application/json", "text/plain"), 415, "body_not_supported"),
        ("Content-Encoding", ("identity", "gzip"), 415, "body_not_supported"),
    ],
)
async def test_a_header_that_is_sent_twice_is_refused_as_nobody_can_tell_which_one_counts(
    api: ApiRoom, header: str, values: tuple[str, str], status: int, code: str
) -> None:
    headers = [*JSON.items()] if header != "Content-Type" else []
    headers += [(header, value) for value in values]
    answer = await api.http.post("/orders/o-1/signals/approve", content=b"{}", headers=headers)
    problem_of(answer, status, code)


@pytest.mark.parametrize("path", ["/", "/orders", "/docs", "/console/", "/nothing", "/orders/-bad-/status"])
async def test_head_is_answered_as_get_is_but_for_the_body(api: ApiRoom, path: str) -> None:
    head, got = await api.http.head(path), await api.http.get(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    own = {"date", "content-length", "content-security-policy"}
    assert {*head.headers} - own == {*got.headers} - own
    assert head.headers["content-type"] == got.headers["content-type"]


async def test_head_of_a_stream_ends_with_its_headers(api: ApiRoom) -> None:
    head = await api.http.head("/events", headers={"Accept": "text/event-stream"})
    assert (head.status_code, head.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
    after = await api.http.head("/orders/o-1/signals/approve")
    assert (after.status_code, after.headers["allow"]) == (405, "POST")
    assert (await api.http.put("/orders")).headers["allow"] == "GET, HEAD"


async def test_what_is_named_as_not_wanted_is_not_sent(api: ApiRoom) -> None:
    answer = await api.http.get("/events", headers={"Accept": "text/event-stream; q=0, application/json"})
    problem_of(answer, 406, "not_acceptable")


async def test_a_replay_s_key_is_held_to_the_same(api: ApiRoom) -> None:
    headers = [*JSON.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    answer = await api.http.post("/dead-letters/replays", content=b'{"all": true}', headers=headers)
    problem_of(answer, 400, "idempotency_key_invalid")


@pytest.mark.parametrize("place", ['"5"', "5, 6", "-1", "five"])
async def test_a_place_in_a_stream_is_a_number_or_nothing(api: ApiRoom, place: str) -> None:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": place}
    problem_of(await api.http.get("/events", headers=headers), 422, "request_invalid")


async def test_a_part_of_an_answer_is_not_served_and_the_whole_is_sent(api: ApiRoom) -> None:
    """A server may pass over Range (RFC 9110, section 14.2); what it then sends must not be called a part."""
    answer = await api.http.get("/openapi.json", headers={"Range": "bytes=0-9"})
    assert (answer.status_code, "content-range" in answer.headers) == (200, False)
    assert answer.json()["openapi"]


async def test_an_id_that_no_database_can_hold_is_refused_by_its_page_too(api: ApiRoom) -> None:
    for path in ("/console/orders/%00", "/console/orders/a%00/live", "/console/orders/" + "a" * 1_001):
        answer = await api.http.get(path)
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (422, "text/html")


@pytest.mark.parametrize(
    "path",
    ["status", "result", "", "events", "explain", "inbound/some-event"],
)
async def test_an_order_that_nobody_knows_is_not_found(api: ApiRoom, path: str) -> None:
    problem_of(await api.http.get(f"/orders/{new_order_id()}/{path}".rstrip("/")), 404, "order_not_found")


async def test_a_stream_of_an_order_that_nobody_knows_is_not_found(api: ApiRoom) -> None:
    answer = await api.http.get(f"/orders/{new_order_id()}/events", headers={"Accept": "text/event-stream"})
    problem_of(answer, 404, "order_not_found")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "path_not_found"),
        ("GET", "/orders/a/b/c", 404, "path_not_found"),
        ("GET", "/orders/", 404, "path_not_found"),
        ("DELETE", "/orders/o-1", 405, "method_not_allowed"),
        ("GET", "/orders/o-1/start", 405, "method_not_allowed"),
        ("GET", "/orders/-bad-/status", 422, "request_invalid"),
        ("GET", "/orders/%00/status", 422, "request_invalid"),
        ("GET", "/orders?state=NOWHERE", 422, "request_invalid"),
        ("GET", "/orders?limit=0", 422, "request_invalid"),
        ("GET", "/orders?created_since=soon", 422, "request_invalid"),
        ("GET", "/orders?cursor=made-up", 422, "request_invalid"),
        ("GET", "/dead-letters/no-place", 422, "request_invalid"),
        ("GET", "/dead-letters/replays/none", 404, "replay_not_found"),
        ("GET", "/problems/none", 404, "path_not_found"),
    ],
)
async def test_what_is_not_there_or_not_possible_is_a_problem_too(
    api: ApiRoom, method: str, path: str, status: int, code: str
) -> None:
    problem_of(await api.http.request(method, path), status, code)


async def test_every_problem_s_type_leads_to_what_it_means(api: ApiRoom) -> None:
    problem = problem_of(await api.http.get("/nothing"), 404, "path_not_found")
    page = (await api.http.get(problem["type"])).json()
    assert (page["code"], page["title"], page["status"]) == ("path_not_found", problem["title"], 404)


async def test_no_browser_is_told_to_guess_or_to_frame(api: ApiRoom) -> None:
    headers = (await api.http.get("/")).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "server" not in headers
