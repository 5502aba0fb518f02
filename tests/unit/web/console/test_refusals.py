"""What a browser is told whose request came to nothing, and what a program is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from orders.errors import UnreachableError, WrongSettingsError
from orders.settings import Settings
from orders.web.console.pages.refusals import ConsoleRoute, respond
from orders.web.contract import unconnected_app
from orders.web.identity.site import SESSION_COOKIE
from orders.web.middleware import Guarded
from orders.web.problems import PROBLEM_TYPES, Problem
from tests.helpers.system.processes import free_port

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
"""As Chromium and Firefox send it where a person opens an address."""
LOCAL = "http://localhost"


Form = Mapping[str, str | Sequence[str]]


async def ask(
    app: Any,
    path: str,
    *,
    method: str = "GET",
    accept: str | None = BROWSER,
    url: str = LOCAL,
    form: Form | None = None,
    **headers: str,
) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    sent = {} if accept is None else {"Accept": accept}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=transport, base_url=url) as http:
        return await http.request(method, path, headers=sent, data=form)


def assert_page(answer: httpx.Response, status: int, title: str) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8"), answer.text
    assert f"<h1>{title}</h1>" in answer.text
    assert 'href="/console/"' in answer.text, "a way back"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert answer.json()["code"] == code


@pytest.fixture
def app() -> FastAPI:
    return unconnected_app()


@pytest.mark.parametrize(
    "path", ["/console/nothing", "/console/orders/a/b/c", "/nothing", "/favicon.ico/x", "/orders/"]
)
async def test_an_address_of_nothing_is_a_page_to_a_browser_and_a_problem_to_a_program(app: FastAPI, path: str) -> None:
    assert_page(await ask(app, path), 404, "There is no such page")
    for accept in ("application/json", "application/problem+json", "application/json, text/html;q=0.5"):
        assert_problem(await ask(app, path, accept=accept), 404, "path_not_found")


@pytest.mark.parametrize("accept", [None, "*/*"])
async def test_who_does_not_say_what_they_read_has_pages_at_the_console_and_problems_elsewhere(
    app: FastAPI, accept: str | None
) -> None:
    assert_page(await ask(app, "/console/nothing", accept=accept), 404, "There is no such page")
    assert_problem(await ask(app, "/nothing", accept=accept), 404, "path_not_found")


async def test_an_address_that_only_forms_send_to_says_so(app: FastAPI) -> None:
    answer = await ask(app, "/console/decisions")
    assert_page(answer, 405, "This address is no page")
    assert answer.headers["allow"] == "POST"
    assert_page(await ask(app, "/console/sign-in", method="PUT"), 405, "This address is no page")


async def test_at_the_api_s_addresses_a_browser_too_reads_what_programs_read(app: FastAPI) -> None:
    assert_problem(await ask(app, "/orders/o-1/start"), 405, "method_not_allowed")
    assert_problem(await ask(app, "/problems/none"), 404, "path_not_found")
    assert_problem(await ask(app, "/orders?limit=0"), 422, "request_invalid")


async def test_a_page_of_another_site_and_a_foreign_host_are_told_by_a_page(app: FastAPI) -> None:
    form = await ask(app, "/console/decisions", method="POST", Sec_Fetch_Site="cross-site")
    assert_page(form, 403, PROBLEM_TYPES["cross_site_request"].title)
    assert_page(await ask(app, "/console/", url="http://elsewhere"), 421, PROBLEM_TYPES["host_not_local"].title)
    assert_problem(await ask(app, "/orders", url="http://elsewhere"), 421, "host_not_local")


def broken(error: Callable[[], Exception]) -> FastAPI:
    app = unconnected_app()

    async def fail() -> None:
        raise error()

    app.add_api_route("/console/broken", fail)
    app.add_api_route("/broken", fail)
    app.router.add_api_route("/console/page", fail, route_class_override=ConsoleRoute)
    return app


@pytest.mark.parametrize("path", ["/console/broken", "/console/page"])
async def test_what_nobody_foresaw_is_a_page_that_an_operator_can_find_the_cause_by(path: str) -> None:
    app = broken(lambda: RuntimeError("a secret of 7d21"))
    answer = await ask(app, path)
    assert_page(answer, 500, "That did not work")
    assert "in the server&#39;s log, by " in answer.text
    assert "Try again" in answer.text
    assert "7d21" not in answer.text
    assert_problem(await ask(app, "/broken"), 500, "internal_error")
    assert_problem(await ask(app, path, accept="application/json"), 500, "internal_error")


async def test_a_setting_that_is_wrong_is_told_to_the_log_and_not_to_the_caller() -> None:
    app = broken(lambda: WrongSettingsError("DB_TLS_CA_FILE cannot be read"))
    with capture_logs() as lines:
        answer = await ask(app, "/broken")
    assert_problem(answer, 500, "internal_error")
    assert "DB_TLS_CA_FILE" not in answer.text
    assert "DB_TLS_CA_FILE cannot be read" in [line.get("detail") for line in lines]


async def test_a_server_that_is_away_is_a_page_with_a_way_to_try_again() -> None:
    app = broken(lambda: UnreachableError("Postgres does not answer at 127.0.0.1:1"))
    answer = await ask(app, "/console/broken")
    assert_page(answer, 503, "A server does not answer")
    assert "Postgres does not answer at 127.0.0.1:1" in answer.text
    assert 'href="/console/broken">Try again' in answer.text
    assert answer.headers["retry-after"]


async def test_too_many_requests_are_a_page_that_says_how_long_to_wait() -> None:
    app = broken(lambda: Problem("too_many_requests", "this caller", headers={"Retry-After": "12"}))
    answer = await ask(app, "/console/broken")
    assert_page(answer, 429, "Too many requests")
    assert "Wait 12 s, then try again." in answer.text
    assert answer.headers["retry-after"] == "12"


async def serves_nobody(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise AssertionError("it was served")


async def test_a_server_with_too_much_to_do_says_so_without_asking_who_it_is() -> None:
    guard = Guarded(serves_nobody, requests_max=0, respond=respond)
    answer = await ask(guard, "/console/")
    assert_page(answer, 503, "The server has too much to do")
    assert answer.headers["retry-after"]
    assert "not signed in" not in answer.text, "it is not known who looks"
    assert_problem(await ask(guard, "/orders"), 503, "overloaded")


async def test_where_no_page_can_be_made_there_is_the_problem_s_document() -> None:
    async def fails(_request: Request, _problem: Problem) -> Response:
        raise RuntimeError("no template")

    assert_problem(await ask(Guarded(serves_nobody, requests_max=0, respond=fails), "/console/"), 503, "overloaded")


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (
            "/console/orders?age=century",
            "The address names a filter that does not exist: choose one of the page&#39;s.",
        ),
        (
            "/console/orders?order=colour",
            "The address names a filter that does not exist: choose one of the page&#39;s.",
        ),
        ("/console/orders?state=LOST", "There is no state of this name: choose one of RECEIVED, "),
        ("/console/orders?q=a%00b", "No id has a NUL character."),
        ("/console/dead-letters?since=century", "The address names a filter that does not exist: choose one of "),
    ],
)
async def test_an_address_that_names_what_no_page_offers_says_so(app: FastAPI, path: str, sentence: str) -> None:
    answer = await ask(app, path)
    assert_page(answer, 422, "That cannot be done")
    assert sentence in answer.text


BATCH = "b" * 32


def a_session() -> str:
    return f"{SESSION_COOKIE.name(secure=True)}={'s' * 43}"


@pytest.mark.parametrize(
    ("path", "form", "sentence"),
    [
        ("decisions", {"choice": "approve"}, "No order is selected: select one, then decide. Nothing was done."),
        (
            "decisions",
            {"choice": "approve", "order": [f"2:o-{number}" for number in range(101)]},
            "The form names more than 100 orders, which no page shows. Nothing was done.",
        ),
        ("decisions", {"order": "2:o-1"}, "Say what is to be done: approve or cancel, by its button."),
        ("decisions", {"order": "2:o-1", "choice": "cancel"}, "Say why: an order is cancelled with a reason."),
        (
            "decisions",
            {"order": "2:o-1", "choice": "readdress"},
            "The form gives no address: load the order&#39;s page",
        ),
        ("addresses", {"order": "2:o-1"}, "Nothing was sent: the address is the same as before."),
        ("dead-letters/plans", {}, "No dead letter is selected: select one first. Nothing was done."),
        (
            "dead-letters/plans",
            {"place": [f"0:{number}" for number in range(501)]},
            "The form names more than 500 dead letters, which no page shows. Nothing was done.",
        ),
    ],
)
async def test_a_form_that_nothing_can_be_done_with_says_what_is_missing(
    app: FastAPI, path: str, form: Form, sentence: str
) -> None:
    answer = await ask(app, f"/console/{path}", method="POST", form={"batch": BATCH, **form})
    assert_page(answer, 422, "That cannot be done")
    assert sentence in answer.text


async def test_a_replay_that_the_process_does_not_know_says_what_to_do(app: FastAPI) -> None:
    answer = await ask(app, "/console/dead-letters/replays/none")
    assert answer.status_code == 404
    assert "This replay is not known any more: the server was started again since." in answer.text


async def test_a_file_that_is_not_the_console_s_is_not_served(app: FastAPI) -> None:
    answer = await ask(app, "/console/static/secrets.js")
    assert (answer.status_code, "cache-control" in answer.headers) == (404, False), answer.text


async def test_the_console_s_address_without_its_slash_leads_to_it(app: FastAPI) -> None:
    answer = await ask(app, "/console")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")


async def test_a_program_that_sends_a_form_is_told_which_field_is_wrong(app: FastAPI) -> None:
    form = {"batch": BATCH, "choice": "postpone", "order": "2:o-1"}
    answer = await ask(app, "/console/decisions", method="POST", form=form, accept="application/json")
    assert_problem(answer, 422, "request_invalid")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/choice"]


async def test_while_postgres_is_away_a_page_says_of_nobody_that_they_are_not_signed_in() -> None:
    away = Settings(_env_file=None, db_port=free_port(), api_identity="required")
    answer = await ask(unconnected_app(away), "/console/nothing", url="https://localhost", Cookie=a_session())
    assert_page(answer, 404, "There is no such page")
    assert "/console/sign-in" not in answer.text


async def test_a_cookie_that_is_none_of_ours_is_signed_out_without_a_look_at_postgres() -> None:
    away = Settings(_env_file=None, db_port=free_port())
    cookie, from_here = "orders-session=none", "same-origin"
    answer = await ask(
        unconnected_app(away), "/console/sign-out", method="POST", Cookie=cookie, Sec_Fetch_Site=from_here
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in?signed-out")


async def test_where_nobody_has_to_sign_in_the_page_says_so(app: FastAPI) -> None:
    assert "Nobody has to sign in here: this is a development system." in (await ask(app, "/console/sign-in")).text


async def test_who_is_not_signed_in_is_led_to_sign_in_and_back_to_what_they_asked_for() -> None:
    app = unconnected_app(Settings(_env_file=None, api_identity="required"))
    answer = await ask(app, "/console/orders?state=PAID&q=c-1")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/console/sign-in?next=%2Fconsole%2Forders%3Fstate%3DPAID%26q%3Dc-1"
    nowhere = await ask(app, "/console/nothing")
    assert_page(nowhere, 404, "There is no such page")
    assert 'href="/console/sign-in?next=%2Fconsole%2Fnothing"' in nowhere.text
    assert_problem(await ask(app, "/console/orders", accept="application/json"), 401, "not_signed_in")
    sent = await ask(app, "/console/decisions", method="POST", Sec_Fetch_Site="same-origin")
    assert_page(sent, 401, PROBLEM_TYPES["not_signed_in"].title)
    assert "Nothing was done." in sent.text


@pytest.mark.parametrize("path", ["/console/decisions", "/console/dead-letters/plans"])
async def test_a_form_of_more_fields_than_are_read_is_refused_and_is_no_defect_of_ours(app: FastAPI, path: str) -> None:
    form = {f"field-{number}": "x" for number in range(1_001)}
    answer = await ask(app, path, method="POST", form=form)
    assert answer.status_code == 422, answer.text
    problem = await ask(app, path, method="POST", form=form, accept="application/json")
    assert_problem(problem, 422, "request_invalid")
    assert problem.json()["detail"].startswith("the form cannot be read: Too many fields")
