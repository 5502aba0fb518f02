"""``orders migrate``."""

from orders.cli.common import JsonOption, command_app, console, print_json, run_command
from orders.installation.migrate import migrate_all
from orders.local.endpoints import server_settings

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
