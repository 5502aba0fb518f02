"""Requests that decide something, on real servers: done once, told truly, refused with a reason."""

import asyncio
import json
import shlex
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.helpers.system.api_room import ApiRoom, new_order_id, problem_of
from tests.helpers.system.processes import clean_environment
from tests.helpers.system.waiting import assert_eventually

ADDRESS = {"street": "2 Example Street", "city": "Utrecht", "state": "UT", "zip_code": "3511 AA", "country": "NL"}


async def outcome_at(api: ApiRoom, location: str, status: str) -> dict[str, Any]:
    """The outcome at a Location, once it is decided."""
    answers: list[httpx.Response] = []

    async def decided() -> bool:
        answers[:] = [await api.http.get(location)]
        if answers[0].status_code == 202:
            assert answers[0].headers["retry-after"] == "1"
        return answers[0].status_code != 202

    await assert_eventually(decided, 30, lambda: f"{location} decided")
    assert answers[0].status_code == 200, answers[0].text
    outcome: dict[str, Any] = answers[0].json()
    assert outcome["status"] == status
    return outcome


CURL_LINES = """
curl -X POST {base}/orders/{id}/start -H 'Content-Type: application/json' -d '{{"payment_id": "payment-001"}}'
curl {base}/orders/{id}/status
curl -X POST {base}/orders/{id}/signals/update-address -H 'Content-Type: application/json' -d '{address}'
curl -X POST {base}/orders/{id}/signals/approve
curl {base}/orders/{id}/result
curl -X POST {base}/orders/{id}/signals/cancel
curl {base}/
"""


async def typed(line: str) -> tuple[int, dict[str, Any]]:
    """What a line answers, run as it is typed but for the status behind the answer."""
    name, *arguments = shlex.split(line)
    command = [name, "-sS", "-w", "\n%{http_code}", *arguments]
    ran = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env=clean_environment({}), stderr=asyncio.subprocess.PIPE
    )
    output, errors = await ran.communicate()
    assert ran.returncode == 0, errors
    body, _, status = output.decode().rpartition("\n")
    return int(status), json.loads(body)


async def test_the_lines_that_a_person_types_take_an_order_from_start_to_end(api: ApiRoom) -> None:
    order_id = new_order_id()
    lines = CURL_LINES.format(
        base=api.http.base_url, id=order_id, address=json.dumps(ADDRESS)
    ).strip().replace("payment-001", f"payment-{order_id}").splitlines()  # fmt: skip
    start = await typed(lines[0])
    assert (start[0], start[1]["status"]) == (202, "accepted")

    async def waits() -> bool:
        return bool((await typed(lines[1]))[1]["step"] == "AWAITING_MANUAL_APPROVAL")

    await assert_eventually(waits, 30)
    where, moved, approved, over, cancelled, root = [await typed(line) for line in lines[1:]]
    assert (where[0], where[1]["approved"]) == (200, False)
    assert where[1]["waits_until"] is not None
    assert moved[0] == approved[0] == cancelled[0] == 202
    assert (over[0], over[1]["status"], over[1]["state"]) == (200, "over", "COMPLETED")
    assert over[1]["address"] == ADDRESS
    assert (root[0], root[1]["status"]) == (200, "ok")


async def test_a_client_that_waits_is_told_what_became_of_its_request(api: ApiRoom) -> None:
    order_id = await api.start_order(customer_id="c-7")
    approved = await api.signal(order_id, "approve", {"note": "looks right"})
    assert (approved.status_code, approved.json()["status"]) == (200, "applied")
    assert approved.headers["preference-applied"] == "wait=30"
    over = await api.http.get(f"/orders/{order_id}/result")
    assert (over.status_code, over.json()["state"]) == (200, "COMPLETED")
    late = problem_of(await api.signal(order_id, "cancel"), 409, "order_closed")
    assert late["title"] == "The order is over"


async def test_a_client_that_does_not_wait_finds_the_outcome_at_its_location(api: ApiRoom) -> None:
    order_id = await api.start_order()
    sent = await api.signal(order_id, "cancel", {"reason": "ordered twice"}, Prefer="respond-async")
    assert (sent.status_code, sent.json()["status"]) == (202, "accepted")
    assert sent.headers["retry-after"] == "1"
    outcome = await outcome_at(api, sent.headers["location"], "applied")
    assert outcome["event_id"] == sent.json()["event_id"]
    without_type = await api.http.get(urlsplit(sent.headers["location"]).path)
    assert without_type.json() == outcome
    again = await api.signal(order_id, "cancel", Prefer="respond-async")
    refused = await outcome_at(api, again.headers["location"], "rejected")
    assert refused["reason"] == "order_closed"


async def test_who_decided_is_who_is_signed_in_and_is_in_the_journal(api: ApiRoom) -> None:
    order_id = await api.start_order()
    await api.signal(order_id, "update-address", ADDRESS)
    await api.signal(order_id, "cancel", {"reason": "no longer wanted"})
    row = (await api.http.get(f"/orders/{order_id}")).json()
    assert (row["state"], row["decided_by"]) == ("CANCELLED", "development")
    events = (await api.http.get(f"/orders/{order_id}/events")).json()["events"]
    assert (events[-2]["type"], events[-2]["cause"]["by"]) == ("order.address_changed", "development")
    assert (events[-1]["cause"]["by"], events[-1]["cause"]["note"]) == ("development", "no longer wanted")
    assert events[-1]["cause"]["verified_by"] is None, "everybody may do everything, so nobody was asked"


