"""Each mistake with certificates, passwords and rights, caused on real servers, has its own sentence and way out."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from pydantic import SecretStr
from temporalio.service import RPCStatusCode

from orders.clients import kafka_tokens
from orders.clients.diagnoses.kafka import kafka_diagnosis
from orders.clients.diagnoses.postgres import postgres_diagnosis
from orders.clients.kafka_login import kafka_security
from orders.clients.mistakes import TABLE, Diagnosis, Mistake, Server
from orders.clients.temporal import connect_temporal
from orders.errors import RefusedAtTheDoorError
from orders.settings import Settings
from stack import Endpoints
from tests.helpers.servers.openid_server import AUDIENCE, CLIENT_SECRET, new_key
from tests.helpers.servers.secure import postgres as pg
from tests.helpers.servers.secure.kafka import PASSWORD, STRANGER, TOKEN_CLIENT, USER, Listener
from tests.helpers.servers.secure.rooms import SecureServers, secure_servers
from tests.helpers.system.waiting import assert_eventually

Case = Callable[[SecureServers], dict[str, Any]]


@pytest.fixture(scope="module")
async def servers(
    endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory, say: Callable[[str], None]
) -> AsyncIterator[SecureServers]:
    async with secure_servers(tmp_path_factory.mktemp("secure"), endpoints, say) as running:
        for statement in ("CREATE ROLE nobody LOGIN PASSWORD 'x'", "CREATE ROLE locked NOLOGIN PASSWORD 'x'"):
            await running.postgres.execute(statement)
        await running.postgres.execute("CREATE TABLE orders (id text)", pg.TLS)
        await running.postgres.execute(f"ALTER TABLE orders OWNER TO {pg.USER}", pg.TLS)
        yield running


def files(prefix: str, servers: SecureServers, client: str | None = "client", ca: Path | None = None) -> dict[str, Any]:
    """Settings of certificates, which begin as one server's do."""
    server = "server_" if prefix == "temporal_tls" else ""
    own = "client_" if prefix == "temporal_tls" else ""
    found: dict[str, Any] = {f"{prefix}_{server}ca_file": ca or servers.certificates.ca}
    if client is not None:
        found |= {
            f"{prefix}_{own}cert_file": servers.certificates.cert(client),
            f"{prefix}_{own}key_file": servers.certificates.key(client),
        }
    return found


def temporal(door: str, client: str | None = None, *, ca: str = "ca", tls: bool = True) -> Case:
    def settings(servers: SecureServers) -> dict[str, Any]:
        address = getattr(servers, door).address
        if not tls:
            return {"temporal_host": address}
        certificates = files("temporal_tls", servers, client, getattr(servers.certificates, ca))
        return {"temporal_host": address, "temporal_tls": True, **certificates}

    return settings


def kafka(listener: Listener, protocol: str, client: str | None = None, *, ca: str = "ca", **others: Any) -> Case:
    def settings(servers: SecureServers) -> dict[str, Any]:
        certificates = files("kafka_ssl", servers, client, getattr(servers.certificates, ca))
        return {
            "kafka_bootstrap_servers": servers.kafka.address(listener),
            "kafka_security_protocol": protocol,
            **(certificates if protocol.endswith("SSL") else {}),
            **others,
        }

    return settings


def sasl(mechanism: str = "PLAIN", user: str = USER, password: str = PASSWORD) -> dict[str, str]:
    return {"kafka_sasl_mechanism": mechanism, "kafka_sasl_username": user, "kafka_sasl_password": password}


def by_token(secret: str = CLIENT_SECRET, audience: str | None = AUDIENCE) -> Case:
    def settings(servers: SecureServers) -> dict[str, Any]:
        return kafka(
            Listener.SASL,
            "SASL_SSL",
            kafka_sasl_mechanism="OAUTHBEARER",
            kafka_oauth_token_url=f"{servers.provider.issuer}/token",
            kafka_oauth_client_id=TOKEN_CLIENT,
            kafka_oauth_client_secret=secret,
            kafka_oauth_audience=audience,
            kafka_oauth_scope="orders",
        )(servers)

    return settings


def postgres(
    database: str, tls: str = "verify-full", client: str | None = None, *, ca: str = "ca", **others: Any
) -> Case:
    def settings(servers: SecureServers) -> dict[str, Any]:
        names = servers.postgres.settings.items()
        certificates = files("db_tls", servers, client, getattr(servers.certificates, ca))
        if tls == "require":
            del certificates["db_tls_ca_file"]
        return {
            **{name.lower(): value for name, value in names},
            "db_name": database,
            "db_tls": tls,
            **(certificates if tls != "off" else {}),
            **others,
        }

    return settings


def settings_of(case: Case, servers: SecureServers) -> Settings:
    return Settings(_env_file=None, temporal_connect_timeout_seconds=30, **case(servers))


