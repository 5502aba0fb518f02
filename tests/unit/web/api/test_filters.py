"""Filters of lists, asked of the application without a server: what is wrong is refused before one is needed."""

import httpx
import pytest

from orders.web.contract import unconnected_app


@pytest.fixture
def http() -> httpx.AsyncClient:
    transport = httpx.ASGITransport(unconnected_app())
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/orders", "state customer_id payment_id unchanged_since created_since sort cursor limit"),
        ("/dead-letters", "reason topic order_id since until limit"),
    ],
)
async def test_a_parameter_that_a_list_does_not_have_is_refused_and_those_that_it_has_are_named(
    http: httpx.AsyncClient, path: str, names: str
) -> None:
    answer = await http.get(path, params=[("limit", "5"), ("custmer_id", "c-1"), ("custmer_id", "c-2"), ("x", "")])
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "request_invalid"
    assert [error["parameter"] for error in problem["errors"]] == ["custmer_id", "x"]
    assert problem["errors"][0]["detail"].endswith(f"there are {', '.join(names.split())}")


async def test_however_many_there_are_the_answer_is_short(http: httpx.AsyncClient) -> None:
    answer = await http.get("/orders", params={f"x{number}": "1" for number in range(2_000)})
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 50
