"""All servers that demand TLS, together: one set for the tests of a module."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from stack import Endpoints
from tests.helpers.servers.openid_server import OpenIdServer, openid_server
from tests.helpers.servers.refusing_proxy import RefusingProxy
from tests.helpers.servers.secure.certificates import Certificates
from tests.helpers.servers.secure.kafka import SecureKafka, secure_kafka
from tests.helpers.servers.secure.postgres import SecurePostgres, secure_postgres
from tests.helpers.servers.secure.temporal import TlsDoor, tls_door


@dataclass(frozen=True, slots=True)
class SecureServers:
    """The servers, and doors of Temporal for each certificate."""

    certificates: Certificates
    open: Endpoints
    """The same Kafka and Temporal without any protection, for the test itself; and another Postgres."""
    kafka: SecureKafka
    postgres: SecurePostgres
    provider: OpenIdServer
    temporal: TlsDoor
    """The door that wants no client certificate."""
    temporal_mutual: TlsDoor
    temporal_other_name: TlsDoor
    temporal_expired: TlsDoor
    temporal_refusing: RefusingProxy
    """A door in plain text, which ends every call with its `refusal`."""

    def renew_all(self) -> None:
        """Puts other certificates, of another authority, into the place of all."""
        self.certificates.make()


@asynccontextmanager
async def secure_servers(
    folder: Path, endpoints: Endpoints, say: Callable[[str], None] = lambda _: None
) -> AsyncIterator[SecureServers]:
    """The servers, for as long as the block lasts."""
    certificates = Certificates(folder / "certificates")
    certificates.make()
    target = endpoints.temporal_host
    async with AsyncExitStack() as resources:

        async def door(name: str = "server", *, clients: bool = False) -> TlsDoor:
            return await resources.enter_async_context(tls_door(target, certificates, name, clients=clients))

        provider = await resources.enter_async_context(openid_server())
        postgres = await resources.enter_async_context(secure_postgres(folder / "postgres", certificates, say))
        kafka = await resources.enter_async_context(
            secure_kafka(folder / "kafka", certificates, endpoints, provider.issuer)
        )
        yield SecureServers(
            certificates=certificates,
            open=kafka.endpoints,
            kafka=kafka,
            postgres=postgres,
            provider=provider,
            temporal=await door(),
            temporal_mutual=await door(clients=True),
            temporal_other_name=await door("other-name"),
            temporal_expired=await door("expired-server"),
            temporal_refusing=await resources.enter_async_context(RefusingProxy(target)),
        )