TEMPORAL_CASES: dict[Mistake, Case] = {
    Mistake.TLS_REQUIRED: temporal("temporal", tls=False),
    Mistake.TLS_NOT_SPOKEN: temporal("temporal_refusing"),
    Mistake.SERVER_UNTRUSTED: temporal("temporal", ca="other_ca"),
    Mistake.SERVER_EXPIRED: temporal("temporal_expired"),
    Mistake.SERVER_NAME: temporal("temporal_other_name"),
    Mistake.CLIENT_MISSING: temporal("temporal_mutual"),
    Mistake.CLIENT_EXPIRED: temporal("temporal_mutual", "expired-client"),
    Mistake.CLIENT_REFUSED: temporal("temporal_mutual", "foreign-client"),
}

KAFKA_CASES: dict[str, tuple[Mistake, Case]] = {
    "plain to TLS": (Mistake.TLS_REQUIRED, kafka(Listener.TLS, "PLAINTEXT")),
    "TLS to plain": (Mistake.TLS_NOT_SPOKEN, kafka(Listener.OPEN, "SSL")),
    "wrong authority": (Mistake.SERVER_UNTRUSTED, kafka(Listener.TLS, "SSL", ca="other_ca")),
    "expired": (Mistake.SERVER_EXPIRED, kafka(Listener.EXPIRED, "SSL")),
    "other name": (Mistake.SERVER_NAME, kafka(Listener.OTHER_NAME, "SSL")),
    "no client certificate": (Mistake.CLIENT_MISSING, kafka(Listener.MUTUAL, "SSL")),
    "expired client": (Mistake.CLIENT_EXPIRED, kafka(Listener.MUTUAL, "SSL", "expired-client")),
    "foreign client": (Mistake.CLIENT_REFUSED, kafka(Listener.MUTUAL, "SSL", "foreign-client")),
    "wrong password, PLAIN": (
        Mistake.CREDENTIALS_REFUSED,
        kafka(Listener.SASL, "SASL_SSL", **sasl(password="wrong")),  # noqa: S106
    ),
    "wrong password, SCRAM": (
        Mistake.CREDENTIALS_REFUSED,
        kafka(Listener.SASL, "SASL_SSL", **sasl("SCRAM-SHA-512", password="wrong")),  # noqa: S106
    ),
    "no user": (Mistake.SASL_REQUIRED, kafka(Listener.SASL, "SSL")),
    "no user, no TLS": (Mistake.SASL_REQUIRED, kafka(Listener.PLAIN_SASL, "PLAINTEXT")),
    "a user where none is asked for": (Mistake.SASL_NOT_SPOKEN, kafka(Listener.TLS, "SASL_SSL", **sasl())),
    "secret refused": (Mistake.TOKEN_NOT_GIVEN, by_token(secret="wrong")),  # noqa: S106
    "a token that is not for Kafka": (Mistake.TOKEN_REFUSED, by_token(audience=None)),
    "no right to a topic": (Mistake.NOT_ALLOWED, kafka(Listener.SASL, "SASL_SSL", **sasl(user=STRANGER))),
}

POSTGRES_CASES: dict[str, tuple[Mistake, Case]] = {
    "plain to TLS": (Mistake.TLS_REQUIRED, postgres(pg.TLS, "off")),
    "wrong authority": (Mistake.SERVER_UNTRUSTED, postgres(pg.TLS, ca="other_ca")),
    "wrong authority, whatever name": (Mistake.SERVER_UNTRUSTED, postgres(pg.TLS, "verify-ca", ca="other_ca")),
    "other name": (Mistake.SERVER_NAME, postgres(pg.TLS, db_host=pg.OTHER_HOST)),
    "no client certificate": (Mistake.CLIENT_MISSING, postgres(pg.MUTUAL)),
    "expired client": (Mistake.CLIENT_EXPIRED, postgres(pg.MUTUAL, client="expired-client")),
    "foreign client": (Mistake.CLIENT_REFUSED, postgres(pg.MUTUAL, client="foreign-client")),
    "wrong password": (Mistake.CREDENTIALS_REFUSED, postgres(pg.TLS, db_password="wrong")),  # noqa: S106
    "no such user": (Mistake.CREDENTIALS_REFUSED, postgres(pg.TLS, db_user="none", db_password="x")),  # noqa: S106
    "may not log in": (Mistake.LOGIN_NOT_ALLOWED, postgres(pg.TLS, db_user="locked", db_password="x")),  # noqa: S106
    "no such database": (Mistake.PLACE_MISSING, postgres("nowhere")),
    "not by pg_hba.conf": (Mistake.LOGIN_NOT_ALLOWED, postgres("elsewhere")),
    "no right to the tables": (Mistake.NOT_ALLOWED, postgres(pg.TLS, db_user="nobody", db_password="x")),  # noqa: S106
}


def assert_says(found: Diagnosis | None, server: Server, mistake: Mistake) -> None:
    assert found is not None
    assert (found.server, found.mistake) == (server, mistake), found
    row = TABLE[server][mistake]
    assert found.sentence.startswith(row.sentence.partition("{")[0])
    assert "{" not in str(found)


