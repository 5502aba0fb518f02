"""How much of the brokers' disks topics take: a request of Kafka's that aiokafka 0.14 does not have (KIP-113)."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Int64, Schema, String

_API_KEY: Final = 35
_VERSION: Final = 1
"""The first one that Kafka 4 still speaks, and the last one before its encoding changed."""


class _LogDirsResponse(Response):  # type: ignore[misc] # aiokafka ships no types.
    API_KEY = _API_KEY
    API_VERSION = _VERSION
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            Array(
                ("error_code", Int16),
                ("log_dir", String("utf-8")),
                (
                    "topics",
                    Array(
                        ("name", String("utf-8")),
                        (
                            "partitions",
                            Array(
                                ("partition_index", Int32),
                                ("partition_size", Int64),
                                ("offset_lag", Int64),
                                ("is_future_key", Boolean),
                            ),
                        ),
                    ),
                ),
            ),
        ),
    )


class _LogDirsRequestStruct(RequestStruct):  # type: ignore[misc] # The same.
    API_KEY = _API_KEY
    API_VERSION = _VERSION
    RESPONSE_TYPE = _LogDirsResponse
    SCHEMA = Schema(("topics", Array(("topic", String("utf-8")), ("partitions", Array(Int32)))))


class _LogDirsRequest(Request[_LogDirsRequestStruct]):  # type: ignore[misc] # The same.
    API_KEY = _API_KEY

    def __init__(self, topics: list[tuple[str, list[int]]]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_LogDirsRequestStruct]) -> _LogDirsRequestStruct:
        return request_struct_class(self._topics)


async def log_bytes(admin: AIOKafkaAdminClient, partitions: Iterable[TopicPartition]) -> dict[str, int]:
    """The bytes of each topic's logs on all brokers together, replicas included. It needs Describe on the cluster.

    Raises:
        aiokafka.errors.KafkaError: a broker refuses, or does not answer.
    """
    by_topic: dict[str, list[int]] = {}
    for partition in partitions:
        by_topic.setdefault(partition.topic, []).append(partition.partition)
    found: Counter[str] = Counter(dict.fromkeys(by_topic, 0))
    for broker in (await admin.describe_cluster())["brokers"]:
        answer = await admin._send_request_to_node(  # noqa: SLF001 - it has no call for this request in public
            broker["node_id"], _LogDirsRequest(list(by_topic.items()))
        )
        for error_code, _log_dir, topics in answer.results:
            if error_code:
                raise for_code(error_code)
            for name, sizes in topics:
                found[name] += sum(size for _partition, size, _lag, _future in sizes)
    return dict(found)
