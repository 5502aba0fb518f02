"""What Kafka lets our user do with topics and groups: the broker's own answer, without doing any of it.

aiokafka 0.14 asks for metadata up to version 5 and reads no rights out of the answer about groups, so the two requests
are described here, as Kafka's protocol has them (KIP-430).
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Bytes, Int16, Int32, Schema, String

from orders.settings import Settings

_NOT_SAID: Final = -(2**31)
"""In the place of rights: the broker does not tell them (KIP-430)."""


_ASK_AGAIN_SECONDS: Final = 0.2


class Right(IntEnum):
    """Operations, by their codes in Kafka's protocol (AclOperation)."""

    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    DESCRIBE = 8


class _MetadataResponse(Response):  # type: ignore[misc] # aiokafka has no types.
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", String()), ("port", Int32), ("rack", String()))),
        ("cluster_id", String()),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String()),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("authorized_operations", Int32),
    )


class _MetadataStruct(RequestStruct):  # type: ignore[misc] # aiokafka has no types.
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", Array(String())),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _Metadata(Request[_MetadataStruct]):  # type: ignore[misc] # aiokafka has no types.
    API_KEY: ClassVar[int] = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataStruct]) -> _MetadataStruct:
        # A broker with auto.create.topics.enable makes what is asked for, unless told otherwise.
        return request_struct_class(self._topics, False, True, True)


class _GroupsResponse(Response):  # type: ignore[misc] # aiokafka has no types.
    API_KEY = 15
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "groups",
            Array(
                ("error_code", Int16),
                ("group", String()),
                ("state", String()),
                ("protocol_type", String()),
                ("protocol", String()),
                (
                    "members",
                    Array(
                        ("member_id", String()),
                        ("client_id", String()),
                        ("client_host", String()),
                        ("member_metadata", Bytes),
                        ("member_assignment", Bytes),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
    )


class _GroupsStruct(RequestStruct):  # type: ignore[misc] # aiokafka has no types.
    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = _GroupsResponse
    SCHEMA = Schema(("groups", Array(String())), ("include_authorized_operations", Boolean))


class _Groups(Request[_GroupsStruct]):  # type: ignore[misc] # aiokafka has no types.
    API_KEY: ClassVar[int] = 15

    def __init__(self, groups: list[str]) -> None:
        self._groups = groups

    def build(self, request_struct_class: type[_GroupsStruct]) -> _GroupsStruct:
        return request_struct_class(self._groups, True)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What Kafka says of a topic, of a group, or of itself."""

    error_code: int
    """0 where it is there and we may know of it; else Kafka's code."""
    rights: frozenset[Right] | None
    """What we may do with it; None where the broker does not say."""
    partitions: int = 0
    """Of a topic."""


@dataclass(frozen=True, slots=True)
class KafkaRights:
    """What we may do."""

    topics: dict[str, Allowed]
    group: Allowed
    cluster: frozenset[Right] | None


async def kafka_rights(admin: AIOKafkaAdminClient, settings: Settings, topics: Collection[str]) -> KafkaRights:
    """Asks what the user of the settings may do with these topics and the bridges' group.

    Raises:
        TimeoutError, aiokafka.errors.KafkaError: Kafka does not answer, or is older than 2.3 and cannot say.
    """
    async with asyncio.timeout(settings.kafka_request_timeout_seconds):
        answer = (await admin._send_request(_Metadata(list(topics)))).to_object()  # noqa: SLF001 - see above
        group = await _group_rights(admin, settings.bridge_group_id)
    found = {
        one["topic"]: Allowed(one["error_code"], _rights(one["authorized_operations"]), len(one["partitions"]))
        for one in answer["topics"]
    }
    return KafkaRights(found, group, _rights(answer["authorized_operations"]))


async def _group_rights(admin: AIOKafkaAdminClient, group_id: str) -> Allowed:
    """Asks the group's coordinator, for as long as the caller waits: a new cluster has none in its first seconds."""
    while True:
        try:
            coordinator = await admin.find_coordinator(group_id)
            answer: Any = (await admin._send_request(_Groups([group_id]), coordinator)).to_object()  # noqa: SLF001 - see above
            group = answer["groups"][0]
            code = group["error_code"]
        except KafkaError as error:
            if not error.retriable:
                return Allowed(error.errno, None)
            code = error.errno
        if not for_code(code).retriable:
            return Allowed(code, _rights(group["authorized_operations"]))
        await asyncio.sleep(_ASK_AGAIN_SECONDS)


def _rights(bits: int) -> frozenset[Right] | None:
    return None if bits == _NOT_SAID else frozenset(right for right in Right if bits & (1 << right))
