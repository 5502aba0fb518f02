"""Proxies before all three servers, so that one can be taken from a process and not from the rest of a test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from stack.endpoints import Endpoints
from tests.helpers.servers.kafka_proxy import KafkaProxy
from tests.helpers.servers.proxy import Proxy


@dataclass(frozen=True, slots=True)
class Proxies:
    """A proxy before each server."""

    temporal: Proxy
    postgres: Proxy
    kafka: KafkaProxy

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a process that reaches the servers by these proxies."""
        return {
            "TEMPORAL_HOST": self.temporal.address,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.address,
            **db_settings(self.postgres),
        }


def db_settings(proxy: Proxy) -> dict[str, str]:
    """The settings of a process that reaches Postgres by a proxy."""
    host, _, port = proxy.address.rpartition(":")
    return {"DB_HOST": host, "DB_PORT": port}


@asynccontextmanager
async def proxies_before(endpoints: Endpoints) -> AsyncIterator[Proxies]:
    """Proxies that let all pass, until they are told otherwise."""
    async with (
        Proxy(endpoints.temporal_host) as temporal,
        Proxy(f"{endpoints.db_host}:{endpoints.db_port}") as postgres,
        KafkaProxy(endpoints.kafka_bootstrap_servers) as kafka,
    ):
        yield Proxies(temporal, postgres, kafka)
