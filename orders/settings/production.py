"""What production refuses: stand-ins, and ways to servers on which somebody could listen or stand in between. Pure."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from orders.settings.bridge import BridgeSettings
from orders.settings.codec_keys import KEY_BYTES, parse_codec_keys
from orders.settings.database import DatabaseSettings, DatabaseTls
from orders.settings.gateways import GatewaySettings
from orders.settings.general import GeneralSettings
from orders.settings.kafka import KafkaSettings
from orders.settings.secret_files import secret_names
from orders.settings.temporal import TemporalSettings
from orders.settings.types import is_loopback, words_of


class GuardedSettings(
    GeneralSettings, TemporalSettings, KafkaSettings, DatabaseSettings, BridgeSettings, GatewaySettings
):
    """The groups in which there is something that production may not have."""


_BEGIN: Final = "ORDERS_ENVIRONMENT=production"


def contradictions(settings: GuardedSettings) -> Iterator[str]:
    """A sentence for each setting that production cannot have."""
    if not settings.is_production:
        return
    yield from _sandbox(settings)
    yield from _known_secrets(settings)
    excepted = words_of(settings.orders_unprotected)
    for server, sentence in (*_servers(settings), *_addresses(settings)):
        if server not in excepted:
            yield (
                f"{_BEGIN} {sentence}. If something else keeps this way safe, such as a mesh, "
                f"set ORDERS_UNPROTECTED={server}"
            )


def _sandbox(settings: GuardedSettings) -> Iterator[str]:
    for name in ("payment_gateway_url", "carrier_gateway_url"):
        if getattr(settings, name) is None:
            yield (
                f"{_BEGIN} needs {name.upper()}: the embedded sandbox that stands in for it neither charges nor ships"
            )


_KNOWN: Final = frozenset(
    {"admin", "changeme", "guest", "orders", "pass", "password", "postgres", "secret", "temporal", "test"}
)
"""What docker-compose.yml has, and what is tried first by whoever tries passwords. In lower case."""
_USERS: Final = {"db_password": "db_user", "kafka_sasl_password": "kafka_sasl_username"}

_KEYS: Final = ("temporal_codec_keys", "bridge_dead_letter_keys")
_DIFFERENT_BYTES_MIN: Final = 16
"""How many of a key's 32 bytes differ from each other at least. Of keys that are drawn at random, fewer than one in
10**16 has fewer (32 draws among 256 values)."""


def _known_secrets(settings: GuardedSettings) -> Iterator[str]:
    """The secrets that are none, by which anybody who reaches the server could come in."""
    for name in secret_names(type(settings)):
        secret: SecretStr | None = getattr(settings, name)
        user = getattr(settings, _USERS[name]) if name in _USERS else None
        if secret is not None and secret.get_secret_value().lower() in {*_KNOWN, user and user.lower()}:
            yield (
                f"{_BEGIN} refuses a {name.upper()} that everybody knows: make one, as by openssl rand -hex 24, and "
                "give it to the server too"
            )
    for name in _KEYS:
        keys: SecretStr | None = getattr(settings, name)
        for key in () if keys is None else parse_codec_keys(keys.get_secret_value()):
            if len(set(key.key)) < _DIFFERENT_BYTES_MIN:
                yield (
                    f"{_BEGIN} refuses the key {key.key_id} of {name.upper()}, which nobody has drawn: "
                    f"openssl rand -base64 {KEY_BYTES} makes one"
                )


def _servers(settings: GuardedSettings) -> Iterator[tuple[str, str]]:
    """The servers that are reached without protection, and what to set instead. This machine's own need none."""
    protocol = settings.kafka_security_protocol
    if not protocol.endswith("SSL") and not _all_here(settings.kafka_bootstrap_servers):
        wanted = "SASL_SSL" if protocol.startswith("SASL") else "SSL, or SASL_SSL"
        yield "kafka", f"refuses plain text to Kafka (KAFKA_SECURITY_PROTOCOL={protocol}): set it to {wanted}"
    if not settings.temporal_tls and not _all_here(settings.temporal_host):
        yield "temporal", "refuses plain text to Temporal (TEMPORAL_TLS=false): set TEMPORAL_TLS=true"
    if settings.db_tls is not DatabaseTls.VERIFY_FULL and not is_loopback(settings.db_host):
        sentence = (
            f"refuses DB_TLS={settings.db_tls.value}, with which somebody in between could be given the password: "
            "set DB_TLS=verify-full, and DB_TLS_CA_FILE where the system does not know the authority"
        )
        yield "postgres", sentence


_SECRETS_TO_ADDRESSES: Final = (
    ("payment", "payment_gateway_url", "payment_gateway_api_key"),
    ("carrier", "carrier_gateway_url", "carrier_gateway_api_key"),
    ("kafka-oauth", "kafka_oauth_token_url", "kafka_oauth_client_secret"),
)


def _addresses(settings: GuardedSettings) -> Iterator[tuple[str, str]]:
    """The addresses to which a secret would go in plain text."""
    for server, url, secret in _SECRETS_TO_ADDRESSES:
        address = getattr(settings, url)
        if address is not None and getattr(settings, secret) is not None and _is_plain(address):
            where = f"set {url.upper()} to an https:// address"
            yield server, f"refuses to send {secret.upper()} in plain text: {where}"


def _all_here(servers: str) -> bool:
    return all(is_loopback(one.strip().rpartition(":")[0]) for one in servers.split(","))


def _is_plain(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")
