"""Topics of a test's own: made with random names, and deleted afterwards."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.helpers.messages.kafka_io import delete_topics, partitions_of
from tests.helpers.system.waiting import assert_eventually


@asynccontextmanager
async def topics_made(bootstrap_servers: str, partitions: Mapping[str, int]) -> AsyncIterator[None]:
    """Makes topics with so many partitions each, and deletes them at the end."""
    await make_topics(bootstrap_servers, partitions)
    try:
        yield
    finally:
        await delete_topics(bootstrap_servers, list(partitions))


async def configure_topic(bootstrap_servers: str, topic: str, configs: Mapping[str, str]) -> None:
    """Changes settings of a topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, dict(configs))])
    finally:
        await admin.close()


async def make_topics(bootstrap_servers: str, partitions: Mapping[str, int]) -> None:
    """Makes topics and waits until the broker tells of them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, count, 1) for name, count in partitions.items()])
    finally:
        await admin.close()
    await wait_until_known(bootstrap_servers, partitions, partitions_min=sum(partitions.values()))


async def wait_until_known(bootstrap_servers: str, topics: Iterable[str], *, partitions_min: int = 1) -> None:
    """Waits until the broker tells of topics that were made, and of all their partitions: a new one takes its time."""
    names = list(topics)

    async def known() -> bool:
        try:
            return len(await partitions_of(bootstrap_servers, names)) >= partitions_min
        except LookupError:
            return False

    await assert_eventually(known, message="the topics are there")
