"""Settings of who may use the API and the console, and how they show who they are."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from orders.roles import Role
from orders.settings.contradictions import too_short, unused
from orders.settings.types import Name, Seconds, WebAddress, is_loopback, secret_file

ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA",
)  # fmt: skip
"""The algorithms that a provider may sign with. Each has a public key to check with, so that nobody signs with what the
provider publishes; "none" is not among them."""


def _issuer(value: str) -> str:
    # As it stands, also with a slash at its end: tokens name their issuer, and both texts must be the same.
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
        raise ValueError("must be an address that begins with https://, without user, query and fragment")
    return value


def _words(value: str) -> str:
    if not _split(value):
        raise ValueError("has nothing in it: give one, or several separated by commas")
    return value


def _algorithms(value: str) -> str:
    unknown = [one for one in _split(_words(value)) if one not in ALGORITHMS]
    if unknown:
        raise ValueError(f"must be made of {', '.join(ALGORITHMS)}: others are not safe here, or not known")
    return value


def _role_names(value: str) -> str:
    parse_role_names(value)
    return value


def _split(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def parse_role_names(text: str) -> MappingProxyType[str, Role]:
    """Our role for each name of the provider's, from ``theirs=ours,theirs=ours``.

    Raises:
        ValueError: a sentence without a subject.
    """
    found: dict[str, Role] = {}
    for part in _split(text):
        theirs, equals, ours = (piece.strip() for piece in part.rpartition("="))
        if not equals or not theirs or ours not in list(Role):
            raise ValueError(f"must be theirs=ours,theirs=ours, where ours is one of {', '.join(Role)}")
        found[theirs] = Role(ours)
    return MappingProxyType(found)


Issuer = Annotated[str, AfterValidator(_issuer)]
Words = Annotated[str, AfterValidator(_words)]
"""Several texts separated by commas."""
RoleNames = Annotated[str, AfterValidator(_role_names)]
Algorithms = Annotated[str, AfterValidator(_algorithms)]


class IdentitySettings(BaseModel):
    """Who may use the API and the console."""

    api_identity: Literal["auto", "development", "required"] = Field(
        "auto",
        description=(
            "required: everybody shows who they are, by API key, token or signing in. development: whoever shows "
            "nothing may do everything; only where API_HOST is this machine's loopback, and not in production. auto: "
            "development where that is allowed and OIDC_ISSUER is not set, else required."
        ),
    )
    api_public_url: WebAddress | None = Field(
        None,
        description=(
            "Where browsers reach the API and the console, such as https://orders.example: needed to sign in from "
            "another machine."
        ),
    )
    api_key_cache_seconds: float = Field(
        5,
        gt=0,
        le=60,
        description="How long a process remembers an API key or a session: a revoked one is refused after that.",
    )
    api_caller_requests_per_minute: int = Field(
        6_000,
        ge=0,
        le=10**9,
        description="Most requests of one caller to one API process in a minute; 0 for no limit. Development has none.",
    )
    api_failed_sign_ins_per_minute: int = Field(
        10,
        ge=1,
        le=10**6,
        description=(
            "Failed tries of one key from one address in a minute, after which they are answered 429; ten times as "
            "many of one address with any keys."
        ),
    )
    session_idle_seconds: Seconds = Field(
        1_800, description="A browser that is signed in and asks for nothing for so long is signed out."
    )
    session_max_seconds: Seconds = Field(
        43_200, description="After so long a browser has to sign in again in any case."
    )
    oidc_issuer: Issuer | None = Field(
        None,
        description=(
            "OpenID provider whose tokens are taken, exactly as it calls itself; its addresses and keys are found at "
            "/.well-known/openid-configuration there."
        ),
    )
    oidc_audience: Name | None = Field(None, description="What tokens for this API name as their audience.")
    oidc_token_types: Words = Field(
        "at+jwt",
        description=(
            "Types (typ) of the tokens that are taken as access tokens, separated by commas: at+jwt by RFC 9068. With "
            "JWT, which many providers send, nothing but the audience tells access tokens from others."
        ),
    )
    oidc_algorithms: Algorithms = Field(
        "RS256,PS256,ES256,Ed25519,EdDSA",
        description="Algorithms with which the provider may sign, separated by commas.",
    )
    oidc_roles_claim: Name = Field(
        "roles",
        description=(
            "Claim that has a caller's roles, as one text or a list; a path such as realm_access.roles where no claim "
            "has the whole name."
        ),
    )
    oidc_role_names: RoleNames | None = Field(
        None,
        description=(
            "Our role for each of the provider's names, as theirs=viewer,theirs=approver,theirs=operator. Unset, the "
            "provider's names are ours."
        ),
    )
    oidc_name_claim: Name = Field(
        "sub",
        description=(
            "Claim by which journals name a person. It must be one that nobody can choose for himself; who is who is "
            "told by sub in any case."
        ),
    )
    oidc_client_id: Name | None = Field(
        None, description="The console's client id at the provider; unset, the console is signed in to by API key only."
    )
    oidc_client_secret: SecretStr | None = Field(
        None, description="That client's secret; unset for a public client, which PKCE alone protects."
    )
    oidc_client_secret_file: Path | None = secret_file("OIDC_CLIENT_SECRET")
    oidc_scope: Name = Field(
        "openid", description="Scopes that signing in to the console asks for, separated by blanks."
    )
    oidc_leeway_seconds: float = Field(
        30, ge=0, le=600, description="How much the provider's clock may differ from ours."
    )
    oidc_keys_refresh_seconds: Seconds = Field(
        600,
        description=(
            "How old the provider's keys may be before they are fetched again; while it is away they stay good."
        ),
    )
    oidc_timeout_seconds: Seconds = Field(5, description="How long one answer of the provider may take.")

    @property
    def oidc_token_type_names(self) -> frozenset[str]:
        """The types of access tokens, as they are compared: RFC 7515 lets ``application/`` be left out."""
        return frozenset(one.lower().removeprefix("application/") for one in _split(self.oidc_token_types))

    @property
    def oidc_algorithm_names(self) -> tuple[str, ...]:
        """The algorithms that are allowed."""
        return _split(self.oidc_algorithms)

    @property
    def oidc_roles_by_name(self) -> MappingProxyType[str, Role]:
        """Our role for each of the provider's names."""
        if self.oidc_role_names is None:
            return MappingProxyType({role.value: role for role in Role})
        return parse_role_names(self.oidc_role_names)

    def everybody_may(self, *, host: str, production: bool) -> bool:
        """Whether whoever shows no identity may do everything.

        Args:
            host: where the API listens.
            production: whether real orders are at stake.
        """
        if self.api_identity == "auto":
            return is_loopback(host) and not production and self.oidc_issuer is None
        return self.api_identity == "development"


