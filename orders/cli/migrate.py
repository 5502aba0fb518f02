"""``orders migrate``."""

import asyncio

from migrations import Migration
from orders.cli.common import JsonOption, command_app, console, print_json, run_command, server_settings
from orders.database import ensure_tables
from orders.settings import Settings
from orders.topics import Topic, ensure_topics

app = command_app()


@app.command()
def migrate(*, as_json: JsonOption = False) -> None:
    """Make the tables and topics, or bring them up to date.

    Run it before a new version's bridge and workers. It may be repeated, and be run by several at once.

    Missing topics are made with KAFKA_TOPIC_PARTITIONS partitions; those that exist stay as they are, and an unequal
    number of partitions among the four inbound topics is an error.

    Example: [bold]orders migrate --json[/bold]
    """
    settings = server_settings()
    migration, topics = run_command(migrate_all(settings))
    if as_json:
        print_json(
            {
                "database": {"before": migration.before, "after": migration.after, "changed": migration.changed},
                "topics": [
                    {"name": topic.name, "partitions": topic.partitions, "created": topic.created} for topic in topics
                ],
            }
        )
        return
    out = console()
    change = f"{migration.before or 'empty'} → {migration.after}" if migration.changed else f"at {migration.after}"
    out.print(f"tables in {settings.db_name}: {change}")
    for topic in topics:
        out.print(f"topic {topic.name}: {topic.partitions} partitions, {'created' if topic.created else 'there'}")


async def migrate_all(settings: Settings) -> tuple[Migration, tuple[Topic, ...]]:
    """Both, side by side; the first error ends it."""
    try:
        async with asyncio.TaskGroup() as group:
            tables = group.create_task(ensure_tables(settings), name="tables")
            topics = group.create_task(ensure_topics(settings), name="topics")
    except* Exception as errors:  # noqa: BLE001 - unpacked: the caller knows single errors only
        raise errors.exceptions[0] from None
    return tables.result(), topics.result()
