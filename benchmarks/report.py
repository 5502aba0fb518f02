"""What a measurement says, to a person and to a program."""

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure and its target."""

    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    trustworthy: bool = True
    """Whether the run was quiet enough; a figure without a baseline cannot know."""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool:
        """Whether the value is where it should be."""
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )

    def line(self) -> str:
        """The figure for a person."""
        target = f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g}"
        verdict = "met" if self.met else "MISSED"
        doubt = "" if self.trustworthy else " (too noisy to trust)"
        return f"{self.name}: {self.value:.3f} {self.unit}, target {target}: {verdict}{doubt}"


def save(benchmark: str, figures: list[Figure]) -> Path:
    """Writes the figures to ``benchmarks/results``; one file for each benchmark, its last run."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{benchmark}.json"
    document = {
        "benchmark": benchmark,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cpus": os.cpu_count(), "architecture": platform.machine(), "python": platform.python_version()},
        "load_before": round(os.getloadavg()[1], 2),
        "figures": [asdict(figure) | {"met": figure.met} for figure in figures],
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path
