"""One broker with a door of every kind: TLS with and without client certificates, SASL with each mechanism, rights."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from stack import Endpoints, processes
from stack.jars import KAFKA, ensure_jars
from stack.java import java_command
from stack.kafka import JVM_OPTIONS, KafkaService
from stack.ports import HOST
from stack.progress import ProgressBoard
from stack.readiness import wait_until_ready
from stack.service import Start
from tests.helpers.servers.openid_server import AUDIENCE
from tests.helpers.servers.secure.certificates import Certificates
from tests.helpers.system.processes import free_port

NAME = "localhost"
"""What clients are told to come back to: a name, which the certificates have."""
USER, PASSWORD = "orders-user", "what-the-tests-say"
STRANGER = "stranger"
"""A user who knows a password as well, and has no rights."""
ROLES = ("bridge", "worker", "api", "operator", "upstream", "downstream")
"""Names of users that know the password as well, and have the rights that a test gives them."""
TOKEN_CLIENT = "job-operator"  # noqa: S105 - a name
"""Whom the OpenID provider's tokens are about."""


class Listener(StrEnum):
    """The doors, by Kafka's name of the listener."""

    OPEN = "PLAINTEXT"
    """For the test itself: plain text, every right."""
    MUTUAL = "MUTUAL"
    TLS = "TLS"
    SASL = "SASL"
    """Credentials of any mechanism, by TLS."""
    OTHER_NAME = "OTHERNAME"
    EXPIRED = "EXPIRED"
    PLAIN_SASL = "PLAINSASL"
    """Credentials, without TLS."""


_PROTOCOLS = {
    Listener.OPEN: "PLAINTEXT",
    Listener.MUTUAL: "SSL",
    Listener.TLS: "SSL",
    Listener.SASL: "SASL_SSL",
    Listener.OTHER_NAME: "SSL",
    Listener.EXPIRED: "SSL",
    Listener.PLAIN_SASL: "SASL_PLAINTEXT",
}
_CERTIFICATES = {Listener.OTHER_NAME: "other-name", Listener.EXPIRED: "expired-server"}
_LOGIN = "org.apache.kafka.common.security"
_TOOL_OPTIONS = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