async def test_the_same_key_and_body_is_done_once_and_answered_alike(api: ApiRoom) -> None:
    order_id, key = new_order_id(), "my-key"
    body = {"payment_id": f"p-{order_id}", "customer_id": "c-1"}
    headers = {"Idempotency-Key": key, "Prefer": "wait=30"}
    first = await api.http.post(f"/orders/{order_id}/start", json=body, headers=headers)
    assert (first.status_code, first.headers["location"]) == (201, f"/orders/{order_id}")
    assert "idempotent-replayed" not in first.headers
    reordered = dict(reversed(body.items()))
    for repeat in (body, reordered):
        again = await api.http.post(f"/orders/{order_id}/start", json=repeat, headers={"Idempotency-Key": f'"{key}"'})
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        assert again.headers["idempotent-replayed"] == "true"
    other = {**body, "customer_id": "c-2"}
    problem_of(
        await api.http.post(f"/orders/{order_id}/start", json=other, headers=headers), 422, "idempotency_key_reused"
    )

    async def states() -> list[str]:
        return [event["state"] for event in (await api.http.get(f"/orders/{order_id}/events")).json()["events"]]

    async def is_validated() -> bool:
        return "VALIDATED" in await states()

    await assert_eventually(is_validated)
    assert await states() == ["RECEIVED", "VALIDATED"]


async def test_the_same_key_for_another_kind_of_request_is_refused(api: ApiRoom) -> None:
    order_id = await api.start_order()
    first = await api.signal(order_id, "update-address", ADDRESS, Idempotency_Key="one")
    assert first.status_code == 200
    problem_of(await api.signal(order_id, "approve", Idempotency_Key="one"), 409, "event_id_reused")


async def test_twenty_equal_requests_at_once_are_one(api: ApiRoom) -> None:
    order_id = await api.start_order()
    answers = await asyncio.gather(
        *(api.signal(order_id, "cancel", {"reason": "x"}, Idempotency_Key="same") for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {200}
    events = (await api.http.get(f"/orders/{order_id}/events")).json()["events"]
    assert [event["type"] for event in events] == ["order.state_changed"] * 3, "nothing was refused as a second one"


async def test_an_approval_that_comes_early_is_held_and_counts_when_its_order_comes(api: ApiRoom) -> None:
    order_id = new_order_id()
    early = await api.signal(order_id, "approve", Prefer="wait=30")
    assert (early.status_code, early.json()["status"]) == (202, "held")
    assert early.json()["waits_until"] is not None
    held = await api.http.get(early.headers["location"])
    assert (held.status_code, held.json()["status"]) == (202, "held")
    status = (await api.http.get(f"/orders/{order_id}/status")).json()
    assert (status["step"], status["held_events"]) == ("AWAITING_ORDER", 1)
    await api.http.post(f"/orders/{order_id}/start", json={"payment_id": f"p-{order_id}"})
    await outcome_at(api, early.headers["location"], "applied")
    assert (await api.http.get(f"/orders/{order_id}/result")).json()["state"] == "COMPLETED"


async def test_an_order_that_changed_since_it_was_looked_at_is_not_approved(api: ApiRoom) -> None:
    order_id = await api.start_order()
    seen = await api.http.get(f"/orders/{order_id}/status")
    row = await api.http.get(f"/orders/{order_id}")
    assert seen.headers["etag"] == row.headers["etag"] == '"2"'
    await api.signal(order_id, "update-address", {"address": {"city": "Delft"}})
    # It waits for the answer also where the client does not ask for that.
    stale = await api.http.post(f"/orders/{order_id}/signals/approve", headers={"If-Match": seen.headers["etag"]})
    problem_of(stale, 412, "order_changed")
    now = (await api.http.get(f"/orders/{order_id}/status")).headers["etag"]
    fresh = await api.http.post(f"/orders/{order_id}/signals/approve", headers={"If-Match": now})
    assert (fresh.status_code, fresh.json()["status"]) == (200, "applied")


@pytest.mark.parametrize("etags", ['"1", "2"', '"2", W/"9"', "*"])
async def test_an_order_that_is_at_one_of_several_etags_is_approved(api: ApiRoom, etags: str) -> None:
    order_id = await api.start_order()
    none_of_them = await api.signal(order_id, "approve", If_Match='"1", "3", W/"2"')
    problem_of(none_of_them, 412, "order_changed")
    answer = await api.signal(order_id, "approve", If_Match=etags)
    assert (answer.status_code, answer.json()["status"]) == (200, "applied")


async def test_a_repeat_has_its_outcome_again_whatever_it_expects_now(api: ApiRoom) -> None:
    order_id = await api.start_order()
    first = await api.signal(order_id, "approve", Idempotency_Key="k", If_Match='"2"')
    again = await api.signal(order_id, "approve", Idempotency_Key="k", If_Match='W/"2"')
    assert (again.status_code, again.json()) == (200, first.json())


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [("update-address", ADDRESS, "already_shipping"), ("cancel", None, "already_charged")],
)
async def test_what_comes_too_late_for_a_running_order_is_refused_with_its_reason(
    api: ApiRoom, name: str, body: Any, code: str
) -> None:
    order_id = await api.start_order(shipping_address={"zip_code": "FLAKY"})
    await api.signal(order_id, "approve")

    async def ships() -> bool:
        return bool((await api.http.get(f"/orders/{order_id}/status")).json()["step"] == "SHIPPING")

    await assert_eventually(ships, 30)
    problem_of(await api.signal(order_id, name, body), 409, code)


async def test_a_second_start_of_an_order_is_refused(api: ApiRoom) -> None:
    order_id = await api.start_order()
    second = await api.http.post(
        f"/orders/{order_id}/start", json={"payment_id": "p-other"}, headers={"Prefer": "wait=30"}
    )
    problem_of(second, 409, "duplicate_order")
