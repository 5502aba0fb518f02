"""Payment provider and carrier over HTTP, by the contract of docs/gateways.md."""

import asyncio
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import Enum, auto
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import Field, ValidationError

from activities.ports import (
    CarrierGateway,
    GatewayContractError,
    GatewayNotAskedError,
    GatewayPayment,
    GatewayUnavailableError,
    PaymentGateway,
    ShipmentRefusedError,
)
from activities.tracing import requesting
from schemas.activity_io import ChargePayment
from schemas.base import Model
from schemas.order import Address
from schemas.states import PaymentStatus, ReasonCode

RETRY_AFTER_MAX: Final = timedelta(seconds=30)
"""Longest ``Retry-After`` that is obeyed, so that work goes on within this time after a provider is back (I12)."""
ANSWER_MAX_BYTES: Final = 64 * 1024
"""Far above any answer of the contract."""


class Meaning(Enum):
    """The meaning of a status code."""

    ANSWER = auto()
    DECLINED = auto()
    NOT_THERE = auto()
    REFUSED = auto()
    COME_BACK_LATER = auto()
    KEY_REFUSED = auto()
    NOT_UNDERSTOOD = auto()


_MEANINGS: Final = {
    200: Meaning.ANSWER,
    201: Meaning.ANSWER,
    202: Meaning.COME_BACK_LATER,  # Accepted: the outcome is not known yet.
    402: Meaning.DECLINED,  # Payment Required: told in the body as every other answer.
    401: Meaning.KEY_REFUSED,
    403: Meaning.KEY_REFUSED,
    404: Meaning.NOT_THERE,
    408: Meaning.COME_BACK_LATER,
    409: Meaning.COME_BACK_LATER,  # Conflict: a request with this Idempotency-Key is still being worked on.
    422: Meaning.REFUSED,
    425: Meaning.COME_BACK_LATER,
    429: Meaning.COME_BACK_LATER,
}
_SERVER_ERRORS: Final = range(500, 600)


def meaning_of(status: int) -> Meaning:
    """The meaning of a status code, the same for both providers and for every call."""
    if status in _SERVER_ERRORS:
        return Meaning.COME_BACK_LATER
    return _MEANINGS.get(status, Meaning.NOT_UNDERSTOOD)


class HttpProvider:
    """A provider's HTTP interface: one client, one key, one bound in time. Use it as ``async with``, or close it."""

    def __init__(self, *, base_url: str, api_key: str | None, timeout: timedelta, settings: str) -> None:
        """Connects to nothing yet.

        Args:
            base_url: what the contract's paths are appended to.
            api_key: sent as a bearer token; None for none.
            timeout: for one call, from connecting to the answer's last byte.
            settings: how the names of the settings of address and key begin, such as ``CARRIER_GATEWAY``.
        """
        self._url_setting, self._key_setting = f"{settings}_URL", f"{settings}_API_KEY"
        self._name = settings.lower()
        # Uncompressed, so that the bound on an answer's size is one on what it is unpacked to.
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        if api_key is not None:
            headers["authorization"] = f"Bearer {api_key}"
        # No redirects: they would carry the key to wherever the answer says. No proxies or keys from the environment.
        # As many connections as there are calls, which the worker bounds: a call that waited for one would look like a
        # provider that does not answer.
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers=headers,
            timeout=timeout.total_seconds(),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            trust_env=False,
        )
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def call(
        self, method: str, path: str, *, idempotency_key: str | None = None, body: Mapping[str, Any] | None = None
    ) -> tuple[Meaning, bytes]:
        """One request.

        Returns:
            ANSWER or DECLINED with its body, or REFUSED, or for a ``GET`` NOT_THERE.

        Raises:
            GatewayUnavailableError: no answer in time, or the provider asks to come back later; the outcome is unknown.
            GatewayNotAskedError: a wrong key, a wrong address, or no way to the provider; nothing was done.
            GatewayContractError: the status is none of the contract's.
        """
        with requesting(method, self._name) as traceparent:
            return await self._call(method, path, idempotency_key, body, traceparent)

    async def _call(
        self,
        method: str,
        path: str,
        idempotency_key: str | None,
        body: Mapping[str, Any] | None,
        traceparent: str | None,
    ) -> tuple[Meaning, bytes]:
        headers = {"content-type": "application/json"}
        if traceparent is not None:
            headers["traceparent"] = traceparent
        if idempotency_key is not None:
            headers["idempotency-key"] = idempotency_key
        request = self._client.build_request(
            method, path, headers=headers, content=None if body is None else json.dumps(body)
        )
        try:
            # httpx's own time-outs are for each step; a provider that sends a byte a second passes them all.
            async with asyncio.timeout(self._timeout.total_seconds()):
                response = await self._client.send(request, stream=True)
                try:
                    meaning, content = await _read(response)
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise GatewayUnavailableError("the provider did not answer in time") from error
        except httpx.LocalProtocolError as error:
            raise GatewayNotAskedError(
                f"a request cannot be made with this key: correct {self._key_setting}"
            ) from error
        except httpx.RequestError as error:
            obstacle = _obstacle(error)
            if obstacle is not None:
                raise GatewayNotAskedError(f"{obstacle}: check {self._url_setting}") from error
            raise GatewayUnavailableError(f"the provider cannot be reached ({type(error).__name__})") from error
        if meaning is Meaning.KEY_REFUSED:
            raise GatewayNotAskedError(
                f"the provider refuses the key ({response.status_code}): set {self._key_setting} to one that it takes"
            )
        if meaning is Meaning.NOT_THERE and method != "GET":
            raise GatewayNotAskedError(f"the provider knows no such address (404): correct {self._url_setting}")
        return meaning, content


