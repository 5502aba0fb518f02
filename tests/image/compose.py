"""docker-compose.yml's services, as what Docker's client takes: tests run what stands there, with its restrictions."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.image.stand_in import ROOT

_SECOND_NS = 1_000_000_000
_HEALTH_INTERVAL_SECONDS = 1
"""Asked more often than in docker-compose.yml, so that nobody waits for the answer."""


def read_services() -> dict[str, Any]:
    """All services of docker-compose.yml, by name."""
    services: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return services


def container_options(service: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    """Gives what `containers.run` of Docker's client takes, for a service of ours.

    Everything that the service may not do is taken from it; what leads it to its servers is not.

    Args:
        service: of docker-compose.yml.
        environment: variables over the service's own: where the servers are, on this machine's network.
    """
    said = {name: interpolated(value, {}) for name, value in service["environment"].items()}
    return {
        "command": service["command"],
        "environment": {**said, **environment},
        "read_only": service["read_only"],
        "tmpfs": dict.fromkeys(service["tmpfs"], ""),
        "cap_drop": service["cap_drop"],
        "security_opt": service["security_opt"],
        "healthcheck": _health_check(service.get("healthcheck", {})),
        "network_mode": "host",
        "detach": True,
    }


def interpolated(text: str, variables: Mapping[str, str]) -> str:
    """What compose makes of `${NAME:-where unset}` and `${NAME:+where set}`.

    Args:
        text: a value of docker-compose.yml.
        variables: those of whoever runs compose.
    """

    def value(found: re.Match[str]) -> str:
        name, sign, other = found.groups()
        there = variables.get(name, "")
        return (there or other) if sign == "-" else (other if there else "")

    return re.sub(r"\$\{([A-Z_]+):([-+])([^}]*)\}", value, text)


def stop_seconds(service: dict[str, Any]) -> int:
    """How long the service is given to end, before it is killed."""
    return int(service["stop_grace_period"].removesuffix("s"))


def _health_check(asked: dict[str, Any]) -> dict[str, Any] | None:
    if "test" not in asked:
        return None
    return {
        "test": asked["test"],
        "interval": _HEALTH_INTERVAL_SECONDS * _SECOND_NS,
        "timeout": int(asked["timeout"].removesuffix("s")) * _SECOND_NS,
        "retries": asked["retries"],
    }
