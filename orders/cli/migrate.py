"""``orders migrate``."""

import asyncio

from migrations import Migration
from orders.cli.common import JsonOption, command_app, console, print_json, run_command, server_settings
from orders.installation.search_attributes import SearchAttribute, ensure_search_attributes
from orders.installation.tables import ensure_tables
from orders.installation.topics import Topic, ensure_topics
from orders.settings import Settings

app = command_app()


@app.command()
def migrate(*, as_json: JsonOption = False) -> None:
    """Make tables, topics and search attributes, or bring them up to date.

    Run it before a new version's bridge and workers. It may be repeated, and be run by several at once.

    Missing topics are made with KAFKA_TOPIC_PARTITIONS partitions; those that exist stay as they are, and an unequal
    number of partitions among the four inbound topics is an error.

    Temporal's namespace must exist. Its search attributes are left alone with TEMPORAL_SEARCH_ATTRIBUTES=false.

    Example: [bold]orders migrate --json[/bold]
    """
    settings = server_settings()
    migration, topics, attributes = run_command(migrate_all(settings))
    if as_json:
        print_json(
            {
                "database": {"before": migration.before, "after": migration.after, "changed": migration.changed},
                "topics": [
                    {"name": topic.name, "partitions": topic.partitions, "created": topic.created} for topic in topics
                ],
                "search_attributes": [
                    {"name": one.name, "type": one.type, "created": one.created} for one in attributes
                ],
            }
        )
        return
    out = console()
    change = f"{migration.before or 'empty'} → {migration.after}" if migration.changed else f"at {migration.after}"
    out.print(f"tables in {settings.db_name}: {change}")
    for topic in topics:
        out.print(f"topic {topic.name}: {topic.partitions} partitions, {'created' if topic.created else 'there'}")
    for one in attributes:
        out.print(f"search attribute {one.name}: {one.type}, {'created' if one.created else 'there'}")


async def migrate_all(settings: Settings) -> tuple[Migration, tuple[Topic, ...], tuple[SearchAttribute, ...]]:
    """All, side by side; the first error ends it."""
    try:
        async with asyncio.TaskGroup() as group:
            tables = group.create_task(ensure_tables(settings), name="tables")
            topics = group.create_task(ensure_topics(settings), name="topics")
            attributes = group.create_task(ensure_search_attributes(settings), name="search attributes")
    except* Exception as errors:  # noqa: BLE001 - unpacked: the caller knows single errors only
        raise errors.exceptions[0] from None
    return tables.result(), topics.result(), attributes.result()
