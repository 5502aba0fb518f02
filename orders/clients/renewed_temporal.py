"""Temporal's client on connections that end: at their greatest age, and when certificates or an API key are renewed."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import structlog
from google.protobuf.message import Message
from temporalio.client import Client, ClientConfig, Plugin
from temporalio.service import ConnectConfig, RPCError, ServiceClient, TLSConfig
from temporalio.worker import Worker

from orders.clients.tls_files import TEMPORAL, Fingerprint, authorities_of, client_pair, fingerprint
from orders.errors import WrongSettingsError
from orders.settings import Settings
from orders.settings.secret_files import present_secret

CHECK_SECONDS: Final = 5.0
"""How often the files are looked at, at most."""
_CONNECT_SECONDS: Final = 10.0

_log = structlog.get_logger("orders.tls")

Connect = Callable[[ConnectConfig], Awaitable[ServiceClient]]


def temporal_tls(settings: Settings) -> TLSConfig | bool:
    """What Temporal's client connects with, with the files as they are now.

    Raises:
        WrongSettingsError: a certificate or key cannot be used; says which, and why.
    """
    if not settings.temporal_tls:
        return False
    authorities, pair = authorities_of(settings, TEMPORAL), client_pair(settings, TEMPORAL)
    if authorities is None and pair is None:
        return True
    certificate, key = pair or (None, None)
    return TLSConfig(server_root_ca_cert=authorities, client_cert=certificate, client_private_key=key)


async def renew_workers(client: Client, workers: Iterable[Worker]) -> None:
    """Hands a new connection on to workers, which keep to the one that they were made with, until cancelled.

    A call that waits for work ends on the former connection, within some 70 s.
    """
    service = client.service_client
    if not isinstance(service, _RenewedServiceClient) or not service.may_change:
        return
    handed_on = service.renewals
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        await service.renew()
        # Not what `renew` says: a call of this process may have renewed the connection before.
        if service.renewals != handed_on:
            handed_on = service.renewals
            for worker in workers:
                worker.client = client


def _watched(settings: Settings) -> Fingerprint:
    return (*TEMPORAL.fingerprint(settings), *fingerprint([settings.temporal_api_key_file]))


class OutlastsConnections(Plugin):
    """Has a client go on where a connection ends. A plugin is the SDK's own means for this.

    It connects anew when the files of its credentials change, and makes a call again, once, that ended with its
    connection. Temporal takes what it knows by its request id for the same call.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def configure_client(self, config: ClientConfig) -> ClientConfig:
        """See `Plugin`."""
        return config

    async def connect_service_client(self, config: ConnectConfig, next: Connect) -> ServiceClient:  # noqa: A002 - the SDK's
        """See `Plugin`."""
        # Before it is read: what is renewed meanwhile counts as renewed.
        seen = _watched(self._settings)
        return _RenewedServiceClient(self._settings, config, await next(config), next, seen)


class _RenewedServiceClient(ServiceClient):
    """Calls by the present connection, and makes another one when the files have changed.

    The other one takes over once it has connected: as long as the new files do not fit, or Temporal does not take them,
    calls go by the former one.
    """

    def __init__(
        self, settings: Settings, config: ConnectConfig, first: ServiceClient, connect: Connect, seen: Fingerprint
    ) -> None:
        super().__init__(config)
        self._settings = settings
        self._present = first
        self._connect = connect
        self._seen = seen
        self.may_change = any(one is not None for one in seen)
        """Whether any credentials stand in files."""
        self._refused: Fingerprint | None = None
        self._checked_at = time.monotonic()
        self._renewing: asyncio.Task[bool] | None = None
        self.renewals = 0
        """How often another connection has taken over."""

    @property
    def worker_service_client(self) -> Any:
        """See `ServiceClient`."""
        return self._present.worker_service_client

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        """See `ServiceClient`."""
        self._present.update_rpc_metadata(metadata)

    def update_api_key(self, api_key: str | None) -> None:
        """See `ServiceClient`."""
        self._present.update_api_key(api_key)

    async def renew(self) -> bool:
        """Connects anew where a file has changed; whether it did. What fails is logged, and tried again."""
        seen = _watched(self._settings)
        if seen == self._seen:
            return False
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                key = present_secret(self._settings, "temporal_api_key")
                config = replace(self.config, tls=temporal_tls(self._settings), api_key=key, lazy=False)
                self._present = await self._connect(config)
        except (WrongSettingsError, RuntimeError, RPCError, TimeoutError, OSError) as error:
            if seen != self._refused:
                self._refused = seen
                _log.error(
                    "temporal.credentials.unusable",
                    detail=str(error)[:500] or type(error).__name__,
                    action="correct the files; the former ones stay in use, and these are tried again",
                )
            return False
        self._seen, self._refused = seen, None
        self.renewals += 1
        _log.info("temporal.credentials.renewed")
        return True

    async def _rpc_call(
        self,
        rpc: str,
        req: Message,
        resp_type: type[Any],
        *,
        service: str,
        retry: bool,
        metadata: Mapping[str, str | bytes],
        timeout: timedelta | None,  # noqa: ASYNC109 - the SDK's signature
    ) -> Any:
        self._look_at_files()

        def call() -> Awaitable[Any]:
            return self._present._rpc_call(  # noqa: SLF001 - the one method that a service client is made of
                rpc, req, resp_type, service=service, retry=retry, metadata=metadata, timeout=timeout
            )

        try:
            return await call()
        except RPCError as error:
            from bridge.decisions import ended_with_its_connection  # noqa: PLC0415 - Kafka's client comes with it

            if not ended_with_its_connection(error):
                raise
        return await call()

    def _look_at_files(self) -> None:
        is_due = self.may_change and time.monotonic() - self._checked_at >= CHECK_SECONDS
        if is_due and (self._renewing is None or self._renewing.done()):
            self._checked_at = time.monotonic()
            # Beside the calls: none waits for it.
            self._renewing = asyncio.create_task(self.renew(), name="renewing Temporal's credentials")
