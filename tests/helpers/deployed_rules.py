"""What is in deploy/ for Prometheus and Grafana, as tests read it: rules, boards, and the metrics they ask for."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
BOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
WORDS = {
    "sum",
    "max",
    "min",
    "by",
    "rate",
    "increase",
    "changes",
    "absent",
    "time",
    "histogram_quantile",
    "and",
    "or",
    "unless",
}


def rules(name: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / name).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = rules("alerts.yml")
RECORDED = {rule["record"] for rule in rules("recording.yml")}


def read(board: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(board.read_text())
    return told


def panels(board: Path) -> Iterator[dict[str, Any]]:
    yield from read(board)["panels"]


def questions() -> Iterator[tuple[str, list[str]]]:
    """Each question of docs/metrics.md with the expressions that answer it."""
    rows = re.findall(r"^\| ([A-Z][^|]+\?) \| (.+) \|$", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)
    for question, answer in rows:
        yield question, [code for code in re.findall(r"`([^`]+)`", answer) if "orders_" in code]


QUESTIONS = dict(questions())
"""What an operator asks, in the document's words."""


def expressions() -> Iterator[tuple[str, str]]:
    """Each expression with where it stands."""
    for rule in [*rules("recording.yml"), *ALERTS]:
        yield rule.get("record") or rule["alert"], rule["expr"]
    for board in BOARDS:
        for panel in panels(board):
            for target in panel["targets"]:
                yield f"{board.stem}: {panel['title']}", target["expr"]
    for question, answers in QUESTIONS.items():
        for answer in answers:
            yield f"docs/metrics.md: {question}", answer
    alarms = (ROOT / "docs/operating.md").read_text().partition("\n## Alarms\n")[2].partition("\n## ")[0]
    for section in alarms.split("\n### ")[1:]:
        for asked in re.findall(r"`([^`]*\borders_[a-z][^`]*)`", section):
            yield f"docs/operating.md: {section.partition(chr(10))[0]}", asked


EXPRESSIONS = list(expressions())


def names_in(expression: str) -> set[str]:
    """The metrics that an expression asks for."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(?:by|on|ignoring|without)\s*\([^)]*\)", "", expression)
    return {name for name in re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", bare) if name not in WORDS}
