"""How the clients of Kafka and Temporal are let in, and what is said where they are not."""

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from aiokafka import TopicPartition
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from pydantic import SecretStr
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from orders.clients import kafka, temporal, topic_scan
from orders.clients.kafka_login import kafka_security
from orders.clients.kafka_rights import Allowed, KafkaRights, Right
from orders.clients.kafka_tokens import _status_of, _token_of
from orders.clients.mistakes import TokenNotGivenError
from orders.clients.progress import OffsetRange
from orders.clients.renewed_temporal import temporal_tls
from orders.clients.topic_scan import TopicScan
from orders.errors import OrdersError, UnreachableError, WrongSettingsError
from orders.installation.connections.findings import Finding, Verdict
from orders.installation.connections.kafka import _judged, _topics
from orders.settings import Settings
from tests.helpers.system.waiting import patient_timeout

SETTINGS = Settings(_env_file=None, kafka_request_timeout_seconds=0.1)


def changed(**changes: Any) -> Settings:
    return Settings.model_construct(**{**SETTINGS.model_dump(), **changes})


# Temporal -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (RPCError("", RPCStatusCode.NOT_FOUND, b""), WrongSettingsError, "Temporal has no namespace 'default'"),
        (RPCError("", RPCStatusCode.UNAUTHENTICATED, b""), WrongSettingsError, "Temporal refused the credentials"),
        (RPCError("", RPCStatusCode.PERMISSION_DENIED, b""), WrongSettingsError, "Temporal refused the credentials"),
        (RPCError("", RPCStatusCode.UNAVAILABLE, b""), UnreachableError, "Temporal does not answer at"),
        (RuntimeError("connection refused"), UnreachableError, "Temporal does not answer at"),
        (TimeoutError(), UnreachableError, "Temporal does not answer at"),
    ],
)
async def test_what_keeps_us_from_temporal_is_told_apart(
    error: Exception, kind: type[OrdersError], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_: object) -> None:
        raise error

    service = SimpleNamespace(describe_namespace=refuse)
    client = SimpleNamespace(namespace="default", workflow_service=service)

    async def connect(*_: object, **__: object) -> object:
        return client

    monkeypatch.setattr("orders.clients.temporal.Client.connect", connect)
    with pytest.raises(kind, match=sentence):
        await temporal.connect_temporal(SETTINGS)


def test_certificates_for_temporal_are_read_and_a_missing_one_is_named(tmp_path: Path) -> None:
    assert temporal_tls(SETTINGS) is False
    assert temporal_tls(changed(temporal_tls=True)) is True, "with the system's authorities"
    authority = tmp_path / "ca.pem"
    authority.write_bytes(b"ca")
    settings = changed(temporal_tls=True, temporal_tls_server_ca_file=authority)
    assert temporal_tls(settings) == TLSConfig(server_root_ca_cert=b"ca")
    (tmp_path / "cert").touch()
    half = {"temporal_tls_client_cert_file": tmp_path / "cert", "temporal_tls_client_key_file": tmp_path / "none"}
    with pytest.raises(WrongSettingsError, match="TEMPORAL_TLS_CLIENT_KEY_FILE cannot be read: No such file"):
        temporal_tls(changed(temporal_tls=True, **half))


# Kafka --------------------------------------------------------------------------------------------------------------


def test_a_password_for_kafka_goes_to_every_client_with_its_mechanism() -> None:
    settings = changed(
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism="PLAIN",
        kafka_sasl_username="me",
        kafka_sasl_password=SecretStr("hush"),
    )
    options = kafka_security(settings)
    assert options.pop("ssl_context").check_hostname
    assert options == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "me",
        "sasl_plain_password": "hush",
    }
    assert kafka_security(SETTINGS) == {"security_protocol": "PLAINTEXT"}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
