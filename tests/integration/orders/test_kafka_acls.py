"""``orders migrate --print-acls``: an order runs with exactly these rights, and one that is missing is named."""

import json
import shlex
from typing import Any

from orders.clients.mistakes import Mistake
from orders.installation.kafka_acls import Role
from tests.helpers.servers.secure.kafka import PASSWORD, ROLES, Listener
from tests.helpers.servers.secure.rooms import SecureServers
from tests.helpers.system.processes import OrdersProcess
from tests.helpers.system.secured import SecuredSystem
from tests.helpers.system.waiting import assert_eventually


def as_user(servers: SecureServers, role: str) -> dict[str, Any]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": servers.kafka.address(Listener.SASL),
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "PLAIN",
        "KAFKA_SASL_USERNAME": role,
        "KAFKA_SASL_PASSWORD": PASSWORD,
        "KAFKA_SSL_CERT_FILE": "",
        "KAFKA_SSL_KEY_FILE": "",
    }


async def granted(system: SecuredSystem) -> None:
    """Grants what the command prints, line by line, as it stands."""
    printed = await system.run(
        "migrate", "--print-acls", *(part for role in ROLES for part in ("--principal", f"{role}=User:{role}"))
    )
    lines = [shlex.split(line) for line in printed.splitlines() if not line.startswith("#")]
    assert all(words[0] == "kafka-acls.sh" and words[4] == "$ADMIN" for words in lines)
    for words in lines:
        await system.servers.kafka.change_rights(*words[5:])


def alarm_names(process: OrdersProcess, topic: str) -> bool:
    lines = [json.loads(line) for line in process.log.splitlines() if line.startswith("{")]
    return any(
        line.get("mistake", line.get("cause")) == Mistake.NOT_ALLOWED and topic in line.get("detail", "")
        for line in lines
        if line["level"] == "error"
    )


async def test_an_order_runs_with_exactly_these_rights_and_one_that_is_taken_is_named(secured: SecuredSystem) -> None:
    kafka = secured.servers.kafka
    await granted(secured)
    bridge = secured.start("bridge", "bridge", **as_user(secured.servers, Role.BRIDGE))
    worker = secured.start("worker", "worker", **as_user(secured.servers, Role.WORKER))
    api = secured.start("api", "api", **as_user(secured.servers, Role.API))
    await api.wait_until_logged("api.started", 90.0)
    await secured.complete_an_order(
        upstream=as_user(secured.servers, Role.UPSTREAM), downstream=as_user(secured.servers, Role.DOWNSTREAM)
    )
    operator = as_user(secured.servers, Role.OPERATOR)
    await secured.run("migrate", **operator)
    assert await secured.run("dlq", "list", "--json", **operator) is not None
    for process in (bridge, worker, api):
        assert "refuses_us" not in process.log
        assert "misconfigured" not in process.log

    await kafka.change_rights(
        "--remove", "--force", "--allow-principal", "User:bridge", "--operation", "Read", "--topic", "order.approved"
    )
    await kafka.change_rights(
        "--remove", "--force", "--allow-principal", "User:worker", "--operation", "Write", "--topic", "order.events"
    )

    second = secured.start("bridge-again", "bridge", **as_user(secured.servers, Role.BRIDGE))
    await assert_eventually(lambda: alarm_names(second, "order.approved"), 90.0, lambda: second.log_tail)
    await assert_eventually(lambda: alarm_names(worker, "order.events"), 90.0, lambda: worker.log_tail)
    for process in (bridge, second, worker, api):
        await process.terminate()
