"""The rights in Kafka that each kind of process and each neighbour needs, and no more, by the settings' names. Pure.

Operations as `kafka-acls.sh` calls them; Read and Write include Describe. Nobody needs IdempotentWrite: since Kafka 2.8
the right to write is enough (KIP-679).
"""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from orders.errors import UsageError
from orders.settings import Settings


class Role(StrEnum):
    """Who needs rights."""

    BRIDGE = "bridge"
    WORKER = "worker"
    API = "api"
    OPERATOR = "operator"
    """Who runs `orders migrate` and the commands."""
    UPSTREAM = "upstream"
    """Systems that send messages."""
    DOWNSTREAM = "downstream"
    """Systems that read what is published."""


PRINCIPALS: Final[Mapping[Role, str]] = MappingProxyType(
    {
        Role.BRIDGE: "User:orders-bridge",
        Role.WORKER: "User:orders-worker",
        Role.API: "User:orders-api",
        Role.OPERATOR: "User:orders-operator",
        Role.UPSTREAM: "User:orders-upstream",
        Role.DOWNSTREAM: "User:orders-downstream",
    }
)
"""What a principal is called where nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Acl:
    """What one principal may do with some topics, with a group, or with the cluster."""

    role: Role
    principal: str
    operations: tuple[str, ...]
    why: str
    topics: tuple[str, ...] = ()
    group: str | None = None
    cluster: bool = False


def kafka_acls(settings: Settings, principals: Mapping[Role, str], consumer_group: str) -> tuple[Acl, ...]:
    """All that is needed.

    Args:
        settings: name topics and the bridges' group.
        principals: by role.
        consumer_group: of those that read `order.events`.
    """
    inbound = tuple(settings.inbound_topics.values())
    events, letters, group = (
        settings.kafka_topic_order_events,
        settings.kafka_topic_dead_letters,
        settings.bridge_group_id,
    )

    def acl(role: Role, operations: str, why: str, **what: Any) -> Acl:
        return Acl(role, principals[role], tuple(operations.split()), why, **what)

    return (
        acl(Role.BRIDGE, "Read", "reads what upstream sends", topics=inbound),
        acl(Role.BRIDGE, "Read", "shares the partitions, and commits", group=group),
        acl(Role.BRIDGE, "Write", "sets records aside", topics=(letters,)),
        acl(Role.WORKER, "Write", "publishes", topics=(events,)),
        acl(Role.WORKER, "Read", "looks whether an approval in time is still to be handed over", topics=inbound),
        acl(Role.WORKER, "Describe", "asks how far the bridges are", group=group),
        acl(Role.API, "Read", "shows dead letters", topics=(letters,)),
        acl(Role.API, "Read Write", "shows an order's records, and replays dead letters", topics=inbound),
        acl(Role.API, "Describe", "looks whether it is let in", topics=(events,)),
        acl(Role.API, "Describe", "shows how far the bridges are", group=group),
        acl(Role.OPERATOR, "Create", "`orders migrate` makes topics", topics=(*inbound, events, letters)),
        acl(Role.OPERATOR, "Read Write", "`orders produce`, `explain`, `dlq replay`", topics=inbound),
        acl(Role.OPERATOR, "Read", "`orders events`", topics=(events,)),
        acl(Role.OPERATOR, "Read Delete", "`orders dlq`, and `dlq purge`", topics=(letters,)),
        acl(Role.OPERATOR, "Describe", "`orders doctor`, `explain`", group=group),
        acl(Role.OPERATOR, "Describe", "`orders bench` asks how large topics are", cluster=True),
        *(
            acl(Role.UPSTREAM, "Write", f"sends {one.value}", topics=(topic,))
            for one, topic in settings.inbound_topics.items()
        ),
        acl(Role.DOWNSTREAM, "Read", "reads what is published", topics=(events,)),
        acl(Role.DOWNSTREAM, "Read", "keeps its place", group=consumer_group),
    )


def principals_of(given: list[str]) -> dict[Role, str]:
    """The principals, from ``ROLE=PRINCIPAL``.

    Raises:
        UsageError: one is not of that form.
    """
    found = dict(PRINCIPALS)
    for one in given:
        role, _, principal = one.partition("=")
        if role not in set(Role) or ":" not in principal:
            raise UsageError(
                f"--principal {one!r} is not ROLE=PRINCIPAL, such as worker=User:CN=orders-worker; roles are "
                f"{', '.join(Role)}"
            )
        found[Role(role)] = principal
    return found


def acl_lines(acls: tuple[Acl, ...], bootstrap_servers: str) -> Iterator[str]:
    """A shell's lines, which may be run again: a right that is there stays as it is."""
    yield "# Rights in Kafka, to be granted by who administers it. ADMIN names their own client configuration."
    for one in acls:
        yield f"# {one.role}: {one.why}"
        words = ["kafka-acls.sh", "--bootstrap-server", bootstrap_servers, "--command-config"]
        rest = ["--add", "--allow-principal", one.principal]
        rest += [word for operation in one.operations for word in ("--operation", operation)]
        rest += [word for topic in one.topics for word in ("--topic", topic)]
        rest += ["--group", one.group] if one.group is not None else []
        rest += ["--cluster"] if one.cluster else []
        yield f'{shlex.join(words)} "$ADMIN" {shlex.join(rest)}'


def acl_json(one: Acl) -> list[dict[str, Any]]:
    """The same for a program: a document for each resource."""
    resources = [("topic", name) for name in one.topics]
    resources += [("group", one.group)] if one.group is not None else []
    resources += [("cluster", "kafka-cluster")] if one.cluster else []
    return [
        {
            "role": one.role,
            "principal": one.principal,
            "resource_type": kind,
            "resource_name": name,
            "pattern_type": "literal",
            "operations": list(one.operations),
            "permission": "allow",
            "why": one.why,
        }
        for kind, name in resources
    ]
