"""The problems of a request whose caller is not known or may not do it: all their sentences, in one place."""

from collections.abc import Iterable
from math import ceil
from typing import Final

from orders.roles import Role
from orders.web.identity.who import Identity
from orders.web.problems import Problem

_CHALLENGE: Final = 'Bearer realm="orders"'
_INVALID: Final = f'{_CHALLENGE}, error="invalid_token"'
"""RFC 6750, section 3: what was sent is of no use, as against nothing was sent."""


def nobody() -> Problem:
    """The request shows nothing by which its caller could be known."""
    return Problem(
        "not_signed_in",
        "the request has neither an API key nor a token, and its cookie, if any, is of no session that goes on",
        headers={"WWW-Authenticate": _CHALLENGE},
    )


def credential(sentence: str) -> Problem:
    """The key, token or cookie that was sent is not good.

    Args:
        sentence: why; never with anything of what was sent.
    """
    return Problem("not_signed_in", sentence, headers={"WWW-Authenticate": _INVALID})


def role_missing(identity: Identity, needed: Role) -> Problem:
    """Somebody who is known may not do that."""
    has = "no role here" if identity.role is None else f"the role {identity.role}"
    return Problem("not_allowed", f"this needs the role {needed}; {identity.name!r} has {has}")


def too_many_requests(seconds: float) -> Problem:
    """A caller sends more than the limit allows."""
    return Problem("too_many_requests", "this caller has sent as many requests as one may", headers=_after(seconds))


def too_many_tries(seconds: float) -> Problem:
    """Too much was tried that was of no use."""
    detail = "too many keys, tokens or sign-ins from this address were of no use; those that are good go on"
    return Problem("too_many_requests", detail, headers=_after(seconds))


def provider_away(seconds: float) -> Problem:
    """A token cannot be judged now."""
    return Problem(
        "server_unreachable",
        "the OpenID provider does not answer, and its keys are not known yet: no token can be checked. API keys go on",
        headers=_after(seconds),
    )


def cross_site(trusted: Iterable[str]) -> Problem:
    """A browser says that a page of another site sends this."""
    ours = ", ".join(trusted)
    return Problem(
        "cross_site_request",
        f"the browser sends this for a page of another site than this one{f' ({ours})' if ours else ''}",
    )


def foreign_host() -> Problem:
    """The request names a host that is not this machine's loopback."""
    return Problem(
        "host_not_local",
        "nobody has to sign in here, so this API answers under localhost and 127.0.0.1 only, and the request names "
        "another host",
    )


def _after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, ceil(seconds)))}
