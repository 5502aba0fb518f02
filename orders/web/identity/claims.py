"""What a provider's token says, once its signature is checked: who somebody is, and which roles he has. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from orders.roles import Role
from orders.settings.identity import IdentitySettings

SUBJECT_CHARS_MAX: Final = 255
"""OpenID Connect Core 1.0, section 2."""
_NAME: Final = re.compile(r"[^\W_](?:[^\x00-\x1f\x7f-\x9f]{0,126}\S)?")
"""A text that a journal can have as a name: without control characters, not blank, not endless."""


@dataclass(frozen=True, slots=True)
class Vouched:
    """Somebody for whom a provider vouches."""

    subject: str
    """Who it is at the provider, for ever."""
    name: str
    """As journals name him."""
    role: Role | None
    """The highest of his roles; None where the provider names none of ours."""

    @property
    def caller_id(self) -> str:
        """Tells him apart from every other caller."""
        return f"token:{self.subject}"


def vouched(claims: Mapping[str, Any], settings: IdentitySettings) -> Vouched | None:
    """Whom these claims are about; None where they do not say."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_CHARS_MAX or not subject.isprintable():
        return None
    name = _at(claims, settings.oidc_name_claim)
    usable = isinstance(name, str) and _NAME.fullmatch(name) is not None and name.isprintable()
    return Vouched(subject, str(name) if usable else subject, role_of(claims, settings))


def role_of(claims: Mapping[str, Any], settings: IdentitySettings) -> Role | None:
    """The highest of our roles that the claims name."""
    value = _at(claims, settings.oidc_roles_claim)
    names = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    ours = settings.oidc_roles_by_name
    found = {ours[name] for name in [value, *names] if isinstance(name, str) and name in ours}
    return next((role for role in reversed(Role) if role in found), None)


def says_all(claims: Mapping[str, Any], settings: IdentitySettings) -> bool:
    """Whether the claims have both roles and a name; else it is worth asking the provider for more."""
    return None not in (_at(claims, settings.oidc_roles_claim), _at(claims, settings.oidc_name_claim))


def _at(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, or by a path of names with dots between them where there is none of the whole name."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
