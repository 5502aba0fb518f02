"""The types that settings are made of. The unit of a length of time or a size stands in the setting's name."""

import re
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr

from orders.settings.codec_keys import parse_codec_keys

_TOPIC_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,249}")
_SERVER_PATTERN = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")

TEMPORAL_PORT = 7233
"""Temporal's port where the setting names none."""
KAFKA_PORT = 9092
"""Kafka's port where the setting names none."""


def _server(value: str, default_port: int) -> str:
    """Checks ``host`` or ``host:port`` and gives it its port."""
    match = _SERVER_PATTERN.fullmatch(value)
    if match is None:
        raise ValueError(f"must be a server's name and port, such as localhost:{default_port}, without a scheme")
    if match[2] is None:
        return f"{value}:{default_port}"
    if not 0 < int(match[2][1:]) < 65_536:  # noqa: PLR2004 - the range of ports is its own name
        raise ValueError("has a port outside 1 to 65535")
    return value


def _temporal_server(value: str) -> str:
    return _server(value.strip(), TEMPORAL_PORT)


def _kafka_servers(value: str) -> str:
    return ",".join(_server(part.strip(), KAFKA_PORT) for part in value.split(","))


def _topic(value: str) -> str:
    if not _TOPIC_PATTERN.fullmatch(value) or value in (".", ".."):
        raise ValueError("must be a topic's name: up to 249 of letters, digits, dot, underscore and hyphen")
    return value


def _instance_id(value: str) -> str:
    if not _TOPIC_PATTERN.fullmatch(value) or value in (".", ".."):
        raise ValueError("must be a name of up to 249 of letters, digits, dot, underscore and hyphen")
    return value


def _web_address(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+\S*", value):
        raise ValueError("must be an address that begins with http:// or https://")
    if re.search(r"[?#]", value) or "@" in value.split("/")[2]:
        # An address is shown to people: `orders settings`.
        raise ValueError(
            "must be an address without user, password, query and fragment: a key has a setting of its own"
        )
    return value.rstrip("/")


def _codec_keys(value: SecretStr) -> SecretStr:
    parse_codec_keys(value.get_secret_value())
    return value


PLAIN_SERVERS = ("kafka", "temporal", "postgres", "payment", "carrier", "kafka-oauth")
"""What production can be told to reach without protection of ours."""


def words_of(text: str) -> tuple[str, ...]:
    """The words of a list that is separated by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _plain_servers(value: str) -> str:
    if not set(words_of(value)) <= set(PLAIN_SERVERS):
        raise ValueError(f"must be made of {', '.join(PLAIN_SERVERS)}, separated by commas")
    return value


def _secret_of_one_line(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.isprintable() or not text.isascii() or text != text.strip():
        raise ValueError(
            "has a line break, a blank at an end, or a character beyond ASCII, as no key has: it was copied wrongly"
        )
    return value


def _build_id(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}", value):
        raise ValueError("must be a build's name: up to 128 of letters, digits, dot, underscore, plus and hyphen")
    return value


def _deployment_name(value: str) -> str:
    # With a slash it is what Temporal's worker controller calls one: the namespace in Kubernetes and the object's name.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_/-]{0,127}", value):
        raise ValueError(
            "must be a deployment's name: up to 128 of letters, digits, underscore, slash and hyphen, without a dot"
        )
    return value


TemporalServer = Annotated[str, AfterValidator(_temporal_server)]
"""``host:port``."""
KafkaServers = Annotated[str, AfterValidator(_kafka_servers)]
"""``host:port``, several separated by commas."""
Topic = Annotated[str, AfterValidator(_topic)]
"""A Kafka topic's name (Kafka's own rule)."""
WebAddress = Annotated[str, AfterValidator(_web_address)]
"""An http or https address without a trailing slash."""
Name = Annotated[str, Field(min_length=1)]
InstanceId = Annotated[str, AfterValidator(_instance_id)]
"""Any text that is not empty."""
Port = Annotated[int, Field(ge=1, le=65_535)]
OptionalPort = Annotated[int, Field(ge=0, le=65_535)]
"""A port to listen on; 0 for none."""
Seconds = Annotated[float, Field(gt=0, le=315_360_000)]
"""A length of time; the bound (ten years) keeps every deadline within what Temporal and datetime can hold."""
Count = Annotated[int, Field(ge=1, le=1_000_000)]
SizeBytes = Annotated[int, Field(ge=1_024, le=2**34)]
PlainServers = Annotated[str, AfterValidator(_plain_servers)]
"""Some of `PLAIN_SERVERS`, separated by commas."""
HeaderSecret = Annotated[SecretStr, AfterValidator(_secret_of_one_line)]
"""A key that is sent in a header of HTTP, and so is one line of printable ASCII."""
CodecKeys = Annotated[SecretStr, AfterValidator(_codec_keys)]
"""``id:key,id:key``; see `orders.settings.codec_keys`."""
BuildId = Annotated[str, AfterValidator(_build_id)]
"""What follows the dot in Temporal's name of a worker version."""
DeploymentName = Annotated[str, AfterValidator(_deployment_name)]
"""What precedes that dot, and so holds none."""


def secret_file(secret: str) -> Any:
    """The field for the file of a secret, which stands beside the secret's own in its group.

    Args:
        secret: the name of the secret's setting.
    """
    default: Path | None = None
    return Field(
        default, description=f"File that {secret} is in, as orchestrators mount secrets; in place of {secret}."
    )


def is_loopback(host: str) -> bool:
    """Whether a host's name or address, without a port, is this machine's own, which no other machine reaches."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761, 6.3
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def span(seconds: float) -> timedelta:
    """A length of time in seconds as a ``timedelta``, which is what the other rooms take."""
    return timedelta(seconds=seconds)
