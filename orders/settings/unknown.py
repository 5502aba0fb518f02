"""Settings that nobody knows: a name that is written wrongly would be ignored, and the default be in force. Pure."""

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Final

OURS: Final = (
    "BRIDGE_", "CARRIER_GATEWAY_", "DB_", "KAFKA_", "OIDC_", "ORDER_", "PAYMENT_GATEWAY_", "TEMPORAL_", "WORKER_",
)  # fmt: skip
"""Beginnings of names that only settings of ours have, in the environment of a process of ours."""

SHARED: Final = (
    "API_", "ARCHIVE_", "CARRIER_", "EVENTS_", "FAILPOINT", "HEALTH_", "LOG_", "ORDERS_", "PAYMENT_", "SESSION_",
    "TRACES_",
)  # fmt: skip
"""Beginnings that others use too: such a name is refused where it resembles a setting, or stands in our own file."""

_OF_OTHERS: Final = frozenset(
    {
        # Variables of Kafka's own scripts, and of its images.
        "KAFKA_HEAP_OPTS", "KAFKA_OPTS", "KAFKA_JVM_PERFORMANCE_OPTS", "KAFKA_LOG4J_OPTS", "KAFKA_GC_LOG_OPTS",
        "KAFKA_JMX_OPTS", "KAFKA_DEBUG", "KAFKA_HOME", "KAFKA_VERSION",
        # Of Temporal's command line and SDKs, and of its UI.
        "TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE", "TEMPORAL_CODEC_ENDPOINT",
        "TEMPORAL_CODEC_AUTH", "TEMPORAL_CORS_ORIGINS", "TEMPORAL_UI_PORT", "TEMPORAL_TEST_SERVER",
        # Of docker-compose.yml.
        "TEMPORAL_DB_PASSWORD",
    }
)  # fmt: skip
_BEGINNINGS_OF_OTHERS: Final = ("TEMPORAL_CLI_", "TEMPORAL_GRPC_META_")
_OUR_OWN_MEANS: Final = frozenset(
    {
        "ORDERS_COMMAND",
        "ORDERS_PARENT_PID",
        "ORDERS_CACHE_DIR",
        "ORDERS_COVERAGE_DIR",
        "ORDERS_CHROMIUM",
        "ORDERS_PICTURES",
        "ORDERS_REVISION",
        "ORDERS_COMPLETE",
    }
)
"""What the project's programs tell each other, which nobody sets to run an installation."""

_SERVICE_LINK: Final = re.compile(
    r"[A-Z0-9_]+_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP)(_PROTO|_PORT|_ADDR)?)"
)
"""Kubernetes sets these for each Service of a namespace, and so for one that is called kafka or temporal."""
_RESEMBLES: Final = 0.84
"""Of difflib's measure: one or two letters wrong, missing or in another place."""
_FIRST_WORD_MIN: Final = 4
"""Shorter ones are too much like each other: DB_HOST and, of others, GB_HOST."""
_FIRST_RESEMBLES: Final = 0.75


def unknown_settings(environment: Mapping[str, str], file: Collection[str], known: Collection[str]) -> Iterator[str]:
    """A sentence for each name that looks like a setting and is none.

    Args:
        environment: its variables.
        file: the names in ``.env``.
        known: the names of all settings, in upper case.
    """
    for name in sorted({one.upper() for one, value in environment.items() if value and not _is_link(one, value)}):
        similar = _similar(name, known)
        if not _may_be_others(name, known) and (name.startswith(OURS) or (similar and name.startswith(SHARED))):
            yield _sentence(name, similar, "")
        elif meant := _behind_another_beginning(name, known):
            yield _sentence(name, meant, "")
    for name in sorted({one.upper() for one in file}):
        if not _may_be_others(name, known) and name.startswith((*OURS, *SHARED)):
            yield _sentence(name, _similar(name, known), " in .env")
        elif meant := _behind_another_beginning(name, known):
            yield _sentence(name, meant, " in .env")


def _may_be_others(name: str, known: Collection[str]) -> bool:
    return name in known or name in _OF_OTHERS or name in _OUR_OWN_MEANS or name.startswith(_BEGINNINGS_OF_OTHERS)


def _is_link(name: str, value: str) -> bool:
    upper = name.upper()
    return _SERVICE_LINK.fullmatch(upper) is not None or (upper.endswith("_PORT") and "://" in value)


def _behind_another_beginning(name: str, known: Collection[str]) -> str | None:
    """The setting that is meant where its first word is written wrongly, as in KAKFA_SECURITY_PROTOCOL."""
    first, _, rest = name.partition("_")
    if len(first) < _FIRST_WORD_MIN or not first.isalpha() or name in known:
        return None
    firsts = [one.partition("_")[0] for one in known if one.startswith(OURS) and one.partition("_")[2] == rest]
    return next((f"{one}_{rest}" for one in get_close_matches(first, firsts, n=1, cutoff=_FIRST_RESEMBLES)), None)


def _similar(name: str, known: Collection[str]) -> str | None:
    return next(iter(get_close_matches(name, known, n=1, cutoff=_RESEMBLES)), None)


def _sentence(name: str, similar: str | None, where: str) -> str:
    hint = f"did you mean {similar}?" if similar else "unset it; `orders settings` lists those that there are"
    return f"{name}{where} is no setting, and would be ignored: {hint}"
