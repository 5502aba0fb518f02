"""Processes and commands that a server does not let in: the alarm, the way out, and going on once it is mended."""

import json
import shutil
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from orders.clients.mistakes import TABLE, Mistake, Server
from tests.helpers.servers.secure.kafka import PASSWORD, STRANGER, Listener
from tests.helpers.servers.secure.rooms import SecureServers
from tests.helpers.system.processes import OrdersProcess, free_port
from tests.helpers.system.secured import SecuredSystem, secured_system
from tests.helpers.system.waiting import assert_eventually


@pytest.fixture(scope="module")
async def secured(tls_servers: SecureServers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SecuredSystem]:
    async with secured_system(tls_servers, tmp_path_factory.mktemp("processes")) as system:
        yield system


def of_kafka(servers: SecureServers, user: str, password: str) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": servers.kafka.address(Listener.SASL),
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "PLAIN",
        "KAFKA_SASL_USERNAME": user,
        "KAFKA_SASL_PASSWORD": password,
    }


def alarms(process: OrdersProcess, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in process.log.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


async def assert_alarm(
    process: OrdersProcess, event: str, server: Server, mistake: Mistake, *, named: str = "mistake"
) -> dict[str, Any]:
    """The process raises the alarm for this mistake, with the words of the table; returns the log's line."""

    def raised() -> list[dict[str, Any]]:
        row = TABLE[server][mistake]
        begin = row.sentence.partition("{")[0]
        return [
            line
            for line in alarms(process, event)
            if line[named] == mistake and line["detail"].startswith(begin) and line["level"] == "error"
        ]

    await assert_eventually(lambda: bool(raised()), 90.0, lambda: f"{event} of {mistake}\n{process.log_tail}")
    assert raised()[0]["action"].startswith(TABLE[server][mistake].action.partition("{")[0])
    return raised()[0]


async def test_a_worker_raises_the_alarm_and_begins_once_its_certificate_is_renewed(secured: SecuredSystem) -> None:
    certificates = secured.servers.certificates
    mine = {name: secured.folder / f"mine-{name}" for name in ("crt", "key")}
    for name, source in (("crt", certificates.cert("expired-client")), ("key", certificates.key("expired-client"))):
        shutil.copyfile(source, mine[name])
    port = free_port()
    worker = secured.start(
        "worker-refused",
        "worker",
        TEMPORAL_TLS_CLIENT_CERT_FILE=str(mine["crt"]),
        TEMPORAL_TLS_CLIENT_KEY_FILE=str(mine["key"]),
        DB_PASSWORD="wrong",  # noqa: S106 - of nobody
        WORKER_HEALTH_PORT=str(port),
        **of_kafka(secured.servers, STRANGER, PASSWORD),
    )
    await assert_alarm(worker, "worker.temporal.misconfigured", Server.TEMPORAL, Mistake.CLIENT_EXPIRED)
    await assert_alarm(worker, "server.refuses_us", Server.POSTGRES, Mistake.CREDENTIALS_REFUSED)
    said = await assert_alarm(worker, "server.refuses_us", Server.KAFKA, Mistake.NOT_ALLOWED)
    assert "order.events" in said["detail"]
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{port}/readyz")
    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert "Postgres at" in answer.text
    assert len(alarms(worker, "worker.temporal.misconfigured")) == 1, "once, however often it tries"
    async with httpx.AsyncClient() as http:
        measured = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
    for server in ("temporal", "kafka", "postgres"):
        assert f'orders_dependency_up{{dependency="{server}"}} 0.0' in measured, "refused is away, too"
    shutil.copyfile(certificates.key("client"), mine["key"])
    shutil.copyfile(certificates.cert("client"), mine["crt"])
    await worker.wait_until_logged("worker.started", 90.0)
    await worker.terminate()


async def test_a_bridge_raises_the_alarm_for_each_of_its_servers(secured: SecuredSystem) -> None:
    event = "bridge.dependency.misconfigured"
    wrong_password = secured.start("bridge-1", "bridge", **of_kafka(secured.servers, STRANGER, "wrong"))
    no_rights = secured.start("bridge-2", "bridge", **of_kafka(secured.servers, STRANGER, PASSWORD))
    door = secured.servers.temporal_other_name.address.replace("127.0.0.1", "localhost")
    other_name = secured.start("bridge-3", "bridge", TEMPORAL_HOST=door)
    await assert_alarm(wrong_password, event, Server.KAFKA, Mistake.CREDENTIALS_REFUSED, named="cause")
    said = await assert_alarm(no_rights, event, Server.KAFKA, Mistake.NOT_ALLOWED, named="cause")
    assert "order.created" in said["detail"]
    assert "missing topics" not in no_rights.log, "they are there"
    await assert_alarm(other_name, event, Server.TEMPORAL, Mistake.SERVER_NAME, named="cause")
    for process in (wrong_password, no_rights, other_name):
        await process.terminate()


async def test_an_api_raises_the_alarm_and_answers_all_the_same(secured: SecuredSystem) -> None:
    other_ca = str(secured.servers.certificates.other_ca)
    api = secured.start(
        "api-refused",
        "api",
        TEMPORAL_TLS_SERVER_CA_FILE=other_ca,
        DB_TLS_CA_FILE=other_ca,
        KAFKA_BOOTSTRAP_SERVERS=secured.servers.kafka.address(Listener.EXPIRED),
    )
    await assert_alarm(api, "server.refuses_us", Server.TEMPORAL, Mistake.SERVER_UNTRUSTED)
    await assert_alarm(api, "server.refuses_us", Server.POSTGRES, Mistake.SERVER_UNTRUSTED)
    await assert_alarm(api, "server.refuses_us", Server.KAFKA, Mistake.SERVER_EXPIRED)
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{secured.settings['API_HEALTH_PORT']}/readyz")
        live = await http.get(f"http://127.0.0.1:{secured.settings['API_HEALTH_PORT']}/livez")
    assert live.status_code == httpx.codes.OK
    assert "authority that is not trusted here" in answer.text
    await api.terminate()


@pytest.mark.parametrize(
    ("arguments", "changes", "server", "mistake"),
    [
        (("status", "o-1"), {"TEMPORAL_TLS": "false"}, Server.TEMPORAL, Mistake.TLS_REQUIRED),
        (("events",), {"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}, Server.KAFKA, Mistake.TLS_REQUIRED),
        (("list",), {"DB_PASSWORD": "wrong"}, Server.POSTGRES, Mistake.CREDENTIALS_REFUSED),
        (("migrate",), {"DB_TLS": "off"}, Server.POSTGRES, Mistake.TLS_REQUIRED),
    ],
)
async def test_a_command_says_it_and_ends_with_the_status_of_a_wrong_setting(
    arguments: tuple[str, ...],
    changes: dict[str, str],
    server: Server,
    mistake: Mistake,
    secured: SecuredSystem,
) -> None:
    begin = {Server.TEMPORAL: "TEMPORAL_TLS_", Server.KAFKA: "KAFKA_SSL_", Server.POSTGRES: "DB_TLS_"}[server]
    unused = {name: "" for name in secured.settings if name.startswith(begin) and mistake is Mistake.TLS_REQUIRED}
    said = await secured.run(*arguments, status=2, **{**unused, **changes})
    assert said.startswith(f"error: {TABLE[server][mistake].sentence.partition('{')[0]}"), said
