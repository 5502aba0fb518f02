"""The text of ``.env.example``, made from the model, so that it never says anything else than the code does."""

import textwrap
from enum import Enum
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from orders.settings.model import GROUPS

_WIDTH = 118

_HEADER = """\
# Settings of the order orchestrator: every one, with its default and its meaning.
#
# Copy this file to .env and take the # away before what you set; the environment wins over .env.
# Where none of KAFKA_BOOTSTRAP_SERVERS, TEMPORAL_HOST and DB_HOST is set, commands use the local servers
# that `orders up` or `orders stack up` started.
#
# Made by `orders settings --example`; a test holds it to the code.
"""


def env_example() -> str:
    """The whole text of ``.env.example``."""
    parts = [_HEADER]
    for group in GROUPS:
        title = (group.__doc__ or "").strip().splitlines()[0].rstrip(".")
        parts.append(f"\n# --- {title} ---\n")
        parts.extend(_setting(name, field) for name, field in group.model_fields.items())
    return "".join(parts)


def setting_default(field: FieldInfo) -> str:
    """A setting's default as it would be written in ``.env``; empty where it has none."""
    return _written(field.default)


def _setting(name: str, field: FieldInfo) -> str:
    meaning = textwrap.fill(field.description or "", _WIDTH, initial_indent="# ", subsequent_indent="# ")
    return f"\n{meaning}\n#{name.upper()}={setting_default(field)}\n"


def _written(value: Any) -> str:
    if value is None or isinstance(value, SecretStr):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return str(value.value)
    return f"{value}"