_OF_THE_PROVIDER: Final = (
    "oidc_audience", "oidc_client_id", "oidc_client_secret", "oidc_client_secret_file", "oidc_role_names",
)  # fmt: skip


def contradictions(settings: IdentitySettings, *, host: str, production: bool) -> Iterator[str]:
    """A sentence for each pair of these settings that cannot both be meant.

    Args:
        settings: this group's.
        host: where the API listens, a setting of the API's.
        production: whether real orders are at stake.
    """
    yield from too_short(settings, [("session_idle_seconds", "session_max_seconds")])
    if settings.api_identity == "development":
        if production:
            yield (
                "API_IDENTITY=development lets everybody do everything, and is refused with "
                "ORDERS_ENVIRONMENT=production"
            )
        if not is_loopback(host):
            yield (
                f"API_IDENTITY=development lets everybody do everything, and API_HOST={host} lets others in: "
                "listen on 127.0.0.1, or have everybody show who they are (API_IDENTITY=required)"
            )
    if production:
        for name in ("oidc_issuer", "api_public_url"):
            value = getattr(settings, name)
            if value is not None and not value.startswith("https://"):
                yield f"ORDERS_ENVIRONMENT=production needs an https:// address as {name.upper()}"
    yield from _of_the_provider(settings, host=host)


def _of_the_provider(settings: IdentitySettings, *, host: str) -> Iterator[str]:
    if settings.oidc_issuer is None:
        yield from unused(settings, _OF_THE_PROVIDER, "no OIDC_ISSUER")
        return
    if settings.oidc_audience is None:
        yield "OIDC_ISSUER needs OIDC_AUDIENCE: without it a token for any other service would be good here"
    same = settings.oidc_audience is not None and settings.oidc_audience == settings.oidc_client_id
    if same and "jwt" in settings.oidc_token_type_names:
        yield (
            "OIDC_AUDIENCE and OIDC_CLIENT_ID are the same, and OIDC_TOKEN_TYPES has JWT: an ID token, which says who "
            "signed in and allows nothing, would be taken for an access token; give the API an audience of its own"
        )
    if settings.oidc_client_id is None:
        yield from unused(settings, ["oidc_client_secret", "oidc_client_secret_file"], "no OIDC_CLIENT_ID")
    elif settings.api_public_url is None and not is_loopback(host):
        yield f"OIDC_CLIENT_ID with API_HOST={host} needs API_PUBLIC_URL: the provider sends browsers back there"
