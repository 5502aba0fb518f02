"""All connections and rights, tried at once."""

import asyncio

from orders.clients.opened import Clients
from orders.installation.connections.findings import Finding
from orders.installation.connections.kafka import try_kafka
from orders.installation.connections.postgres import try_postgres
from orders.installation.connections.providers import try_providers
from orders.installation.connections.temporal import try_temporal


async def try_connections(clients: Clients) -> list[Finding]:
    """What was found at each server, those of one server behind each other.

    Does nothing that anybody could notice: no topic is made, no record written, no workflow started.
    """
    found = await asyncio.gather(
        try_kafka(clients), try_temporal(clients), try_postgres(clients), try_providers(clients.settings)
    )
    return [finding for findings in found for finding in findings]
