"""`orders settings --check --connect` and `orders doctor`, on real servers that let us in, or not everywhere."""

import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from orders.clients.kafka_rights import Right
from orders.processes.exit_status import ExitStatus
from stack.endpoints import Endpoints
from tests.helpers.servers.gateway_server import running_gateway
from tests.helpers.servers.guarded_kafka import PASSWORD, USER, GuardedKafka, guarded_kafka
from tests.helpers.servers.kafka_topics import make_topics
from tests.helpers.system.command_line import run_in_process
from tests.helpers.system.processes import free_port
from tests.helpers.system.system import TASK_QUEUES, OrderSystem, make_namespace, order_system
from tests.helpers.system.waiting import assert_eventually

TRY = ["settings", "--check", "--connect"]
TOPIC, GROUP = 2, 3
"""Kinds of resources in Kafka's protocol."""


@pytest_asyncio.fixture(scope="module")
async def system(endpoints: Endpoints, tmp_path_factory: Any) -> AsyncIterator[OrderSystem]:
    folder: Path = tmp_path_factory.mktemp("connections")
    async with order_system(endpoints, folder, start=False) as opened:
        yield opened


async def found(system: OrderSystem, **settings: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit status, and each finding by its server and what was tried there."""
    ended = await run_in_process([*TRY, "--json"], {**system.settings, **settings})
    document = json.loads(ended.stdout)
    assert document["usable"] is (ended.returncode == ExitStatus.OK)
    return ended.returncode, {f"{one['server']} {one['what']}": one for one in document["findings"]}


async def test_an_installation_that_lacks_nothing_is_said_to_lack_nothing(system: OrderSystem) -> None:
    status, findings = await found(system)
    assert status == ExitStatus.OK
    limited = {name for name, one in findings.items() if one["verdict"] != "ok"}
    assert limited == {"payment gateway connection", "carrier gateway connection"}, "the sandbox stands in"
    assert len([name for name in findings if name.startswith("kafka topic")]) == 6
    page = await run_in_process(TRY, system.settings)
    assert "orders can run" in page.stdout
    assert (await run_in_process(["settings", "--connect"], system.settings)).returncode == ExitStatus.USAGE


async def test_what_is_not_there_is_named_with_what_to_do(system: OrderSystem) -> None:
    status, findings = await found(
        system,
        KAFKA_TOPIC_ORDER_EVENTS="not-made-yet",
        TEMPORAL_NAMESPACE="not-made-yet",
        DB_NAME="postgres",
        PAYMENT_GATEWAY_URL=f"http://127.0.0.1:{free_port()}",
    )
    assert status == ExitStatus.FAILURE
    topic = findings["kafka topic not-made-yet"]
    assert (topic["verdict"], topic["detail"]) == ("missing", "is not there")
    assert "`orders migrate`" in topic["action"]
    assert "not-made-yet" in findings["temporal connection"]["detail"]
    assert findings["postgres tables"]["verdict"] == "missing"
    assert "`orders migrate`" in findings["postgres tables"]["action"]
    assert findings["payment gateway connection"]["verdict"] == "missing"


async def test_a_namespace_without_our_search_attributes_is_named_and_one_that_is_not_to_have_them_is_no_failure(
    system: OrderSystem,
) -> None:
    namespace = f"plain-{secrets.token_hex(4)}"
    await make_namespace(system.endpoints, namespace)
    status, findings = await found(system, TEMPORAL_NAMESPACE=namespace)
    lacking = findings["temporal search attributes"]
    assert (status, lacking["verdict"]) == (ExitStatus.FAILURE, "missing")
    assert "TEMPORAL_SEARCH_ATTRIBUTES=false" in lacking["action"]
    status, findings = await found(system, TEMPORAL_NAMESPACE=namespace, TEMPORAL_SEARCH_ATTRIBUTES="false")
    assert (status, findings["temporal search attributes"]["verdict"]) == (ExitStatus.OK, "limited")


async def test_servers_that_do_not_answer_are_each_named(system: OrderSystem) -> None:
    away = free_port()
    status, findings = await found(
        system,
        KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{away}",
        KAFKA_REQUEST_TIMEOUT_SECONDS="2",
        TEMPORAL_HOST=f"127.0.0.1:{away}",
        TEMPORAL_CONNECT_TIMEOUT_SECONDS="2",
        DB_PORT=str(away),
    )
    assert status == ExitStatus.FAILURE
    for server in ("kafka", "temporal", "postgres"):
        assert findings[f"{server} connection"]["verdict"] == "missing"
        assert str(away) in findings[f"{server} connection"]["detail"]


async def test_rights_that_a_database_user_lacks_are_named_with_the_statement_that_grants_them(
    system: OrderSystem,
) -> None:
    user = f"reader_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(
        host=system.endpoints.db_host,
        port=system.endpoints.db_port,
        user=system.endpoints.db_user,
        password=system.endpoints.db_password,
        database=system.settings["DB_NAME"],
    )
    try:
        await connection.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'p'")
        await connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user}")
        await connection.execute(f"GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {user}")
        await connection.execute(f"REVOKE INSERT ON events FROM {user}")
        ended = await run_in_process([*TRY, "--json"], {**system.settings, "DB_USER": user, "DB_PASSWORD": "p"})
        rights = {one["verdict"]: one for one in json.loads(ended.stdout)["findings"] if one["what"] == "rights"}
        assert rights["missing"]["action"] == f"GRANT INSERT ON events TO {user}"
        assert "may not DELETE" in rights["limited"]["detail"]
        assert ended.returncode == ExitStatus.FAILURE
    finally:
        await connection.execute(f"DROP OWNED BY {user}")
        await connection.execute(f"DROP ROLE {user}")
        await connection.close()


async def test_a_provider_is_asked_whether_it_takes_the_key(system: OrderSystem, tmp_path: Path) -> None:
    async with running_gateway(tmp_path, api_key="right") as gateway:
        urls = {"PAYMENT_GATEWAY_URL": gateway.url, "CARRIER_GATEWAY_URL": gateway.url}
        keys = {"PAYMENT_GATEWAY_API_KEY": "right", "CARRIER_GATEWAY_API_KEY": "wrong"}
        _, findings = await found(system, **urls, **keys)
    assert findings["payment gateway connection"]["verdict"] == "ok"
    assert findings["carrier gateway connection"]["verdict"] == "missing"
    assert "CARRIER_GATEWAY_API_KEY" in findings["carrier gateway connection"]["detail"]


# Kafka's rights -----------------------------------------------------------------------------------------------------


async def allow(kafka: GuardedKafka, kind: int, name: str, rights: list[Right]) -> None:
    """Gives the guarded user rights, as kafka-acls does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.endpoints.kafka_bootstrap_servers)
    await admin.start()
    try:
        controller = admin._client.get_random_node()
        for right in rights:
            literal, allowed = 3, 3
            request = CreateAclsRequest(kind, name, literal, f"User:{USER}", "*", int(right), allowed)
            answer = await admin._client.send(controller, request)
            assert [one[0] for one in answer.creation_responses] == [0]
    finally:
        await admin.close()