def _obstacle(error: httpx.RequestError) -> str | None:
    """What of ours keeps a connection from being made; None where it is the provider's doing, or may be.

    A provider that refuses or resets connections, or lets them time out, is away. Everything else that goes wrong
    before a connection stands is a name, a certificate, a network or a limit of ours.
    """
    if not isinstance(error, httpx.ConnectError):
        return None
    causes = list(_causes(error))
    if any(isinstance(one, ConnectionError | TimeoutError | ssl.SSLEOFError) for one in causes):
        return None
    if any(isinstance(one, socket.gaierror) for one in causes):
        return "the name of the provider's host cannot be resolved"
    if any(isinstance(one, ssl.SSLError) for one in causes):
        return "no connection by TLS that we trust can be made to the provider"
    if any(isinstance(one, OSError) and one.errno is not None for one in causes):
        return "there is no way from here to the provider's host"
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from, and each of a group: one for each address that was tried."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _causes(one)
    if error.__cause__ is not None or error.__context__ is not None:
        yield from _causes(error.__cause__ or error.__context__)  # type: ignore[arg-type]


async def _read(response: httpx.Response) -> tuple[Meaning, bytes]:
    """Reads an answer: its meaning, and its body, of which at most `ANSWER_MAX_BYTES` are held.

    Raises:
        GatewayUnavailableError: the status asks to come back later.
        GatewayContractError: the status or the length is none of the contract's.
    """
    meaning = meaning_of(response.status_code)
    if meaning is Meaning.COME_BACK_LATER:
        raise GatewayUnavailableError(
            f"the provider asks to come back later ({response.status_code})", _retry_after(response)
        )
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > ANSWER_MAX_BYTES:
            break
    if meaning is Meaning.NOT_UNDERSTOOD or len(content) > ANSWER_MAX_BYTES:
        raise GatewayContractError(f"the provider's answer is not understood ({response.status_code})")
    return meaning, bytes(content)


def _retry_after(response: httpx.Response) -> timedelta | None:
    """The header's seconds, within bounds; its other form, a date, is left out: clocks differ."""
    text = response.headers.get("retry-after", "")
    if not (text.isascii() and text.isdecimal()):
        return None
    # Of a very long number the digits beyond the bound's own do not matter.
    return min(timedelta(seconds=int(text[:9])), RETRY_AFTER_MAX)


class PaymentAnswer(Model):
    """The provider's view of a payment, in every answer of the payment interface."""

    payment_id: str
    status: PaymentStatus
    amount: int = Field(ge=0)
    currency: str
    reason: str | None = None


class PackageAnswer(Model):
    """Answer to a prepared package."""

    package_id: str = Field(min_length=1, max_length=200)


class DispatchAnswer(Model):
    """Answer to a dispatched package."""

    tracking_id: str = Field(min_length=1, max_length=200)


AnswerT = TypeVar("AnswerT", bound=Model)


