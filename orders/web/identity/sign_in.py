"""Signing in to the console, by API key or at the OpenID provider, and signing out."""

from typing import Annotated, Final
from urllib.parse import parse_qsl, urlencode

import structlog
from fastapi import APIRouter, Depends
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from orders.errors import UnreachableError
from orders.hints import as_typed
from orders.web.identity.code_flow import UNDER_WAY_SECONDS, CodeFlow, SignInError, UnderWay
from orders.web.identity.dependencies import gate_of
from orders.web.identity.gate import Gate, address_of
from orders.web.identity.keys import identity_of_key
from orders.web.identity.pages import sign_in_page
from orders.web.identity.sessions import SignedIn
from orders.web.identity.site import CONSOLE_PATH, SESSION_COOKIE, SIGN_IN_COOKIE, safe_next
from orders.web.problems import Problem

SIGN_IN_PATH: Final = f"{CONSOLE_PATH}/sign-in"
SIGN_OUT_PATH: Final = f"{CONSOLE_PATH}/sign-out"
_PROVIDER_PATH: Final = f"{SIGN_IN_PATH}/oidc"
_CALLBACK_PATH: Final = f"{SIGN_IN_PATH}/callback"
_FORM_BYTES_MAX: Final = 8 * 1024
_FORM_FIELDS_MAX: Final = 10
_SEE_OTHER: Final = 303
_ONE_MOMENT: Final = "Something that signing in needs does not answer. Please try again in a moment."

_log = structlog.get_logger("orders.identity")

# Pages for people: the API's document is for programs.
router = APIRouter(include_in_schema=False)


async def _gate(connection: HTTPConnection) -> Gate:
    return gate_of(connection)  # Async, as FastAPI has a thread run what is not.


TheGate = Annotated[Gate, Depends(_gate)]


def sign_in_address(go_on: str) -> str:
    """Where a page sends somebody who is not signed in; he comes back to it."""
    return f"{SIGN_IN_PATH}?{urlencode({'next': safe_next(go_on)})}"


@router.get(SIGN_IN_PATH)
async def show(request: Request, gate: TheGate) -> Response:
    """The page."""
    note = "You are signed out." if "signed-out" in request.query_params else None
    if note is None and gate.is_open:
        note = "Nobody has to sign in here: this is a development system. With a key you act as its owner."
    return _page(request, gate, safe_next(request.query_params.get("next")), note=note)


@router.post(SIGN_IN_PATH)
async def by_key(request: Request, gate: TheGate) -> Response:
    """Signs in with the key of the form."""
    form = await _form(request)
    go_on = safe_next(form.get("next"))
    try:
        key = await gate.keys.check(form.get("api_key", "").strip(), address_of(request))
        identity = identity_of_key(key)
        who = SignedIn(identity.name, identity.caller_id, key.role, key.key_id)
        return await _signed_in(request, gate, who, go_on)
    except Problem as problem:
        # The page's own answer, with the problem's status: 401, or 429 with Retry-After.
        wait = problem.headers.get("Retry-After")
        trouble = f"Too many failed tries: wait {wait} s, then try again." if wait else _sentence(problem.detail)
        return _page(request, gate, go_on, trouble=trouble, status=problem.status, headers=problem.headers)
    except UnreachableError:
        return _page(request, gate, go_on, trouble=_ONE_MOMENT, status=503)


@router.get(_PROVIDER_PATH)
async def to_provider(request: Request, gate: TheGate) -> Response:
    """Sends the browser to the provider."""
    go_on = safe_next(request.query_params.get("next"))
    flow, back = _flow_of(request, gate)
    if flow is None or back is None:
        return _page(request, gate, go_on, status=404)
    try:
        address, under_way = await flow.begin(redirect_uri=back, go_on=go_on)
    except Problem as problem:
        return _page(request, gate, go_on, trouble=_ONE_MOMENT, status=problem.status, headers=problem.headers)
    response = _redirect(address)
    secure = gate.site.is_secure(request)
    SIGN_IN_COOKIE.write(response, under_way.to_cookie(), secure=secure, seconds=UNDER_WAY_SECONDS)
    return response


