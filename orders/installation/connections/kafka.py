"""Kafka: reached, with its topics, and what each kind of process has to be allowed there."""

from collections.abc import Iterator

from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError, for_code

from orders.clients.kafka import kafka_unreachable
from orders.clients.kafka_rights import Allowed, KafkaRights, Right, kafka_rights
from orders.clients.opened import Clients
from orders.errors import OrdersError
from orders.installation.connections.findings import Finding, Verdict
from orders.settings import Settings

_SERVER = "kafka"


async def try_kafka(clients: Clients) -> list[Finding]:
    """Connects, and asks what is there and what we may do; does nothing that anybody could notice."""
    settings = clients.settings
    try:
        admin = await clients.kafka_admin()
        reached = Finding(_SERVER, "connection", Verdict.OK, f"answers at {settings.kafka_bootstrap_servers}")
        rights = await kafka_rights(admin, settings, _topics(settings))
    except OrdersError as error:
        return [Finding(_SERVER, "connection", Verdict.MISSING, str(error))]
    except NotImplementedError:
        detail = "the broker is older than Kafka 2.3, and cannot say what a user may do"
        return [reached, Finding(_SERVER, "rights", Verdict.UNKNOWN, detail)]
    except (KafkaError, TimeoutError) as error:
        detail = f"{kafka_unreachable(settings)} ({type(error).__name__})"
        return [Finding(_SERVER, "connection", Verdict.MISSING, detail)]
    return [reached, *_judged(settings, rights)]


def _topics(settings: Settings) -> tuple[str, ...]:
    return (
        *settings.inbound_topics.values(),
        settings.kafka_topic_order_events,
        settings.kafka_topic_dead_letters,
    )


def _judged(settings: Settings, rights: KafkaRights) -> Iterator[Finding]:
    """What the broker's answer means for us."""
    inbound = set(settings.inbound_topics.values())
    for name in _topics(settings):
        if name in inbound:
            needs = {Right.READ: "the bridge"}
            helps = {Right.WRITE: "`orders produce` and `orders dlq replay`"}
        elif name == settings.kafka_topic_order_events:
            needs, helps = {Right.WRITE: "workers"}, {Right.READ: "`orders events` and the event streams of the API"}
        else:
            needs = {Right.WRITE: "the bridge"}
            helps = {Right.READ: "`orders dlq`", Right.DELETE: "`orders dlq purge`"}
        yield _of_topic(settings, name, rights, needs, helps)
    counts = {name: rights.topics[name].partitions for name in inbound if not rights.topics[name].error_code}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} has {count}" for name, count in sorted(counts.items()))
        yield Finding(
            _SERVER,
            "partitions",
            Verdict.MISSING,
            f"the inbound topics differ in partitions: {listed}",
            "give them equal counts, so that one order's messages are owned by one bridge",
        )
    yield _of_group(settings, rights.group)


def _of_topic(
    settings: Settings, name: str, rights: KafkaRights, needs: dict[Right, str], helps: dict[Right, str]
) -> Finding:
    what, allowed = f"topic {name}", rights.topics.get(name)
    if allowed is None or allowed.error_code:
        error = None if allowed is None else for_code(allowed.error_code)
        if error is TopicAuthorizationFailedError:
            detail = "is not there, or our user may not know of it"
            return Finding(_SERVER, what, Verdict.MISSING, detail, _grant(settings, [Right.DESCRIBE, *needs], what))
        may_create = rights.cluster is None or Right.CREATE in rights.cluster
        action = "make it: `orders migrate`" if may_create else f"have it made, or {_grant_cluster(settings)}"
        code = (
            "" if error is None or allowed is None or allowed.error_code == _UNKNOWN_TOPIC else f" ({error.__name__})"
        )
        return Finding(_SERVER, what, Verdict.MISSING, f"is not there{code}", action)
    there = f"is there, with {allowed.partitions} partitions"
    return _of_rights(settings, what, allowed, needs=needs, helps=helps, there=there)


_UNKNOWN_TOPIC = 3
"""Kafka's code for a topic that does not exist."""


def _of_group(settings: Settings, allowed: Allowed) -> Finding:
    what = f"group {settings.bridge_group_id}"
    needs = {Right.READ: "the bridge"}
    if allowed.error_code:
        error = for_code(allowed.error_code)
        if error is GroupAuthorizationFailedError:
            detail = "our user may not know of it"
            return Finding(_SERVER, what, Verdict.MISSING, detail, _grant(settings, [Right.DESCRIBE, *needs], what))
        return Finding(_SERVER, what, Verdict.UNKNOWN, f"Kafka does not say ({error.__name__})")
    return _of_rights(settings, what, allowed, needs=needs, helps={}, there="may be joined")


def _of_rights(
    settings: Settings,
    what: str,
    allowed: Allowed,
    *,
    needs: dict[Right, str],
    helps: dict[Right, str],
    there: str,
) -> Finding:
    """A finding about something that is there: what of it we may do, and who has to."""
    if allowed.rights is None:
        return Finding(_SERVER, what, Verdict.UNKNOWN, f"{there}; the broker does not say what we may do with it")
    for wanted, verdict in ((needs, Verdict.MISSING), (helps, Verdict.LIMITED)):
        lacking = [right for right in wanted if right not in allowed.rights]
        if lacking:
            who = " and ".join(dict.fromkeys(wanted[right] for right in lacking))
            names = " and ".join(right.name for right in lacking)
            detail = f"{there}; our user may not {names} it, which {who} must"
            return Finding(_SERVER, what, verdict, detail, _grant(settings, lacking, what))
    return Finding(_SERVER, what, Verdict.OK, there)


def _grant(settings: Settings, lacking: list[Right], what: str) -> str:
    kind, _, name = what.partition(" ")
    names = ", ".join(right.name.capitalize() for right in lacking)
    return f"allow {_user(settings)} {names} on the {kind} {name}"


def _grant_cluster(settings: Settings) -> str:
    return f"allow {_user(settings)} Create on the cluster and run `orders migrate`"


def _user(settings: Settings) -> str:
    name = settings.kafka_sasl_username
    return f"the user {name!r}" if name else "our user (of the client certificate, or ANONYMOUS)"
