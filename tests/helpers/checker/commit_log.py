"""Every commit that a consumer group ever made, in order: read from Kafka's own ``__consumer_offsets``.

The layout is Kafka's (``OffsetCommitKey.json`` and ``OffsetCommitValue.json`` of its group-coordinator module): keys of
version 0 and 1 are group, topic and partition; values begin with their version and the offset.
"""

import struct
from dataclasses import dataclass

from tests.helpers.messages.kafka_io import StoredRecord, partitions_of, read_partition

OFFSETS_TOPIC = "__consumer_offsets"
_COMMIT_KEY_VERSIONS = (0, 1)


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of one partition."""

    topic: str
    partition: int
    next_offset: int
    """Everything below it was settled, said whoever committed."""


async def commits_of(bootstrap_servers: str, group_id: str) -> list[Commit]:
    """The group's commits, oldest first."""
    count = len(await partitions_of(bootstrap_servers, [OFFSETS_TOPIC]))
    records = await read_partition(bootstrap_servers, OFFSETS_TOPIC, _java_hash(group_id) % count)
    parsed = [parse_commit(record) for record in records]
    return [commit for found in parsed if found is not None for group, commit in [found] if group == group_id]


def parse_commit(record: StoredRecord) -> tuple[str, Commit] | None:
    """The group and its commit; None where the record is none (group metadata, or an offset that was deleted)."""
    key, value = record.key or b"", record.value
    (version,) = struct.unpack_from(">h", key)
    if version not in _COMMIT_KEY_VERSIONS or value is None:
        return None
    group, position = _text(key, 2)
    topic, position = _text(key, position)
    (partition,) = struct.unpack_from(">i", key, position)
    (next_offset,) = struct.unpack_from(">q", value, 2)
    return group, Commit(topic, partition, next_offset)


def _text(data: bytes, position: int) -> tuple[str, int]:
    (size,) = struct.unpack_from(">h", data, position)
    begin = position + 2
    return data[begin : begin + size].decode(), begin + size


def _java_hash(text: str) -> int:
    """``Math.abs(String.hashCode())``, by which Kafka chooses the partition of a group's commits."""
    result = 0
    for character in text:
        result = (result * 31 + ord(character)) & 0xFFFFFFFF
    signed = result - 2**32 if result >= 2**31 else result
    return 0 if signed == -(2**31) else abs(signed)