@router.get(_CALLBACK_PATH)
async def from_provider(request: Request, gate: TheGate) -> Response:
    """Takes the browser back from the provider."""
    secure = gate.site.is_secure(request)
    under_way = UnderWay.from_cookie(SIGN_IN_COOKIE.read(request, secure=secure))
    go_on = safe_next(None if under_way is None else under_way.go_on)
    try:
        who = await _vouched_for(request, gate, under_way)
        response = await _signed_in(request, gate, who, go_on)
    except SignInError as error:
        response = _page(request, gate, go_on, trouble=str(error), status=error.status)
    except Problem as problem:
        response = _page(request, gate, go_on, trouble=_ONE_MOMENT, status=problem.status, headers=problem.headers)
    except UnreachableError:
        response = _page(request, gate, go_on, trouble=_ONE_MOMENT, status=503)
    SIGN_IN_COOKIE.delete(response, secure=secure)
    return response


@router.post(SIGN_OUT_PATH)
async def sign_out(request: Request, gate: TheGate) -> Response:
    """Ends the browser's session.

    Raises:
        UnreachableError: Postgres does not answer, so that the session goes on.
    """
    secure = gate.site.is_secure(request)
    cookie = SESSION_COOKIE.read(request, secure=secure)
    if cookie is not None:
        await gate.sessions.end(cookie)
        _log.info("identity.signed_out")
    response = _redirect(f"{SIGN_IN_PATH}?signed-out")
    SESSION_COOKIE.delete(response, secure=secure)
    return response


async def _vouched_for(request: Request, gate: Gate, under_way: UnderWay | None) -> SignedIn:
    """For whom the provider vouches.

    Raises:
        SignInError: for nobody, or for somebody who may do nothing here.
        Problem: 503, the provider does not answer and never did.
    """
    flow, back = _flow_of(request, gate)
    if flow is None or back is None:
        raise SignInError("Nobody signs in to this console at a provider. Please sign in with an API key.", status=404)
    if under_way is None:
        raise SignInError("This sign-in took too long, or was begun in another browser. Please sign in again.")
    vouched = await flow.finish(dict(request.query_params), under_way, redirect_uri=back)
    if vouched.role is None:
        _log.info("identity.sign_in.without_role", caller_id=vouched.caller_id)
        raise SignInError(
            f"{vouched.name} has no role here. Ask whoever gives out roles at your provider for one.", status=403
        )
    return SignedIn(vouched.name, vouched.caller_id, vouched.role)


async def _signed_in(request: Request, gate: Gate, who: SignedIn, go_on: str) -> Response:
    """Begins a session, ends the one that the browser had, and goes on."""
    secure = gate.site.is_secure(request)
    before = SESSION_COOKIE.read(request, secure=secure)
    value = await gate.sessions.begin(who)
    if before is not None:
        await gate.sessions.end(before)
    _log.info("identity.signed_in", caller_id=who.caller_id, role=who.role)
    response = _redirect(go_on)
    lasts = int(gate.sessions.lasts.total_seconds())
    SESSION_COOKIE.write(response, value, secure=secure, seconds=lasts)
    return response


def _flow_of(request: Request, gate: Gate) -> tuple[CodeFlow | None, str | None]:
    """How to sign in at the provider, and where it sends the browser back to; None where it cannot be."""
    base = gate.site.base_url(request)
    return gate.code_flow, None if base is None else f"{base}{_CALLBACK_PATH}"


def _page(
    request: Request,
    gate: Gate,
    go_on: str,
    *,
    trouble: str | None = None,
    note: str | None = None,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    flow, back = _flow_of(request, gate)
    unavailable = None
    if gate.site.is_secure(request) and request.url.scheme != "https" and gate.site.public_url is None:
        unavailable = (
            "Browsers sign in over https only: open this console at its https address, which API_PUBLIC_URL names, "
            "or on the machine itself at http://127.0.0.1."
        )
    link = None if flow is None or back is None else f"{_PROVIDER_PATH}?{urlencode({'next': go_on})}"
    kept = {name: value for name, value in (headers or {}).items() if name == "Retry-After"}
    return sign_in_page(
        status=status,
        headers=kept,
        trouble=None if trouble is None else as_typed(trouble),
        note=note,
        unavailable=unavailable,
        provider_link=link,
        enter=go_on if gate.is_open else None,
        go_on=go_on,
        **request.app.state.sign_in_looks,
    )


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form, as far as one of ours reaches; of anything else, none."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > _FORM_BYTES_MAX:
            return {}
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        return {}
    try:
        return dict(parse_qsl(content.decode(), max_num_fields=_FORM_FIELDS_MAX))
    except ValueError:
        return {}


def _redirect(address: str) -> Response:
    headers = {"Location": address, "Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
    return Response(status_code=_SEE_OTHER, headers=headers)


def _sentence(detail: str) -> str:
    return f"{detail[:1].upper()}{detail[1:]}."
