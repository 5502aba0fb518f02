"""The chart's values as its files have them: each with its default, and the comment above it as its meaning."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).parents[2] / "deploy" / "helm" / "orders"
RULES: Final = ("alerts.yml", "recording.yml")
"""Prometheus' rules, of deploy/prometheus."""
_KEY: Final = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z]\w*):(?P<value>.*)")


@dataclass(frozen=True, slots=True)
class Value:
    """One value that an installation may give."""

    path: tuple[str, ...]
    default: Any
    meaning: str
    """What the lines above it say; empty where its name says it."""
    is_group: bool
    """Whether it is only what holds others, which stand below it."""

    @property
    def name(self) -> str:
        """As `--set` has it."""
        return ".".join(self.path)


def default_values() -> dict[str, Any]:
    """All of values.yaml."""
    read: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return read


def values_of_chart() -> Iterator[Value]:
    """Each value in the order of values.yaml, groups before what they hold; what stands on one line is one value."""
    defaults, comment, path = default_values(), list[str](), list[str]()
    for line in (CHART / "values.yaml").read_text().splitlines():
        if line.strip().startswith("#"):
            comment.append(line.strip().removeprefix("#").strip())
            continue
        if found := _KEY.fullmatch(line):
            path[len(found["indent"]) // 2 :] = [found["key"]]
            default = defaults
            for key in path:
                default = default[key]
            yield Value(tuple(path), default, " ".join(comment), is_group=not found["value"].strip())
        comment = []
