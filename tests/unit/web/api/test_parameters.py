"""Query parameters of every operation: others are refused, before a server is needed, so there is none here."""

from urllib.parse import urlencode

import httpx
import pytest

from orders.web.contract import document, unconnected_app
from tests.helpers.answers.table import TABLE, Named, Row
from tests.helpers.answers.wrong import operation_of

APP = unconnected_app()
NAMED = Named("o-1", event_id="e-1", place="0:1", replay_id="r-1")


@pytest.fixture
def http() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://127.0.0.1")


def documented(operation: str) -> list[str]:
    parameters = operation_of(operation).get("parameters", [])
    return [one["name"] for one in parameters if one["in"] == "query"]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
async def test_a_parameter_that_an_operation_does_not_have_is_refused_and_those_that_it_has_are_named(
    http: httpx.AsyncClient, row: Row
) -> None:
    known = documented(row.operation)
    # The values of those that there are may be wrong; the answer says nothing of them, as they are looked at later.
    query = urlencode([*((name, "") for name in known), ("custmer_id", "c-1"), ("custmer_id", "c-2"), ("x", "")])
    answer = await http.request(row.method, row.path(NAMED), params=query, headers=row.headers, json=row.body)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "request_invalid"
    assert [error["parameter"] for error in problem["errors"]] == ["custmer_id", "x"]
    assert problem["errors"][0]["detail"].endswith(f": there are {', '.join(known) or 'none'}")


async def test_head_refuses_what_get_refuses(http: httpx.AsyncClient) -> None:
    answer = await http.head("/?custmer_id=c-1")
    assert (answer.status_code, answer.content) == (422, b"")


async def test_however_many_there_are_the_answer_is_short(http: httpx.AsyncClient) -> None:
    answer = await http.get("/orders", params={f"x{number}": "1" for number in range(2_000)})
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 50


async def test_a_question_mark_alone_is_no_parameter(http: httpx.AsyncClient) -> None:
    assert (await http.get("/problems/stale?")).status_code == 200
    assert (await http.get("/problems/stale?&")).status_code == 200


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/console/sign-in"])
async def test_pages_that_people_follow_links_to_pass_over_what_they_do_not_know(
    http: httpx.AsyncClient, path: str
) -> None:
    assert (await http.get(path, params={"utm_source": "newsletter"})).status_code == 200


def test_the_document_says_so() -> None:
    assert "A query parameter that an operation does not have is refused" in document()["info"]["description"]
