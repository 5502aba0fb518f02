"""API keys on a real database: made and revoked by the command, shown to a real port."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from orders.operations.key_text import new_key_text
from orders.processes.exit_status import ExitStatus
from orders.roles import Role
from stack.endpoints import Endpoints
from tests.helpers.system.command_line import run_in_process
from tests.helpers.system.waiting import assert_eventually
from tests.integration.web.identity.api import RunningApi, running_api, settings_for


@pytest.fixture
def command_settings(endpoints: Endpoints, engine: AsyncEngine) -> dict[str, str]:
    return {**endpoints.as_environment(), "DB_NAME": engine.url.database or ""}


async def test_a_key_that_the_command_prints_lets_its_owner_in_with_its_role(
    api: RunningApi, command_settings: dict[str, str]
) -> None:
    made = await run_in_process(["api-keys", "create", "web shop", "--role", "approver"], command_settings)
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    assert key.count("\n") == 0

    who = await api.who(key)

    assert who.status_code == 200, who.text
    assert who.json() == {
        "name": "web shop",
        "roles": ["approver", "viewer"],
        "via": "api_key",
        "caller_id": "api_key:web shop",
    }
    assert (await api.approve(key)).status_code == 200


async def test_a_viewer_s_key_looks_and_may_do_nothing(api: RunningApi) -> None:
    key = (await api.key("onlooker", Role.VIEWER)).text
    assert (await api.who(key)).status_code == 200
    refused = await api.approve(key)
    assert refused.status_code == 403
    problem = refused.json()
    assert problem["code"] == "not_allowed"
    assert problem["detail"] == "this needs the role approver; 'onlooker' has the role viewer"


async def test_nobody_without_an_identity_is_let_in(api: RunningApi) -> None:
    for refused in (await api.who(), await api.approve()):
        assert refused.status_code == 401
        assert refused.json()["code"] == "not_signed_in"
        assert refused.headers["WWW-Authenticate"] == 'Bearer realm="orders"'


@pytest.mark.parametrize(
    "header",
    ["Basic dXNlcjpwYXNz", "Bearer", "Bearer a b", "ord_x", "bearer eyJhbGciOiJub25lIn0.e30.", "Bearer \xff"],
)
async def test_what_is_no_key_is_refused(api: RunningApi, header: str) -> None:
    refused = await api.http.get("/who", headers=[(b"Authorization", header.encode("latin-1"))])
    assert refused.status_code == 401, refused.text
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]


async def test_two_credentials_at_once_are_refused(api: RunningApi) -> None:
    key = (await api.key()).text
    headers = [("Authorization", f"Bearer {key}"), ("Authorization", f"Bearer {key}")]
    assert (await api.http.get("/who", headers=headers)).status_code == 401


async def test_a_key_with_a_wrong_secret_an_unknown_one_and_a_mistyped_one_are_refused(api: RunningApi) -> None:
    good, other = (await api.key()), new_key_text()
    assert (await api.who(other.text)).json()["detail"] == "the API key is unknown"
    # The right id with another secret, and the checksum of that.
    forged = await api.who(_with_id(other.text, good.record.key_id))
    assert forged.status_code == 401
    mistyped = await api.who(good.text[:20] + ("A" if good.text[20] != "A" else "B") + good.text[21:])
    assert "mistake in it" in mistyped.json()["detail"]
    assert (await api.who(good.text)).status_code == 200


def _with_id(text: str, key_id: str) -> str:
    from orders.operations import key_text  # noqa: PLC0415 - its inside, for this one forgery

    unchecked = f"ord_{key_id}_{text.split('_')[2][:43]}"
    return unchecked + key_text._checksum(unchecked)


async def test_a_revoked_key_is_refused_within_the_time_that_it_is_remembered(
    endpoints: Endpoints, engine: AsyncEngine, command_settings: dict[str, str]
) -> None:
    settings = settings_for(endpoints, engine.url, api_key_cache_seconds=0.5)
    async with running_api(settings) as api:
        key = await api.key("soon gone")
        assert (await api.who(key.text)).status_code == 200

        revoked = await run_in_process(["api-keys", "revoke", key.text], command_settings)
        assert revoked.returncode == 0, revoked.stderr
        assert key.text not in revoked.stdout + revoked.stderr

        async def refused() -> bool:
            answer = await api.who(key.text)
            return answer.status_code == 401 and answer.json()["detail"] == "the API key was revoked"

        await assert_eventually(refused, 20)


async def test_a_key_expires_without_anybody_s_doing(endpoints: Endpoints, engine: AsyncEngine) -> None:
    async with running_api(settings_for(endpoints, engine.url)) as api:
        key = await api.key("short-lived")
        soon = datetime.now(UTC) + timedelta(seconds=1)
        async with engine.begin() as connection:
            statement = text("UPDATE api_keys SET expires_at = :soon WHERE id = :id")
            await connection.execute(statement, {"soon": soon, "id": key.record.key_id})
        known = await api.who(key.text)
        assert known.status_code == 200 or datetime.now(UTC) >= soon, "a busy machine may be too late"

        async def expired() -> bool:
            answer = await api.who(key.text)
            return answer.status_code == 401 and answer.json()["detail"] == "the API key has expired"

        # Although the key is remembered: its time is looked at with each request.
        await assert_eventually(expired, 20)


async def test_a_request_costs_no_statement_while_its_key_is_remembered(api: RunningApi) -> None:
    key = (await api.key("busy")).text
    await api.who(key)
    statements: list[str] = []
    async with api.clients.database() as engine:
        event.listen(engine.sync_engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        for _ in range(20):
            assert (await api.who(key)).status_code == 200
    assert statements == []


async def test_when_a_key_was_last_used_is_kept_coarsely(api: RunningApi, command_settings: dict[str, str]) -> None:
    key = await api.key("noted")

    async def listed() -> dict[str, object]:
        ended = await run_in_process(["api-keys", "list", "--json"], command_settings)
        lines = [json.loads(line) for line in ended.stdout.splitlines()]
        return next(line for line in lines if line["id"] == key.record.key_id)

    assert (await listed())["last_used_at"] is None
    await api.who(key.text)
    noted = (await listed())["last_used_at"]
    assert noted is not None
    await api.who(key.text)
    assert (await listed())["last_used_at"] == noted
    async with api.clients.database() as engine, engine.begin() as connection:
        kept = await connection.scalar(text("SELECT string_agg(api_keys::text, ' ') FROM api_keys"))
    assert key.text.split("_")[2][:43] not in str(kept), "the database has digests only"


async def test_the_command_tells_of_namesakes_and_of_what_it_cannot_do(
    api: RunningApi, command_settings: dict[str, str]
) -> None:
    create = ["api-keys", "create"]
    first = await run_in_process(
        [*create, "twin", "--role", "viewer", "--expires", "never", "--json"], command_settings
    )
    second = await run_in_process([*create, "twin", "--role", "viewer", "--json"], command_settings)
    made, again = json.loads(first.stdout), json.loads(second.stdout)
    assert made["expires_at"] is None
    assert datetime.fromisoformat(again["expires_at"]) > datetime.now(UTC) + timedelta(days=89)
    assert made["id"] in second.stderr, "whose key the second one is as well"
    assert (await api.who(made["key"])).json()["caller_id"] == (await api.who(again["key"])).json()["caller_id"]

    for wrong in (
        [*create, "bad\nname", "--role", "viewer"],
        [*create, "", "--role", "viewer"],
        [*create, "x", "--role", "owner"],
        [*create, "x"],
        [*create, "x", "--role", "viewer", "--expires", "tomorrow"],
        [*create, "x", "--role", "viewer", "--expires", "2020-01-01T00:00:00Z"],
        ["api-keys", "revoke", "nonsense"],
    ):
        refused = await run_in_process(wrong, command_settings)
        assert refused.returncode == ExitStatus.USAGE, wrong
        assert refused.stdout == ""
    unknown = await run_in_process(["api-keys", "revoke", new_key_text().key_id], command_settings)
    assert unknown.returncode == ExitStatus.FAILURE

    revoked = await run_in_process(["api-keys", "revoke", again["id"], "--json"], command_settings)
    told = json.loads(revoked.stdout)
    assert (told["id"], told["name"]) == (again["id"], "twin")
    assert told["revoked_at"] is not None
    assert "key" not in told

    table = await run_in_process(["api-keys", "list"], command_settings)
    assert f"ord_{made['id']}" in table.stdout
    assert "good, does not expire" in table.stdout
    assert made["key"].split("_")[2] not in table.stdout


async def test_while_postgres_is_away_a_key_that_is_not_remembered_gets_503_and_no_refusal(
    endpoints: Endpoints, engine: AsyncEngine
) -> None:
    async with running_api(settings_for(endpoints, engine.url, db_port=1)) as api:
        answer = await api.who(new_key_text().text)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.json()["code"] == "server_unreachable"
