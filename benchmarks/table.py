"""The last results as a table for docs/performance.md."""

import json
from pathlib import Path

from benchmarks.report import RESULTS


def render(folder: Path = RESULTS) -> str:
    """A Markdown table of every figure under the folder, one row each."""
    rows = ["| figure | value | target | met | measured | load before |", "|---|---|---|---|---|---|"]
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        # What an installation takes stands beside them, and has a page of its own.
        for figure in document.get("figures", ()):
            at_least, at_most = figure["at_least"], figure["at_most"]
            target = f"≥ {at_least:g}" if at_least is not None else f"≤ {at_most:g}"
            met = ("yes" if figure["met"] else "no") + ("" if figure["trustworthy"] else ", too noisy to trust")
            value = f"{figure['value']:.3f} {figure['unit']}"
            rows.append(
                f"| {figure['name']} | {value} | {target} | {met} | {document['at'][:10]} | {document['load_before']} |"
            )
    return "\n".join(rows) + "\n"
