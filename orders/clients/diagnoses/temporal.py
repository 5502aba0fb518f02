"""Why Temporal does not let us in."""

import struct
from typing import Final

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from bridge.supervision.probe import ask_temporal
from orders.clients.doors import Door, knock
from orders.clients.mistakes import Diagnosis, Mistake, Server, diagnosis
from orders.clients.tls_files import TEMPORAL, make_context
from orders.errors import UnreachableError
from orders.settings import Settings

_HTTP2_HELLO: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack(">IBI", 0, 4, 0)[1:] + b"\0"
"""The client's preface and an empty SETTINGS frame (RFC 9113, 3.4)."""
_SETTINGS_FRAME: Final = 4


async def temporal_diagnosis(settings: Settings, error: BaseException | None = None) -> Diagnosis | None:
    """Why Temporal does not let us in; None where it is away, or lets us in.

    Args:
        settings: where it is.
        error: what a call has met; None where nobody has called.

    Raises:
        WrongSettingsError: a certificate cannot be read.
    """
    mistake = _of_a_call(settings, error)
    if mistake is None:
        host, _, port = settings.temporal_host.rpartition(":")
        context = make_context(settings, TEMPORAL, alpn=("h2",)) if settings.temporal_tls else None
        door = Door(host, int(port), context, _HTTP2_HELLO, _is_settings_frame)
        mistake = (await knock(door, settings, TEMPORAL)).mistake
    if mistake is None:
        return None
    places = {"address": settings.temporal_host, "place": repr(settings.temporal_namespace)}
    return diagnosis(Server.TEMPORAL, mistake, **places)


async def look_at_temporal(settings: Settings, client: Client) -> Diagnosis | None:
    """Asks Temporal for the namespace; why it does not let us in, None where it answers.

    Args:
        settings: where it is.
        client: the process's own, which makes the call.

    Raises:
        UnreachableError: it does not answer, and nothing is known to be wrong with us.
        WrongSettingsError: a certificate cannot be read.
    """
    try:
        await ask_temporal(client)
    except Exception as error:
        found = await temporal_diagnosis(settings, error)
        if found is None:
            raise UnreachableError(f"Temporal at {settings.temporal_host} does not answer") from error
        return found
    return None


_REFUSED_AT_ONCE: Final = {
    "code: Unauthenticated": RPCStatusCode.UNAUTHENTICATED,
    "code: PermissionDenied": RPCStatusCode.PERMISSION_DENIED,
}
"""What the SDK's error says where a connection's first call is refused: it has no status (temporalio 1.35)."""


def _status_of(error: BaseException | None) -> RPCStatusCode | None:
    if isinstance(error, RPCError):
        return error.status
    text = str(error) if isinstance(error, RuntimeError) else ""
    return next((status for part, status in _REFUSED_AT_ONCE.items() if part in text), None)


def _of_a_call(settings: Settings, error: BaseException | None) -> Mistake | None:
    status = _status_of(error)
    if status is None:
        return None
    shows_something = settings.temporal_api_key is not None or settings.temporal_tls_client_cert_file is not None
    if status is RPCStatusCode.NOT_FOUND:
        return Mistake.PLACE_MISSING
    if status is RPCStatusCode.PERMISSION_DENIED and shows_something:
        return Mistake.NOT_ALLOWED
    refused = status in (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED)
    return Mistake.CREDENTIALS_REFUSED if refused else None


def _is_settings_frame(answer: bytes) -> bool:
    return len(answer) > _SETTINGS_FRAME and answer[3] == _SETTINGS_FRAME