def _parsed(model: type[AnswerT], meaning: Meaning, content: bytes) -> AnswerT:
    if meaning is not Meaning.ANSWER:
        raise GatewayContractError(f"the provider's answer is not understood ({meaning.name.lower()})")
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        # Only where: the values may be a customer's.
        places = ", ".join(".".join(map(str, one["loc"])) or "body" for one in error.errors(include_input=False))
        raise GatewayContractError(f"the provider's answer is not understood: {places}") from None


class HttpPaymentGateway(PaymentGateway):
    """A payment provider over HTTP."""

    def __init__(self, provider: HttpProvider) -> None:
        self._provider = provider

    async def charge(self, charge: ChargePayment) -> GatewayPayment:
        """See the port."""
        answer = await self._provider.call(
            "POST",
            "payments",
            idempotency_key=f"charge:{charge.payment_id}",
            body=charge.model_dump(mode="json", exclude={"patience"}),
        )
        return _decided(_payment(charge.payment_id, *answer))

    async def refund(self, payment_id: str) -> GatewayPayment:
        """See the port."""
        answer = await self._provider.call(
            "POST",
            f"payments/{quote(payment_id, safe='')}/refund",
            idempotency_key=f"refund:{payment_id}",
            body={},
        )
        payment = _decided(_payment(payment_id, *answer))
        if payment.status not in (PaymentStatus.REFUNDED, PaymentStatus.VOIDED):
            raise GatewayContractError(f"the provider answered a refund with a payment that is {payment.status}")
        return payment

    async def look_up(self, payment_id: str) -> GatewayPayment | None:
        """See the port."""
        meaning, content = await self._provider.call("GET", f"payments/{quote(payment_id, safe='')}")
        if meaning is Meaning.NOT_THERE:
            return None
        return _payment(payment_id, meaning, content)


class HttpCarrierGateway(CarrierGateway):
    """A carrier over HTTP."""

    def __init__(self, provider: HttpProvider) -> None:
        self._provider = provider

    async def prepare(self, order_id: str, address: Address, attempt: int) -> str:
        """See the port."""
        answer = await self._shipment("shipments", f"prepare:{order_id}:{attempt}", order_id, address, attempt)
        return _parsed(PackageAnswer, *answer).package_id

    async def dispatch(self, order_id: str, address: Address, attempt: int) -> str:
        """See the port."""
        path = f"shipments/{quote(order_id, safe='')}/dispatch"
        answer = await self._shipment(path, f"dispatch:{order_id}:{attempt}", order_id, address, attempt)
        return _parsed(DispatchAnswer, *answer).tracking_id

    async def _shipment(
        self, path: str, idempotency_key: str, order_id: str, address: Address, attempt: int
    ) -> tuple[Meaning, bytes]:
        body = {"order_id": order_id, "attempt": attempt, "address": address.model_dump(exclude_none=True)}
        meaning, content = await self._provider.call("POST", path, idempotency_key=idempotency_key, body=body)
        if meaning is Meaning.REFUSED:
            raise ShipmentRefusedError("the carrier does not take the shipment")
        return meaning, content


def _payment(payment_id: str, meaning: Meaning, content: bytes) -> GatewayPayment:
    """The answer as the port has it; of the provider's reasons only those of our contract are told on.

    Raises:
        GatewayContractError: the answer cannot be understood, is of another payment, or contradicts its status code.
    """
    declined = meaning is Meaning.DECLINED
    answer = _parsed(PaymentAnswer, Meaning.ANSWER if declined else meaning, content)
    if answer.payment_id != payment_id:
        raise GatewayContractError("the provider answered with another payment than was asked for")
    if declined and answer.status is not PaymentStatus.DECLINED:
        raise GatewayContractError(f"the provider answered 402 with a payment that is {answer.status}")
    known = answer.reason in set(ReasonCode)
    reason = ReasonCode.CARD_DECLINED if answer.status is PaymentStatus.DECLINED else None
    return GatewayPayment(
        payment_id=answer.payment_id,
        status=answer.status,
        amount=answer.amount,
        currency=answer.currency,
        reason=ReasonCode(answer.reason) if known and answer.reason else reason,
    )


def _decided(payment: GatewayPayment) -> GatewayPayment:
    """The payment, where the provider has decided it.

    Raises:
        GatewayUnavailableError: the provider is still working on it.
    """
    if payment.status is PaymentStatus.PENDING:
        raise GatewayUnavailableError("the provider is still working on the payment")
    return payment
