"""Knocks at a server's door, to find out which mistake keeps us out: the clients' own errors do not tell them apart.

All failures of a TLS handshake reach a caller of Temporal's client and of aiokafka as "cannot connect", as if the
server were away. So whoever fails asks here: a connection is opened as the client does, a first question is asked, and
what comes of it is looked at. Nothing is sent that would change anything, and no password before the server is known.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from orders.clients.mistakes import Mistake
from orders.clients.tls_files import TlsNames, has_expired
from orders.settings import Settings

KNOCK_SECONDS: Final = 5.0
_ANSWER_BYTES: Final = 4_096

_EXPIRED: Final = (9, 10)
_OTHER_NAME: Final = (62, 63, 64)
"""OpenSSL's X509_V_ERR codes: not yet valid, expired; mismatch of host, e-mail, IP address."""
_ABOUT_THE_CLIENT: Final = ("CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE", "ACCESS_DENIED", "DECRYPT_ERROR")
"""Parts of the names of alerts (RFC 8446, 6.2) by which a server says that it does not like a client's certificate."""

Says = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Door:
    """How one kind of server is knocked at.

    Args:
        host: its host.
        port: its port.
        context: as the client connects with, of this knock alone; None where it speaks plain text.
        hello: what is said first.
        is_answer: whether these first bytes are such a server's answer to it.
        before_tls: what is said before TLS begins, for servers that begin in plain text.
    """

    host: str
    port: int
    context: ssl.SSLContext | None
    hello: bytes
    is_answer: Callable[[bytes], bool]
    before_tls: Says | None = None


class NoTlsError(Exception):
    """The server says that it speaks no TLS."""


@dataclass(frozen=True, slots=True)
class Knock:
    """The outcome of a knock: a mistake, or the server's first bytes, or neither where it does not answer at all."""

    mistake: Mistake | None = None
    answer: bytes = b""


async def knock(door: Door, settings: Settings, names: TlsNames) -> Knock:
    """Says hello as the client does, and finds out what is wrong where there is no proper answer."""
    asked = _notes_what_is_asked(door.context)
    try:
        answer = await _answer(door, door.context)
    except NoTlsError:
        return Knock(Mistake.TLS_NOT_SPOKEN)
    except (OSError, TimeoutError) as error:
        mistake = _told_by_tls(error, settings, names)
        if mistake is not None:
            return Knock(mistake)
        answer = b""
    if door.is_answer(answer):
        return Knock(answer=answer)
    if asked:
        # It has asked for a certificate of ours, and has hung up since, without a word on why.
        return Knock(of_the_client_certificate(settings, names))
    if door.context is None:
        return Knock(Mistake.TLS_REQUIRED if await _speaks_tls(door) else None)
    return Knock(Mistake.TLS_NOT_SPOKEN if door.before_tls is None and await _speaks_plain(door) else None)


def _notes_what_is_asked(context: ssl.SSLContext | None) -> list[str]:
    """Has a context note that a server asks for a client's certificate."""
    asked: list[str] = []

    def note(*message: Any) -> None:
        kind = message[4]
        if getattr(kind, "name", "") == "CERTIFICATE_REQUEST":
            asked.append("certificate")

    if context is not None:
        # The one way to learn it; there since Python 3.8, for debugging.
        context._msg_callback = note  # type: ignore[attr-defined]  # noqa: SLF001
    return asked


async def _speaks_plain(door: Door) -> bool:
    try:
        return door.is_answer(await _answer(door, None))
    except (OSError, TimeoutError):
        return False


async def _speaks_tls(door: Door) -> bool:
    """Whether TLS begins there. Nobody is trusted for it, and nothing is said."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        async with asyncio.timeout(KNOCK_SECONDS), _connected(door, context):
            return True
    except ssl.SSLError as error:
        # An alert is an answer by TLS as well.
        return "ALERT" in (error.reason or "")
    except (OSError, TimeoutError, NoTlsError):
        return False


async def _answer(door: Door, context: ssl.SSLContext | None) -> bytes:
    async with asyncio.timeout(KNOCK_SECONDS), _connected(door, context) as (reader, writer):
        writer.write(door.hello)
        await writer.drain()
        # Where TLS 1.3 refuses a client's certificate, the handshake is over by then: the first answer is the alert.
        return await reader.read(_ANSWER_BYTES)


@asynccontextmanager
async def _connected(
    door: Door, context: ssl.SSLContext | None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host = door.host.strip("[]")
    at_once = context if door.before_tls is None else None
    reader, writer = await asyncio.open_connection(host, door.port, ssl=at_once)
    try:
        if context is not None and door.before_tls is not None:
            await door.before_tls(reader, writer)
            await writer.start_tls(context, server_hostname=host)
        yield reader, writer
    finally:
        writer.transport.abort()


def _told_by_tls(error: Exception, settings: Settings, names: TlsNames) -> Mistake | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _EXPIRED:
            return Mistake.SERVER_EXPIRED
        return Mistake.SERVER_NAME if error.verify_code in _OTHER_NAME else Mistake.SERVER_UNTRUSTED
    reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    if "ALERT" in reason and any(part in reason for part in _ABOUT_THE_CLIENT):
        return of_the_client_certificate(settings, names)
    return None


def of_the_client_certificate(settings: Settings, names: TlsNames) -> Mistake:
    """Which mistake it is where a server refuses the client's certificate, or that there is none."""
    if names.path(settings, names.cert) is None:
        return Mistake.CLIENT_MISSING
    return Mistake.CLIENT_REFUSED if has_expired(settings, names) is None else Mistake.CLIENT_EXPIRED
