"""The printed rights: by the settings' names, for whomever they are asked, and harmless to a shell."""

import shlex

import pytest

from orders.errors import UsageError
from orders.installation.kafka_acls import PRINCIPALS, Role, acl_json, acl_lines, kafka_acls, principals_of
from orders.settings import Settings

SETTINGS = Settings(kafka_topic_order_approved="shop.approvals", bridge_group_id="shop-bridges")


def documents(settings: Settings = SETTINGS) -> list[dict[str, object]]:
    acls = kafka_acls(settings, PRINCIPALS, "readers")
    return [document for one in acls for document in acl_json(one)]


def may(role: Role, name: str) -> set[str]:
    found = [one for one in documents() if one["role"] == role and one["resource_name"] == name]
    return {operation for one in found for operation in one["operations"]}  # type: ignore[attr-defined]


def test_nobody_may_write_approvals_but_who_sends_or_replays_them() -> None:
    writers = {role for role in Role if "Write" in may(role, "shop.approvals")}

    assert writers == {Role.UPSTREAM, Role.API, Role.OPERATOR}
    assert {role for role in Role if "Write" in may(role, "order.events")} == {Role.WORKER}
    assert {role for role in Role if "Write" in may(role, "order.dead_letters")} == {Role.BRIDGE}
    assert may(Role.BRIDGE, "shop-bridges") == {"Read"}
    assert not may(Role.BRIDGE, "order.approved"), "the settings' names count"


def test_a_line_is_one_command_for_the_shell_whatever_the_principal_is_called() -> None:
    principals = principals_of(["worker=User:CN=orders worker,O='Shop'; $(rm -rf x)"])
    lines = list(acl_lines(kafka_acls(SETTINGS, principals, "readers"), "kafka-1:9093,kafka-2:9093"))

    commands = [shlex.split(line) for line in lines if not line.startswith("#")]
    assert all(
        words[:4] == ["kafka-acls.sh", "--bootstrap-server", "kafka-1:9093,kafka-2:9093", "--command-config"]
        for words in commands
    )
    assert {words[words.index("--allow-principal") + 1] for words in commands} == set(principals.values())


@pytest.mark.parametrize("given", ["worker", "worker=orders", "wroker=User:x", "=User:x"])
def test_what_names_no_role_or_no_principal_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match="ROLE=PRINCIPAL"):
        principals_of([given])
