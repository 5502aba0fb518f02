"""Makes all that an installation needs; may be repeated."""

import asyncio
from collections.abc import Callable

from migrations import Migration
from orders.installation.search_attributes import SearchAttribute, ensure_search_attributes
from orders.installation.tables import ensure_tables
from orders.installation.topics import Topic, ensure_topics
from orders.settings import Settings


async def migrate_all(
    settings: Settings, progress: Callable[[tuple[str, ...]], None] = lambda _under_way: None
) -> tuple[Migration, tuple[Topic, ...], tuple[SearchAttribute, ...]]:
    """Makes tables, topics and search attributes at the same time; the first error ends all of it.

    Args:
        settings: where the servers are.
        progress: told what is still under way, when it begins and whenever one of the three is done.
    """
    under_way: list[str] = []

    def done(task: "asyncio.Task[object]") -> None:
        under_way.remove(task.get_name())
        progress(tuple(under_way))

    try:
        async with asyncio.TaskGroup() as group:
            tables = group.create_task(ensure_tables(settings), name="tables")
            topics = group.create_task(ensure_topics(settings), name="topics")
            attributes = group.create_task(ensure_search_attributes(settings), name="search attributes")
            for task in (tables, topics, attributes):
                under_way.append(task.get_name())
                task.add_done_callback(done)
            progress(tuple(under_way))
    except* Exception as errors:  # noqa: BLE001 - unpacked: the caller knows single errors only
        raise errors.exceptions[0] from None
    return tables.result(), topics.result(), attributes.result()
