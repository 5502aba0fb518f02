"""Connections to Temporal."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.runtime import Runtime
from temporalio.service import RetryConfig, RPCError

from orders.clients.addresses import not_answering
from orders.clients.diagnoses.temporal import temporal_diagnosis
from orders.clients.renewed_temporal import OutlastsConnections, temporal_tls
from orders.errors import RefusedAtTheDoorError, UnreachableError, WrongSettingsError
from orders.settings import Settings
from orders.settings.codec_keys import parse_codec_keys
from orders.settings.secret_files import present_secret
from workflows.converter import DATA_CONVERTER, UnreadablePayloadError, encrypting

if TYPE_CHECKING:
    from orders.clients.payload_codec import AesGcmCodec


async def lazy_temporal(
    settings: Settings, *, retry_config: RetryConfig | None = None, runtime: Runtime | None = None
) -> Client:
    """A client that connects at its first call; it cannot be a worker's.

    Args:
        settings: where Temporal is.
        retry_config: how the client itself repeats calls; None is the SDK's own.
        runtime: what it runs on; None is the SDK's own, which measures nothing.

    Raises:
        WrongSettingsError: a certificate cannot be read.
    """
    return await _client(settings, lazy=True, retry_config=retry_config, runtime=runtime)


SOON: Final = RetryConfig(
    initial_interval_millis=100, max_interval_millis=400, max_elapsed_time_millis=2_000, max_retries=3
)
"""How a call is repeated while somebody waits for our answer: three times at most. The SDK's default goes on 10 s."""


async def connect_temporal(
    settings: Settings, *, retry_config: RetryConfig | None = None, runtime: Runtime | None = None
) -> Client:
    """Connects to Temporal, and makes sure that the namespace is there.

    Args:
        settings: where Temporal is.
        retry_config: how the client itself repeats calls; None is the SDK's own.
        runtime: what it runs on; None is the SDK's own, which measures nothing.

    Raises:
        UnreachableError: it does not answer in time.
        RefusedAtTheDoorError: it refuses the credentials, or has no such namespace.
        WrongSettingsError: a certificate cannot be read.
    """
    try:
        async with asyncio.timeout(settings.temporal_connect_timeout_seconds):
            client = await _client(settings, lazy=False, retry_config=retry_config, runtime=runtime)
            await _check_namespace(client)
    except (RuntimeError, RPCError, TimeoutError, OSError) as error:
        found = await temporal_diagnosis(settings, error)
        if found is not None:
            raise RefusedAtTheDoorError(found.mistake, found.sentence, found.action) from error
        raise UnreachableError(temporal_unreachable(settings)) from error
    return client


def temporal_data_converter(settings: Settings) -> DataConverter:
    """How payloads are written and read: encrypted where there are keys."""
    codec = temporal_codec(settings)
    if codec is None:
        return DATA_CONVERTER
    return encrypting(codec, allow_unencrypted=settings.temporal_codec_allow_unencrypted)


def temporal_codec(settings: Settings) -> "AesGcmCodec | None":
    """What encrypts and decrypts payloads; None where there are no keys."""
    if settings.temporal_codec_keys is None:
        return None
    from orders.clients.payload_codec import AesGcmCodec  # noqa: PLC0415 -- only where keys are set

    keys = parse_codec_keys(settings.temporal_codec_keys.get_secret_value())
    return AesGcmCodec(keys, allow_unencrypted=settings.temporal_codec_allow_unencrypted)


@contextmanager
def reaching_temporal(settings: Settings) -> Iterator[None]:
    """Around calls: says in a sentence that Temporal does not answer, or holds what these settings cannot read.

    Raises:
        UnreachableError: Temporal does not answer within the block.
        WrongSettingsError: a payload cannot be read with these settings; says which setting to correct.
    """
    try:
        yield
    except RPCError as error:
        raise UnreachableError(temporal_unreachable(settings)) from error
    except UnreadablePayloadError as error:
        raise WrongSettingsError(str(error)) from error


def temporal_unreachable(settings: Settings) -> str:
    """The sentence for a person where Temporal does not answer."""
    where = settings.temporal_host
    return not_answering(settings, "Temporal", where, endpoint="temporal_host", variables="TEMPORAL_HOST")


async def _client(
    settings: Settings, *, lazy: bool, retry_config: RetryConfig | None, runtime: Runtime | None
) -> Client:
    return await Client.connect(
        settings.temporal_host,
        namespace=settings.temporal_namespace,
        tls=temporal_tls(settings),
        api_key=present_secret(settings, "temporal_api_key"),
        data_converter=temporal_data_converter(settings),
        plugins=[OutlastsConnections(settings)],
        lazy=lazy,
        retry_config=retry_config,
        runtime=runtime,
    )


async def _check_namespace(client: Client) -> None:
    await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