@pytest.mark.parametrize("mistake", TEMPORAL_CASES)
async def test_temporal_s_mistakes_are_told_apart(mistake: Mistake, servers: SecureServers) -> None:
    servers.temporal_refusing.refusal = None
    with pytest.raises(RefusedAtTheDoorError) as refused:
        await connect_temporal(settings_of(TEMPORAL_CASES[mistake], servers))
    assert refused.value.mistake == mistake
    assert str(refused.value).startswith(TABLE[Server.TEMPORAL][mistake].sentence.partition("{")[0])


@pytest.mark.parametrize(
    ("status", "key", "mistake"),
    [
        (RPCStatusCode.UNAUTHENTICATED, None, Mistake.CREDENTIALS_REFUSED),
        (RPCStatusCode.PERMISSION_DENIED, None, Mistake.CREDENTIALS_REFUSED),
        (RPCStatusCode.PERMISSION_DENIED, "a-key", Mistake.NOT_ALLOWED),
    ],
)
async def test_what_temporal_answers_itself_is_told_apart(
    status: RPCStatusCode, key: str | None, mistake: Mistake, servers: SecureServers
) -> None:
    servers.temporal_refusing.refusal = status
    address = servers.temporal_refusing.address
    settings = Settings(_env_file=None, temporal_host=address).model_copy(
        update={"temporal_api_key": SecretStr(key) if key else None}
    )
    with pytest.raises(RefusedAtTheDoorError) as refused:
        await connect_temporal(settings)
    assert refused.value.mistake == mistake


async def test_a_namespace_that_temporal_does_not_have_is_told(servers: SecureServers) -> None:
    settings = settings_of(temporal("temporal"), servers).model_copy(update={"temporal_namespace": "nowhere"})
    with pytest.raises(RefusedAtTheDoorError, match="Temporal has no namespace 'nowhere': create it"):
        await connect_temporal(settings)


@pytest.mark.parametrize("case", KAFKA_CASES)
async def test_kafka_s_mistakes_are_told_apart(case: str, servers: SecureServers) -> None:
    mistake, settings = KAFKA_CASES[case]
    found = await kafka_diagnosis(settings_of(settings, servers), topics=["order.created"])
    assert_says(found, Server.KAFKA, mistake)


@pytest.mark.parametrize("case", POSTGRES_CASES)
async def test_postgres_s_mistakes_are_told_apart(case: str, servers: SecureServers) -> None:
    mistake, settings = POSTGRES_CASES[case]
    assert_says(await postgres_diagnosis(settings_of(settings, servers)), Server.POSTGRES, mistake)


async def test_a_certificate_of_postgres_that_has_expired_is_told(servers: SecureServers) -> None:
    settings = settings_of(postgres(pg.TLS), servers)
    await servers.postgres.renew("expired-server")
    try:
        assert_says(await postgres_diagnosis(settings), Server.POSTGRES, Mistake.SERVER_EXPIRED)
    finally:
        await servers.postgres.renew()
    assert await postgres_diagnosis(settings) is None


async def test_who_is_let_in_has_made_no_mistake(servers: SecureServers) -> None:
    client = await connect_temporal(settings_of(temporal("temporal_mutual", "client"), servers))
    assert client.namespace == "default"
    for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
        case = kafka(Listener.SASL, "SASL_SSL", **sasl(mechanism))
        assert await kafka_diagnosis(settings_of(case, servers), topics=["order.created"]) is None, mechanism
    for let_in in (by_token(), kafka(Listener.MUTUAL, "SSL", "client"), kafka(Listener.TLS, "SSL")):
        assert await kafka_diagnosis(settings_of(let_in, servers)) is None
    for let_in in (
        postgres(pg.MUTUAL, client="client"),
        postgres(pg.TLS),
        postgres(pg.TLS, "verify-ca", db_host="127.0.0.1"),
        postgres(pg.TLS, "require"),
        postgres(pg.PLAIN, "off"),
    ):
        assert await postgres_diagnosis(settings_of(let_in, servers)) is None


async def test_a_token_whose_key_the_provider_has_taken_back_is_replaced_long_before_its_end(
    servers: SecureServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one here, as the provider goes on with another key."""
    monkeypatch.setattr(kafka_tokens, "_REFUSED_SECONDS", 0.0)
    settings = settings_of(by_token(), servers)
    options = kafka_security(settings)
    tokens = options["sasl_oauth_token_provider"]
    former = await tokens.token()

    async def is_let_in() -> bool:
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers, **options)
        try:
            await admin.start()
        except KafkaError:
            return False
        finally:
            await admin.close()
        return True

    async def kafka_knows_the_new_key() -> bool:
        return await kafka_diagnosis(settings) is None

    servers.provider.kill()
    servers.provider.key = new_key("key-2")
    await servers.provider.start()
    # Kafka asks for the provider's keys when a token has one that it does not know.
    await assert_eventually(kafka_knows_the_new_key, 60, "Kafka to know the provider's new key")
    assert not await is_let_in()
    assert await is_let_in()
    assert await tokens.token() != former
