"""What a request is told that names something wrong: which field or parameter it is, and what there is instead."""

from typing import Any

import httpx
import pytest

from orders.web.contract import unconnected_app


async def refusal(method: str, path: str, **request: Any) -> dict[str, Any]:
    transport = httpx.ASGITransport(unconnected_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        answer = await http.request(method, path, **request)
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "request_invalid")
    return problem


@pytest.mark.parametrize(
    ("query", "parameter"), [("state=completed", "state"), ("state=PAID&state=paid", "state"), ("limit=9999", "limit")]
)
async def test_a_parameter_is_named_as_it_is_sent(query: str, parameter: str) -> None:
    problem = await refusal("GET", f"/orders?{query}")
    assert [error["parameter"] for error in problem["errors"]] == [parameter]
    assert problem["detail"].startswith(f"{parameter} is ")


async def test_a_field_that_a_replay_does_not_have_is_told_with_those_that_it_has() -> None:
    problem = await refusal("POST", "/dead-letters/replays", json={"reason": ["key_missing"]})
    (error,) = problem["errors"]
    assert error["pointer"] == "/reason"
    assert error["detail"].startswith("is no field of this body: there are dead_letters, reasons, topics")