async def test_a_password_in_a_file_is_read_again_for_each_connection_to_kafka(mechanism: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first\n")
    settings = changed(
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_mechanism=mechanism,
        kafka_sasl_username="me",
        kafka_sasl_password_file=file,
    )
    options = kafka_security(settings)
    assert "first" not in repr(options)

    def said() -> bytes | str:
        connection = AIOKafkaConnection("127.0.0.1", 1, **options)
        scram = mechanism.startswith("SCRAM")
        authenticator = connection.authenticator_scram() if scram else connection.authenticator_plain()
        password: bytes | str = authenticator._sasl_plain_password
        return password.decode() if isinstance(password, bytes) else password

    assert said() == "first"
    file.write_text("second\n")
    assert said() == "second"
    file.unlink()
    assert said() == "second", "the former one, until there is one that can be read"


def test_certificates_for_kafka_that_are_none_are_told(tmp_path: Path) -> None:
    (tmp_path / "cert").write_text("no certificate")
    with pytest.raises(WrongSettingsError, match="KAFKA_SSL_CA_FILE cannot be read: No such file"):
        kafka_security(changed(kafka_security_protocol="SSL", kafka_ssl_ca_file=tmp_path / "none"))
    with pytest.raises(WrongSettingsError, match="KAFKA_SSL_CERT_FILE holds no certificate in PEM form"):
        kafka_security(
            changed(
                kafka_security_protocol="SSL",
                kafka_ssl_cert_file=tmp_path / "cert",
                kafka_ssl_key_file=tmp_path / "cert",
            )
        )


class KafkaClient:
    """A client whose start and stop do what a test wants."""

    def __init__(self, *, start: Any = None, stop: Any = None) -> None:
        self._start, self._stop = start, stop
        self.stopped = asyncio.Event()

    async def start(self) -> None:
        if self._start is not None:
            await self._start

    async def stop(self) -> None:
        self.stopped.set()
        if self._stop is not None:
            await self._stop


async def fail() -> None:
    raise KafkaConnectionError("away")


@pytest.mark.parametrize("start", [fail, asyncio.Event().wait], ids=["refused", "silent"])
async def test_a_kafka_that_does_not_answer_is_told_and_the_client_is_closed(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = KafkaClient(start=start())
    monkeypatch.setattr(kafka, "AIOKafkaProducer", lambda **_: client)
    with pytest.raises(UnreachableError, match="Kafka does not answer at"):
        async with kafka.kafka_producer(SETTINGS):
            pass
    assert client.stopped.is_set()


@pytest.mark.parametrize("stop", [fail, asyncio.Event().wait], ids=["refused", "silent"])
async def test_a_client_of_kafka_that_does_not_close_stands_in_nobodys_way(
    stop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "_CLOSE_TIMEOUT_SECONDS", 0.1)
    client = KafkaClient(stop=stop())
    monkeypatch.setattr(kafka, "AIOKafkaConsumer", lambda **_: client)
    async with patient_timeout(5), kafka.kafka_consumer(SETTINGS) as opened:
        assert opened is client
    assert client.stopped.is_set()


# Reading topics -----------------------------------------------------------------------------------------------------

PLACE = TopicPartition("t", 0)


class Consumer:
    """A consumer of one partition that gives nothing, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def assign(self, _: object) -> None:
        pass

    def seek(self, *_: object) -> None:
        pass

    async def getmany(self, *_: object, **__: object) -> dict[TopicPartition, list[Any]]:
        await asyncio.sleep(0.01)
        if self._error is not None:
            raise self._error
        return {}

    async def position(self, _: TopicPartition) -> int:
        return 0


async def read(error: Exception | None) -> None:
    scan = TopicScan(Consumer(error), SETTINGS, [PLACE])
    async for _ in scan.read({PLACE: OffsetRange(0, 1)}):
        pass


async def test_a_topic_of_which_nothing_comes_any_more_is_not_awaited_for_ever() -> None:
    async with patient_timeout(5):
        with pytest.raises(UnreachableError, match="Kafka does not answer at"):
            await read(None)


async def test_a_damaged_partition_is_told_by_its_topic_and_any_other_error_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(topic_scan, "is_of_one_partition", lambda error: isinstance(error, ValueError))
    with pytest.raises(OrdersError, match=r"what Kafka holds in one of t is damaged .*\(ValueError: bad checksum\)"):
        await read(ValueError("bad checksum"))
    with pytest.raises(KafkaConnectionError):
        await read(KafkaConnectionError("away"))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (httpx.Response(401, json={"error": "invalid_client"}), "it answers 401, 'invalid_client'"),
        (httpx.Response(503, json={}), "it answers 503, 'without a reason'"),
        (httpx.Response(200, text="<html>"), "it answers 200, and not as RFC 6749 has it"),
        (httpx.Response(200, json=[]), "it answers 200, and not as RFC 6749 has it"),
        (httpx.Response(200, json={"token": "t"}), "it answers 200, and not as RFC 6749 has it"),
        (httpx.Response(200, json={"access_token": "t", "expires_in": None}), "and not as RFC 6749 has it"),
    ],
)
def test_why_a_provider_gives_no_token_is_said(answer: httpx.Response, sentence: str) -> None:
    with pytest.raises(TokenNotGivenError, match=sentence):
        _token_of(answer)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"status": "invalid_token"}', "invalid_token"),
        (b"no JSON", "without a reason"),
        (b"[]", "without a reason"),
        (b"{}", "without a reason"),
        (b"\xff", "without a reason"),
    ],
)
def test_why_kafka_refuses_a_token_is_said(payload: bytes, reason: str) -> None:
    assert _status_of(payload) == reason


# What the broker's answer means ---------------------------------------------------------------------------------------

EVERYTHING = Allowed(0, frozenset(Right), 3)


def judged(*, cluster: frozenset[Right] | None = None, **allowed: Allowed) -> dict[str, Finding]:
    """What is found wrong where all is allowed but for these: a topic by its setting, and the group."""
    topics = dict.fromkeys(_topics(SETTINGS), EVERYTHING)
    group = allowed.pop("group", EVERYTHING)
    topics |= {getattr(SETTINGS, name): one for name, one in allowed.items()}
    found = _judged(SETTINGS, KafkaRights(topics, group, cluster))
    return {one.what: one for one in found if one.verdict is not Verdict.OK}


def test_topics_that_orders_come_by_and_that_differ_in_partitions_are_told() -> None:
    [found] = judged(kafka_topic_order_approved=replace(EVERYTHING, partitions=4)).values()
    assert (found.what, found.verdict) == ("partitions", Verdict.MISSING)
    assert "order.approved has 4, order.cancelled has 3" in found.detail


@pytest.mark.parametrize(
    ("cluster", "action"),
    [
        (None, "make it: `orders migrate`"),
        (frozenset({Right.CREATE}), "make it: `orders migrate`"),
        (
            frozenset(),
            "have it made, or allow our user (of the client certificate, or ANONYMOUS) Create on the cluster",
        ),
    ],
)
def test_a_missing_topic_is_to_be_made_by_whoever_may(cluster: frozenset[Right] | None, action: str) -> None:
    unknown = Allowed(3, None)
    [found] = judged(cluster=cluster, kafka_topic_dead_letters=unknown).values()
    assert (found.verdict, found.detail) == (Verdict.MISSING, "is not there")
    assert str(found.action).startswith(action)


def test_what_the_broker_does_not_say_is_unknown() -> None:
    found = judged(group=Allowed(15, None), kafka_topic_order_events=replace(EVERYTHING, rights=None))
    assert {(one.verdict, one.detail) for one in found.values()} == {
        (Verdict.UNKNOWN, "Kafka does not say (GroupCoordinatorNotAvailableError)"),
        (Verdict.UNKNOWN, "is there, with 3 partitions; the broker does not say what we may do with it"),
    }
