"""Why Kafka does not let us in."""

import asyncio
import struct
from collections.abc import Collection
from typing import Final

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.protocol.metadata import MetadataRequest

from orders.clients.doors import KNOCK_SECONDS, Door, knock
from orders.clients.kafka_login import kafka_security
from orders.clients.mistakes import Diagnosis, Mistake, Server, TokenNotGivenError, diagnosis
from orders.clients.tls_files import KAFKA, make_context
from orders.errors import UnreachableError
from orders.settings import Settings

_ILLEGAL_SASL_STATE: Final = 34
_UNSUPPORTED_MECHANISM: Final = 33
_RIGHTS: Final = {
    GroupAuthorizationFailedError: "the consumer group",
    ClusterAuthorizationFailedError: "the cluster",
}


async def kafka_diagnosis(
    settings: Settings, error: BaseException | None = None, *, topics: Collection[str] = ()
) -> Diagnosis | None:
    """Why Kafka does not let us in; None where it is away, or lets us in.

    Args:
        settings: where it is.
        error: what a client has met; None where none has.
        topics: what is to be used: Kafka shows no topic to who has no right to it, as if it were not there.

    Raises:
        WrongSettingsError: a certificate cannot be read.
    """
    for kind, place in _RIGHTS.items():
        if isinstance(error, kind):
            named = f"{place} {settings.bridge_group_id}" if "group" in place else place
            return _of_kafka(settings, settings.kafka_bootstrap_servers, Mistake.NOT_ALLOWED, place=named)
    first: Diagnosis | None = None
    for host, port, _ in collect_hosts(settings.kafka_bootstrap_servers, randomize=False):
        found = await _at_one_broker(settings, host, port, topics)
        if found is not None and found.mistake is Mistake.NOT_ALLOWED:
            return found
        first = first or found
    return first


async def look_at_kafka(settings: Settings, *, topics: Collection[str] = ()) -> Diagnosis | None:
    """Asks Kafka for topics as a client does; why it does not let us in, None where it answers.

    Args:
        settings: where it is.
        topics: what is to be used.

    Raises:
        UnreachableError: none of the brokers that are named answers, and nothing is known to be wrong with us.
        WrongSettingsError: a certificate cannot be read.
    """
    failed: BaseException | None = None
    answered = False
    for host, port, _ in collect_hosts(settings.kafka_bootstrap_servers, randomize=False):
        try:
            await _ask_a_broker(settings, host, port, topics)
            answered = True
        except (KafkaError, OSError, TimeoutError) as error:
            failed = failed or error
    found = None if failed is None else await kafka_diagnosis(settings, failed, topics=topics)
    if found is None and not answered:
        raise UnreachableError(f"Kafka at {settings.kafka_bootstrap_servers} does not answer") from failed
    return found


async def _ask_a_broker(settings: Settings, host: str, port: int, topics: Collection[str]) -> None:
    """Asks for topics.

    Raises:
        KafkaError, OSError, TimeoutError: no answer.
        TopicAuthorizationFailedError: we have no right to one of the topics; it names those.
    """
    async with asyncio.timeout(KNOCK_SECONDS):
        connection = await create_conn(host, port, client_id="orders-diagnosis", **kafka_security(settings))
        try:
            answer = await connection.send(MetadataRequest(list(topics) or None, allow_auto_topic_creation=False))
        finally:
            connection.close()
    refused = [name for code, name, *_ in answer.topics if for_code(code) is TopicAuthorizationFailedError]
    if refused:
        raise TopicAuthorizationFailedError(*sorted(refused))


async def _at_one_broker(settings: Settings, host: str, port: int, topics: Collection[str]) -> Diagnosis | None:
    address, protocol = f"{host}:{port}", settings.kafka_security_protocol
    context = make_context(settings, KAFKA) if protocol.endswith("SSL") else None
    mechanism = settings.kafka_sasl_mechanism or "PLAIN"
    told = await knock(Door(host, port, context, _sasl_hello(mechanism), _is_sasl_answer), settings, KAFKA)
    if told.mistake is not None:
        return _of_kafka(settings, address, told.mistake)
    if not told.answer:
        return None
    code, offered = _sasl_answer(told.answer)
    by_sasl = protocol.startswith("SASL")
    if by_sasl and code == _ILLEGAL_SASL_STATE:
        return _of_kafka(settings, address, Mistake.SASL_NOT_SPOKEN)
    if not by_sasl and code in (0, _UNSUPPORTED_MECHANISM):
        return _of_kafka(settings, address, Mistake.SASL_REQUIRED)
    if by_sasl and code == _UNSUPPORTED_MECHANISM:
        return _of_kafka(
            settings, address, Mistake.MECHANISM, mechanism=mechanism, offered=", ".join(offered) or "none"
        )
    return await _of_the_login(settings, host, port, topics)


async def _of_the_login(settings: Settings, host: str, port: int, topics: Collection[str]) -> Diagnosis | None:
    address = f"{host}:{port}"
    by_token = settings.kafka_sasl_mechanism == "OAUTHBEARER"
    try:
        await _ask_a_broker(settings, host, port, topics)
    except TopicAuthorizationFailedError as error:
        place = f"the topic{'s' if len(error.args) > 1 else ''} {', '.join(error.args)}"
        return _of_kafka(settings, address, Mistake.NOT_ALLOWED, place=place)
    except SaslAuthenticationFailed:
        return _of_kafka(settings, address, Mistake.TOKEN_REFUSED if by_token else Mistake.CREDENTIALS_REFUSED)
    except TokenNotGivenError as error:
        return _of_kafka(settings, address, Mistake.TOKEN_NOT_GIVEN, detail=str(error))
    except (KafkaError, OSError, TimeoutError):
        return None
    return None


def _of_kafka(settings: Settings, address: str, mistake: Mistake, **places: str) -> Diagnosis:
    user = repr(settings.kafka_sasl_username) if settings.kafka_sasl_username else "that we are"
    common = {"address": address, "user": user, "provider": settings.kafka_oauth_token_url or ""}
    return diagnosis(Server.KAFKA, mistake, **{**common, **places})


def _sasl_hello(mechanism: str) -> bytes:
    """A SaslHandshake request, version 1: every listener answers it, and tells by its answer whether it takes SASL."""
    name = mechanism.encode()
    body = struct.pack(">hhih", 17, 1, 1, -1) + struct.pack(">h", len(name)) + name
    return struct.pack(">i", len(body)) + body


def _is_sasl_answer(answer: bytes) -> bool:
    return len(answer) >= 10 and answer[4:8] == struct.pack(">i", 1)  # noqa: PLR2004 - size, correlation id, error code


def _sasl_answer(answer: bytes) -> tuple[int, list[str]]:
    """The error's code, and the mechanisms that are offered."""
    code, count = struct.unpack_from(">hi", answer, 8)
    offered, place = [], 14
    for _ in range(count):
        (length,) = struct.unpack_from(">h", answer, place)
        offered.append(answer[place + 2 : place + 2 + length].decode(errors="replace"))
        place += 2 + length
    return code, offered