class SecureKafka:
    """The broker; on the same ports whenever it runs.

    Args:
        folder: for its data.
        certificates: its own, and the authority of clients.
        others: the other servers.
        issuer: an OpenID provider whose tokens it takes; None for none.
    """

    def __init__(self, folder: Path, certificates: Certificates, others: Endpoints, issuer: str | None = None) -> None:
        self.ports = {one: free_port() for one in Listener}
        self.endpoints = replace(others, kafka_bootstrap_servers=f"{HOST}:{self.ports[Listener.OPEN]}")
        """For the test: no password, every right."""
        (folder / "logs").mkdir(parents=True)
        self._folder, self._certificates, self._issuer = folder, certificates, issuer
        self._controller_port = free_port()
        self._service = KafkaService(folder, self.ports[Listener.OPEN], self._controller_port, self.endpoints)
        self._service.format_options = tuple(
            part
            for mechanism in _MECHANISMS[1:]
            for part in ("--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]")
        )
        if issuer is not None:
            allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={issuer}/jwks"
            self._service.jvm_options = (*JVM_OPTIONS, allowed)
        self._process: processes.ProcessIdentity | None = None
        self._plain = dict.fromkeys((USER, STRANGER, *ROLES), PASSWORD)

    def address(self, listener: Listener) -> str:
        """``host:port`` of a door."""
        return f"{NAME}:{self.ports[listener]}"

    async def change_rights(self, *arguments: str) -> None:
        """Runs ``kafka-acls.sh`` with these arguments, as one who may do everything."""
        await self._run("org.apache.kafka.tools.AclCommand", *arguments)

    async def change_password(self, user: str, password: str) -> None:
        """Gives a user a password, in place of any former one, for PLAIN and SCRAM-SHA-512.

        For SCRAM it counts at once, for PLAIN from the broker's next start. Connections that are open stay open.
        """
        self._plain[user] = password
        # Kafka takes one mechanism of a user in a request.
        scram = f"SCRAM-SHA-512=[iterations=4096,password={password}]"
        what = ("--alter", "--entity-type", "users", "--entity-name", user, "--add-config", scram)
        await self._run("kafka.admin.ConfigCommand", *what)

    async def _run(self, tool: str, *arguments: str) -> None:
        command = java_command(ensure_jars(KAFKA, lambda _: None), tool, *_TOOL_OPTIONS)
        where = ("--bootstrap-server", self.endpoints.kafka_bootstrap_servers)
        process = await asyncio.create_subprocess_exec(
            *command, *where, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()

    async def restart(self) -> None:
        """Starts it, again where it runs, with the certificates that are there now."""
        await asyncio.to_thread(self._restart)

    async def stop(self) -> None:
        """Ends it."""
        await asyncio.to_thread(self._stop)

    def _restart(self) -> None:
        self._stop()
        with ProgressBoard(lambda _: None) as board:
            properties = self._folder / "kafka" / "server.properties"
            properties.parent.mkdir(exist_ok=True)
            self._service.prepare(Start(board, threading.Event()))
        # Of a property that is given twice, the last one counts.
        properties.write_text(properties.read_text() + "\n".join(self._properties()) + "\n")
        process = self._process = processes.start(self._service.launch(), self._service.log_path)
        wait_until_ready(self._service.check, lambda: process.find() is not None, self._service.start_patience_seconds)

    def _stop(self) -> None:
        if self._process is not None:
            # At once: what it has acknowledged outlives its process, and an orderly end takes seconds.
            processes.kill(self._process)

    def _properties(self) -> list[str]:
        bound = [f"{one}://{HOST}:{port}" for one, port in self.ports.items()]
        told = [f"{one}://{HOST if one is Listener.OPEN else NAME}:{port}" for one, port in self.ports.items()]
        protocols = [f"{one}:{protocol}" for one, protocol in _PROTOCOLS.items()]
        lines = [
            f"listeners={','.join(bound)},CONTROLLER://{HOST}:{self._controller_port}",
            f"advertised.listeners={','.join(told)}",
            f"listener.security.protocol.map={','.join(protocols)},CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name=PLAINTEXT",
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            f"super.users=User:ANONYMOUS;User:{USER};User:CN=orders;User:{TOKEN_CLIENT}",
            # Tokens end connections when they do.
            "connections.max.reauth.ms=3600000",
        ]
        for one, protocol in _PROTOCOLS.items():
            begin = f"listener.name.{one.lower()}."
            if protocol.endswith("SSL"):
                lines += self._tls(begin, one)
            if protocol.startswith("SASL"):
                lines += self._sasl(begin)
        return lines

    def _tls(self, begin: str, listener: Listener) -> list[str]:
        both = self._certificates.both(_CERTIFICATES.get(listener, "server"))
        return [
            f"{begin}ssl.keystore.type=PEM",
            f"{begin}ssl.keystore.location={both}",
            f"{begin}ssl.truststore.type=PEM",
            f"{begin}ssl.truststore.location={self._certificates.ca}",
            f"{begin}ssl.client.auth={'required' if listener is Listener.MUTUAL else 'none'}",
        ]

    def _sasl(self, begin: str) -> list[str]:
        offered = (*_MECHANISMS, *(["OAUTHBEARER"] if self._issuer else []))
        known = " ".join(f'user_{name}="{password}"' for name, password in self._plain.items())
        lines = [
            f"{begin}sasl.enabled.mechanisms={','.join(offered)}",
            f"{begin}plain.sasl.jaas.config={_LOGIN}.plain.PlainLoginModule required {known};",
            *(
                f"{begin}{mechanism.lower()}.sasl.jaas.config={_LOGIN}.scram.ScramLoginModule required;"
                for mechanism in _MECHANISMS[1:]
            ),
        ]
        if self._issuer is None:
            return lines
        token = f"{begin}oauthbearer.sasl."
        return [
            *lines,
            f"{token}jaas.config={_LOGIN}.oauthbearer.OAuthBearerLoginModule required;",
            f"{token}server.callback.handler.class={_LOGIN}.oauthbearer.OAuthBearerValidatorCallbackHandler",
            f"{begin}sasl.oauthbearer.jwks.endpoint.url={self._issuer}/jwks",
            f"{begin}sasl.oauthbearer.expected.issuer={self._issuer}",
            f"{begin}sasl.oauthbearer.expected.audience={AUDIENCE}",
        ]


@asynccontextmanager
async def secure_kafka(
    folder: Path, certificates: Certificates, others: Endpoints, issuer: str | None = None
) -> AsyncIterator[SecureKafka]:
    """A broker that runs while the block lasts."""
    kafka = SecureKafka(folder, certificates, others, issuer)
    try:
        await kafka.restart()
        yield kafka
    finally:
        await kafka.stop()
