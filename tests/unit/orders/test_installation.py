"""What an installation says where Kafka or Temporal does not let it make what it needs."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    KafkaError,
    PolicyViolationError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownError,
)
from alembic import command
from temporalio.service import RPCError, RPCStatusCode

from migrations.runner import alembic_config
from orders.errors import OrdersError, UnreachableError
from orders.installation import search_attributes, topics
from orders.installation.search_attributes import ensure_search_attributes, register_search_attributes
from orders.settings import Settings
from workflows.search_attributes import SEARCH_ATTRIBUTES

SETTINGS = Settings(_env_file=None)
NAMES = [key.name for key in SEARCH_ATTRIBUTES]

# Search attributes --------------------------------------------------------------------------------------------------


class Temporal:
    """A namespace and its search attributes, and what it answers instead."""

    namespace = "ours"

    def __init__(self) -> None:
        self.custom_attributes: dict[str, int] = {}
        self.unlisted: RPCError | None = None
        self.turned_away: list[RPCError] = []
        self.unknown_to_searches = 0
        self.operator_service = self

    async def list_search_attributes(self, _: object) -> Any:
        if self.unlisted is not None:
            raise self.unlisted
        return self

    async def add_search_attributes(self, request: Any) -> None:
        if self.turned_away:
            raise self.turned_away.pop()
        self.custom_attributes |= {name: int(kind) for name, kind in request.search_attributes.items()}

    async def count_workflows(self, _: str) -> None:
        self.unknown_to_searches -= 1
        if self.unknown_to_searches >= 0 or set(NAMES) - set(self.custom_attributes):
            raise RPCError("unknown attribute", RPCStatusCode.INVALID_ARGUMENT, b"")


@pytest.fixture
def temporal(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(search_attributes, "_POLL_SECONDS", 0)
    return Temporal()


def refusal(status: RPCStatusCode) -> RPCError:
    return RPCError("refused", status, b"")


async def test_attributes_are_registered_once_and_awaited(temporal: Any) -> None:
    temporal.unknown_to_searches = 3
    assert {one.created for one in await register_search_attributes(temporal)} == {True}
    assert temporal.unknown_to_searches < 0
    assert {one.created for one in await register_search_attributes(temporal)} == {False}


async def test_who_is_turned_away_by_another_s_registration_tries_again_and_not_for_ever(temporal: Any) -> None:
    temporal.turned_away = [refusal(RPCStatusCode.UNAVAILABLE)] * 2
    assert {one.created for one in await register_search_attributes(temporal)} == {True}
    temporal.custom_attributes.clear()
    temporal.turned_away = [refusal(RPCStatusCode.UNAVAILABLE)] * 100
    with pytest.raises(RPCError):
        await register_search_attributes(temporal)


async def test_without_the_right_to_register_it_is_enough_that_searches_know_them(temporal: Any) -> None:
    temporal.unlisted = refusal(RPCStatusCode.PERMISSION_DENIED)
    with pytest.raises(OrdersError, match=rf"--namespace ours --name {NAMES[0]} --type .*"):
        await register_search_attributes(temporal)
    temporal.custom_attributes = dict.fromkeys(NAMES, 1)
    assert [(one.name, one.created) for one in await register_search_attributes(temporal)] == [
        (name, False) for name in NAMES
    ]


async def test_a_namespace_without_room_is_told_with_what_to_do(temporal: Any) -> None:
    temporal.turned_away = [refusal(RPCStatusCode.INVALID_ARGUMENT)]
    with pytest.raises(OrdersError, match=r"Temporal refused the search attributes \(refused\): make room for"):
        await register_search_attributes(temporal)


async def test_attributes_that_searches_never_learn_of_are_told(temporal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_attributes, "USABLE_TIMEOUT_SECONDS", 0.01)
    temporal.unknown_to_searches = 1_000_000
    with pytest.raises(OrdersError, match="still does not know them after"):
        await register_search_attributes(temporal)


async def test_a_temporal_that_goes_meanwhile_is_told_with_its_address(
    temporal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connect(_: Settings) -> Any:
        return temporal

    monkeypatch.setattr(search_attributes, "connect_temporal", connect)
    temporal.unlisted = refusal(RPCStatusCode.UNAVAILABLE)
    with pytest.raises(UnreachableError, match=r"Temporal does not answer at .*\(UNAVAILABLE\)"):
        await ensure_search_attributes(SETTINGS)
    off = Settings(_env_file=None, temporal_search_attributes=False)
    assert await ensure_search_attributes(off) == ()


# Topics -------------------------------------------------------------------------------------------------------------


async def created(code: int) -> frozenset[str]:
    """What comes of a topic at whose creation Kafka answers with this code."""

    async def create_topics(*_: object, **__: object) -> Any:
        return SimpleNamespace(topic_errors=[("t", code, "")])

    async def describe_cluster() -> Any:
        return {"brokers": [1]}

    admin: Any = SimpleNamespace(create_topics=create_topics, describe_cluster=describe_cluster)
    return await topics._create(admin, {"t": 4}, SETTINGS)


async def test_a_topic_that_another_process_makes_meanwhile_is_not_ours() -> None:
    assert await created(0) == {"t"}
    assert await created(TopicAlreadyExistsError.errno) == frozenset()


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (InvalidReplicationFactorError, "set KAFKA_TOPIC_REPLICATION_FACTOR to no more than there are brokers"),
        (InvalidPartitionsError, "check KAFKA_TOPIC_PARTITIONS"),
        (TopicAuthorizationFailedError, "let the Kafka user create topics"),
        (PolicyViolationError, "the broker's policy forbids it"),
        (UnknownError, "the broker's log says more"),
    ],
)
async def test_a_topic_that_kafka_refuses_to_make_is_told_with_what_to_do(error: type[KafkaError], hint: str) -> None:
    with pytest.raises(OrdersError, match=rf"refused to make the topic t \({error.__name__}\): {hint}"):
        await created(error.errno)


async def test_a_kafka_that_goes_meanwhile_is_told_with_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Settings) -> Any:
        raise UnknownError

    monkeypatch.setattr(topics, "kafka_admin", refuse)
    with pytest.raises(UnreachableError, match=r"Kafka does not answer at .*\(UnknownError\)"):
        await topics.ensure_topics(SETTINGS)


# Tables -------------------------------------------------------------------------------------------------------------


def test_alembic_alone_is_refused_and_told_the_command_that_migrates() -> None:
    """It would know neither the database nor the lock that keeps two from migrating at once."""
    with pytest.raises(RuntimeError, match="orders migrate"):
        command.upgrade(alembic_config(), "head")
