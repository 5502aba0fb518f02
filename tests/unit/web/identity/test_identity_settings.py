"""Settings of identity: what is refused, and who may enter by default."""

from pathlib import Path

import pytest

from orders.errors import WrongSettingsError
from orders.roles import Role
from orders.settings import Settings, load_settings
from orders.settings.types import is_loopback

EVERYWHERE = "0.0.0.0"  # noqa: S104 - that it is all addresses is the point
PROVIDER = {"OIDC_ISSUER": "https://id.example", "OIDC_AUDIENCE": "orders"}
PRODUCTION = {
    "ORDERS_ENVIRONMENT": "production",
    "PAYMENT_GATEWAY_URL": "https://pay.example",
    "CARRIER_GATEWAY_URL": "https://ship.example",
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def loaded(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> Settings:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return load_settings()


@pytest.mark.parametrize(
    ("settings", "is_open"),
    [
        ({}, True),
        ({"API_HOST": "localhost"}, True),
        ({"API_HOST": "::1"}, True),
        ({"API_HOST": EVERYWHERE}, False),
        ({"API_HOST": "10.0.0.1"}, False),
        ({"API_IDENTITY": "required"}, False),
        ({"API_IDENTITY": "development"}, True),
        ({"API_IDENTITY": "development", **PROVIDER}, True),
        (PROVIDER, False),
        (PRODUCTION, False),
    ],
)
def test_nobody_signs_in_on_a_developer_s_own_machine_and_everybody_elsewhere(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], is_open: bool
) -> None:
    assert loaded(monkeypatch, settings).is_open_to_everybody is is_open


DEVELOPMENT = "API_IDENTITY=development lets everybody do everything, and"
NOT_SAFE = "ORDERS_ENVIRONMENT=production needs an https:// address as"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"API_IDENTITY": "development", "API_HOST": EVERYWHERE}, f"{DEVELOPMENT} API_HOST=0.0.0.0 lets others in"),
        ({"API_IDENTITY": "development", **PRODUCTION}, f"{DEVELOPMENT} is refused with ORDERS_ENVIRONMENT=production"),
        ({"OIDC_ISSUER": "https://id.example"}, "OIDC_ISSUER needs OIDC_AUDIENCE"),
        ({"OIDC_AUDIENCE": "orders"}, "OIDC_AUDIENCE is set, but with no OIDC_ISSUER"),
        ({"OIDC_CLIENT_SECRET": "hush"}, "OIDC_CLIENT_SECRET is set, but with no OIDC_ISSUER"),
        ({"OIDC_CLIENT_SECRET": "hush", **PROVIDER}, "OIDC_CLIENT_SECRET is set, but with no OIDC_CLIENT_ID"),
        (
            {"OIDC_CLIENT_ID": "orders", "OIDC_TOKEN_TYPES": "at+jwt, JWT", **PROVIDER},
            "OIDC_AUDIENCE and OIDC_CLIENT_ID are the same",
        ),
        ({"OIDC_CLIENT_ID": "c", "API_HOST": "10.0.0.1", **PROVIDER}, "OIDC_CLIENT_ID with API_HOST=10.0.0.1 needs"),
        ({"SESSION_IDLE_SECONDS": "100", "SESSION_MAX_SECONDS": "99"}, "SESSION_MAX_SECONDS (99) is below"),
        ({**PRODUCTION, **PROVIDER, "OIDC_ISSUER": "http://id.example"}, f"{NOT_SAFE} OIDC_ISSUER"),
        ({**PRODUCTION, **PROVIDER, "API_PUBLIC_URL": "http://orders.example"}, f"{NOT_SAFE} API_PUBLIC_URL"),
        ({**PRODUCTION, "API_PUBLIC_URL": "http://orders.example"}, f"{NOT_SAFE} API_PUBLIC_URL"),
        ({**PROVIDER, "OIDC_ISSUER": "https://me:hush@id.example"}, "OIDC_ISSUER must be an address"),
        ({**PROVIDER, "OIDC_ISSUER": "https://id.example/?hush"}, "OIDC_ISSUER must be an address"),
        ({"OIDC_ALGORITHMS": "RS256,none"}, "OIDC_ALGORITHMS must be made of"),
        ({"OIDC_ALGORITHMS": "HS256"}, "OIDC_ALGORITHMS must be made of"),
        ({"OIDC_ALGORITHMS": " , "}, "OIDC_ALGORITHMS has nothing in it"),
        ({"OIDC_ROLE_NAMES": "admins=owner", **PROVIDER}, "OIDC_ROLE_NAMES must be theirs=ours"),
        ({"OIDC_ROLE_NAMES": "admins", **PROVIDER}, "OIDC_ROLE_NAMES must be theirs=ours"),
        ({"API_KEY_CACHE_SECONDS": "61"}, "API_KEY_CACHE_SECONDS is wrong"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], sentence: str
) -> None:
    with pytest.raises(WrongSettingsError) as refused:
        loaded(monkeypatch, settings)
    lines = [line for line in str(refused.value).splitlines() if line.startswith(sentence)]
    assert len(lines) == 1, str(refused.value)
    assert "hush" not in str(refused.value)


def test_an_issuer_keeps_its_slash_as_its_tokens_do(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = loaded(monkeypatch, {"OIDC_ISSUER": "https://id.example/realms/a/", "OIDC_AUDIENCE": "orders"})
    assert settings.oidc_issuer == "https://id.example/realms/a/"


def test_a_provider_s_names_are_ours_unless_they_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert dict(load_settings().oidc_roles_by_name) == {role.value: role for role in Role}
    told = loaded(monkeypatch, {**PROVIDER, "OIDC_ROLE_NAMES": "a=b=viewer, team ops=operator"})
    assert dict(told.oidc_roles_by_name) == {"a=b": Role.VIEWER, "team ops": Role.OPERATOR}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "localhost", "Localhost.", "x.localhost"])
def test_the_loopback_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "10.0.0.1", "localhost.example", "", "notlocalhost"])
def test_what_others_reach_is_no_loopback(host: str) -> None:
    assert not is_loopback(host)
