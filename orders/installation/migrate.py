"""Makes all that an installation needs; may be repeated."""

import asyncio

from migrations import Migration
from orders.installation.search_attributes import SearchAttribute, ensure_search_attributes
from orders.installation.tables import ensure_tables
from orders.installation.topics import Topic, ensure_topics
from orders.settings import Settings


async def migrate_all(settings: Settings) -> tuple[Migration, tuple[Topic, ...], tuple[SearchAttribute, ...]]:
    """Makes tables, topics and search attributes at the same time; the first error ends all of it."""
    try:
        async with asyncio.TaskGroup() as group:
            tables = group.create_task(ensure_tables(settings), name="tables")
            topics = group.create_task(ensure_topics(settings), name="topics")
            attributes = group.create_task(ensure_search_attributes(settings), name="search attributes")
    except* Exception as errors:  # noqa: BLE001 - unpacked: the caller knows single errors only
        raise errors.exceptions[0] from None
    return tables.result(), topics.result(), attributes.result()
