"""``orders migrate``."""

from typing import Annotated

import typer

from orders.cli.common import JsonOption, command_app, console, print_json, run_command
from orders.cli.rendering.progress import progress
from orders.cli.rendering.safe_markup import safe_markup
from orders.errors import UsageError
from orders.installation.kafka_acls import acl_json, acl_lines, kafka_acls, principals_of
from orders.installation.migrate import migrate_all
from orders.local.endpoints import server_settings
from orders.settings import Settings, load_settings

app = command_app()

_PARTS = 3
"""Tables, topics and search attributes."""


@app.command()
def migrate(
    *,
    print_acls: Annotated[
        bool,
        typer.Option("--print-acls", help="Do nothing, and print the rights in Kafka that each process needs."),
    ] = False,
    principal: Annotated[
        list[str] | None,
        typer.Option(
            "--principal", metavar="ROLE=PRINCIPAL", help="Whom to print them for: bridge=User:CN=bridge; repeatable."
        ),
    ] = None,
    consumer_group: Annotated[
        str | None, typer.Option("--consumer-group", metavar="GROUP", help="Of those that read what is published.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make tables, topics and search attributes, or bring them up to date.

    Run it before a new version's bridge and workers. It may be repeated, and be run by several at once.

    Missing topics are made with KAFKA_TOPIC_PARTITIONS partitions; those that exist stay as they are, and an unequal
    number of partitions among the four inbound topics is an error.

    Temporal's namespace must exist. Its search attributes are left alone with TEMPORAL_SEARCH_ATTRIBUTES=false.

    With --print-acls it asks no server: it prints lines for kafka-acls.sh, which whoever administers Kafka runs.

    Example: [bold]orders migrate --print-acls --principal bridge=User:CN=bridge[/bold]
    """
    if print_acls:
        _print_acls(load_settings(), principal or [], consumer_group or "order-events-readers", as_json=as_json)
        return
    if principal or consumer_group:
        raise UsageError("--principal and --consumer-group are for --print-acls: give that too, or leave them out")
    settings = server_settings()
    with progress("looking", lines=not as_json) as step:

        def show(under_way: tuple[str, ...]) -> None:
            step(f"at work on {', '.join(under_way)}; done:", _PARTS - len(under_way), _PARTS)

        migration, topics, attributes = run_command(migrate_all(settings, show))
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


def _print_acls(settings: Settings, principals: list[str], consumer_group: str, *, as_json: bool) -> None:
    acls = kafka_acls(settings, principals_of(principals), consumer_group)
    if as_json:
        print_json([document for one in acls for document in acl_json(one)])
        return
    out = console()
    for line in acl_lines(acls, settings.kafka_bootstrap_servers):
        out.print(safe_markup(line))
