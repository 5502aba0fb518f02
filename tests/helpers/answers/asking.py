"""Puts the table's requests to an API, and holds what it answers to the table."""

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from tests.helpers.answers.cases import Case, Says
from tests.helpers.answers.table import Named, Row, rows_of, written
from tests.helpers.system.api_room import ANSWER_SECONDS, problem_of

JSON = {"Content-Type": "application/json"}


def every_row(case: Case) -> Callable[[Callable[..., Any]], Any]:
    """Has a test run for each row to which the case can happen, as its parameter `row`."""
    return pytest.mark.parametrize("row", rows_of(case), ids=lambda row: row.name)


def new_key() -> Mapping[str, str]:
    """A key that nobody has used."""
    return {"Idempotency-Key": secrets.token_hex(8)}


async def ask(http: httpx.AsyncClient, row: Row, named: Named, **changes: Any) -> httpx.Response:
    """Sends a row's request; of a stream it reads no more than how it begins.

    Args:
        http: a client of the API.
        row: what is sent.
        named: what its path and body name.
        changes: ``headers`` and ``query`` beside the row's, ``body`` and ``path`` instead of them, and ``timeout``.
    """
    body = changes.get("body", row.body)
    content = None if body is None else json.dumps(written(body, named))
    headers = {**(JSON if content else {}), **row.headers, **changes.get("headers", {})}
    query = {**row.query, **changes.get("query", {})}
    path, allowed = changes.get("path", row.path(named)), changes.get("timeout", ANSWER_SECONDS)
    async with http.stream(row.method, path, content=content, headers=headers, params=query, timeout=allowed) as answer:
        if not (row.is_stream and answer.status_code == httpx.codes.OK):
            await answer.aread()
        return answer


def assert_answered(answer: httpx.Response, says: Says, why: str = "") -> None:
    """Fails unless an answer is what the table says.

    Args:
        answer: what was answered.
        says: what the table says.
        why: what the API has said of it, to be shown where it fails.
    """
    if says.code is not None:
        problem_of(answer, says.status, says.code)
        return
    text = "a stream" if answer.is_closed and not answer.is_stream_consumed else f"{answer.text}\n{why}"
    assert answer.status_code == says.status, text
    if says.has is not None:
        member, value = says.has
        assert answer.json()[member] == value, text


def answer_of(row: Row, case: Case) -> Says:
    """What the table says is answered; fails where it says that nothing is, or that the case cannot happen."""
    says = row.cells[case]
    assert isinstance(says, Says)
    return says