async def test_rights_that_kafka_does_not_give_are_named_one_by_one(system: OrderSystem, tmp_path: Path) -> None:
    async with guarded_kafka(tmp_path, system.endpoints) as kafka:
        await kafka.restart(password=PASSWORD, allowed=False)
        guarded = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.guarded_address,
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_SASL_MECHANISM": "PLAIN",
            "KAFKA_SASL_USERNAME": USER,
            "KAFKA_SASL_PASSWORD": PASSWORD,
        }
        created = system.settings["KAFKA_TOPIC_ORDER_CREATED"]
        letters, group = system.settings["KAFKA_TOPIC_DEAD_LETTERS"], system.settings["BRIDGE_GROUP_ID"]
        _, findings = await found(system, **guarded)
        unknown = findings[f"kafka topic {created}"]
        assert unknown["detail"] == "is not there, or our user may not know of it"
        assert unknown["action"] == f"allow the user 'orders' Describe, Read on the topic {created}"
        assert (
            findings[f"kafka group {group}"]["action"] == f"allow the user 'orders' Describe, Read on the group {group}"
        )

        await make_topics(kafka.endpoints.kafka_bootstrap_servers, {created: 2, letters: 2})
        await allow(kafka, TOPIC, created, [Right.READ])
        await allow(kafka, TOPIC, letters, [Right.READ])
        await allow(kafka, GROUP, group, [Right.READ])
        seen: dict[str, dict[str, Any]] = {}

        async def group_is_allowed() -> bool:
            seen.clear()
            seen.update((await found(system, **guarded))[1])
            return bool(seen[f"kafka group {group}"]["verdict"] == "ok")

        await assert_eventually(group_is_allowed, 60, lambda: f"{seen}")
        assert seen[f"kafka topic {created}"]["verdict"] == "limited"
        assert seen[f"kafka topic {created}"]["action"] == f"allow the user 'orders' Write on the topic {created}"
        assert seen[f"kafka topic {letters}"]["verdict"] == "missing"
        assert "may not WRITE it, which the bridge must" in seen[f"kafka topic {letters}"]["detail"]


# orders doctor ------------------------------------------------------------------------------------------------------


async def examined(system: OrderSystem) -> tuple[int, dict[str, Any]]:
    ended = await run_in_process(["doctor", "--json"], system.settings)
    return ended.returncode, json.loads(ended.stdout)


async def test_the_doctor_says_what_is_to_be_done_first_until_nothing_is(system: OrderSystem) -> None:
    status, report = await examined(system)
    assert status == ExitStatus.FAILURE
    todo = [one["what"] for one in report["first"]]
    assert "no bridge runs" in todo[0]
    assert {queue for queue in TASK_QUEUES for one in todo[1:] if f"`orders worker --queue {queue}`" in one} == set(
        TASK_QUEUES
    )
    for queue in TASK_QUEUES:
        system.start_worker(queue)
    system.start_bridge()
    seen: list[Any] = []

    async def is_healthy() -> bool:
        seen[:] = [await examined(system)]
        return bool(seen[0][0] == ExitStatus.OK)

    await assert_eventually(is_healthy, 120, lambda: f"{seen}\n{system.log_tails}")
    assert seen[0][1]["first"] == []
    assert seen[0][1]["condition"]["bridges"] == 1
    page = await run_in_process(["doctor"], system.settings)
    assert "What to do first\nnothing" in page.stdout
    assert page.returncode == ExitStatus.OK
