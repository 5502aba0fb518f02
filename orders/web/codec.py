"""Temporal's remote codec protocol: decrypts what Temporal's UI and command line show, for who may look at orders.

Both send payloads as they are in a history, as protobuf's JSON, and show what is answered. Nothing is encrypted here: a
payload is good only for the workflow that it was encrypted for, which the protocol does not say; and whoever had
signals encrypted could decide about orders without the role for it, and in no journal.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import structlog
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from google.protobuf import json_format
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.api.common.v1 import Payload, Payloads

from orders.clients.temporal import temporal_codec
from orders.roles import Role
from orders.settings import Settings
from orders.settings.api import CODEC_PATH
from orders.web.api.bodies import read_bytes
from orders.web.context import Web
from orders.web.identity.dependencies import requires
from orders.web.identity.site import names_of
from orders.web.identity.who import Identity
from orders.web.problems import Problem
from orders.web.routes import serve
from workflows.converter import UnreadablePayloadError

if TYPE_CHECKING:
    from orders.clients.payload_codec import AesGcmCodec

_PATHS: Final = (f"{CODEC_PATH}/decode", f"{CODEC_PATH}/encode")
BODY_MAX_BYTES: Final = 4 * 1024 * 1024
"""Temporal keeps no payload above 2 MiB, which base64 makes a third longer."""
PAYLOADS_MAX: Final = 10_000
"""A page of a history has a thousand events, of a few payloads each. To read one takes 20 us and more, so a million of
empty ones, for which a body has room, would take a core for half a minute."""
_REASONS_MAX: Final = 10
_AT_ONCE_MAX: Final = 4
"""Most requests that are decrypted at the same time: each holds its body in memory."""
_PREFLIGHT_SECONDS: Final = 600
_HEADERS: Final = ("content-type", "x-namespace", "authorization", "authorization-extras")
"""What pages of Temporal's UI send. An ID token comes as authorization-extras, and is not looked at."""
Viewer = Annotated[Identity, Depends(requires(Role.VIEWER))]

_log = structlog.get_logger("orders.codec")


def install_codec(app: FastAPI, settings: Settings) -> Mapping[str, frozenset[str]]:
    """Serves the protocol where there are keys.

    Returns:
        For each of its paths the origins whose pages may use it; none where that is not set.
    """
    codec = temporal_codec(settings)
    if codec is None:
        return {}
    serve(app, _router(codec))
    origin = settings.api_codec_ui_origin
    return {} if origin is None else dict.fromkeys(_PATHS, names_of(origin))


def answer_guests(app: FastAPI, guests: Mapping[str, frozenset[str]]) -> None:
    """Lets pages of other origins read these paths' answers in a browser (CORS), also to requests with credentials."""
    for origins in set(guests.values()):
        paths = frozenset(path for path, may in guests.items() if may == origins)
        app.add_middleware(_ForPaths, paths=paths, origins=origins)


class _ForPaths:
    """Starlette's CORS for some paths only; on all others browsers keep the pages of other sites out, as without it."""

    def __init__(self, app: ASGIApp, *, paths: frozenset[str], origins: frozenset[str]) -> None:
        self._app = app
        self._paths = paths
        self._open = CORSMiddleware(
            app,
            allow_origins=sorted(origins),
            allow_methods=("POST",),
            allow_headers=_HEADERS,
            allow_credentials=True,
            max_age=_PREFLIGHT_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        app = self._open if scope["path"] in self._paths else self._app
        await app(scope, receive, send)


def _router(codec: "AesGcmCodec") -> APIRouter:
    router = APIRouter(prefix=CODEC_PATH, include_in_schema=False)
    at_once = asyncio.Semaphore(_AT_ONCE_MAX)

    @router.post("/decode")
    async def decode(request: Request, web: Web, identity: Viewer) -> Response:
        """Decrypts each payload. One that cannot be decrypted is answered as it came, and the log says why."""
        namespace = web.settings.temporal_namespace
        asked = request.headers.get("x-namespace", namespace)
        if asked != namespace:
            raise Problem("request_invalid", f"X-Namespace is not {namespace}, which is the one that is served here")
        async with at_once:
            body = await read_bytes(request, web, BODY_MAX_BYTES)
            # Beside the loop: it may take tens of milliseconds.
            answer = await asyncio.to_thread(decoded, codec, body, namespace, identity.name)
        return Response(answer, media_type="application/json", headers={"Cache-Control": "no-store"})

    @router.post("/encode", response_model=None)
    async def encode(_identity: Viewer) -> NoReturn:
        """Refuses to encrypt: the head of this file says why."""
        raise Problem(
            "not_allowed",
            "nothing is encrypted here: a payload is good for one workflow only, and the request does not say which",
            title="Nothing is encrypted here",
            what_to_do="Send it by `orders approve`, `orders cancel` and the like, by the API, or by the console.",
        )

    return router


def decoded(codec: "AesGcmCodec", body: bytes, namespace: str, who: str) -> str:
    """The answer to a request to decrypt.

    Args:
        codec: has the keys.
        body: Temporal's Payloads as JSON.
        namespace: of which they have to be.
        who: asks, for the log.

    Raises:
        Problem: The body is no such thing, or has too many.
    """
    # Each begins with a bracket, and has one more around its metadata; their data is base64, which has none.
    if body.count(b"{") > 2 * PAYLOADS_MAX + 1:
        raise Problem("body_too_large", f"the body has more than {PAYLOADS_MAX} payloads: ask for fewer at once")
    try:
        payloads = json_format.Parse(body, Payloads(), ignore_unknown_fields=True)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError):
        raise Problem("body_not_json", "the body is no Payloads of Temporal's as JSON") from None
    reasons: Counter[str] = Counter()
    opened = [_opened(codec, payload, namespace, reasons) for payload in payloads.payloads]
    for reason, count in reasons.most_common(_REASONS_MAX):
        _log.warning("codec.payload.unreadable", detail=reason, payloads=count)
    _log.info("codec.payloads.decoded", by=who, payloads=len(opened))
    return json_format.MessageToJson(Payloads(payloads=opened), indent=None)


def _opened(codec: "AesGcmCodec", payload: Payload, namespace: str, reasons: Counter[str]) -> Payload:
    try:
        return codec.decode_in_place(payload, namespace)
    except UnreadablePayloadError as error:
        reasons[str(error)] += 1
        return payload
