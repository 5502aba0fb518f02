"""What of docs/sizing.md was measured: `make sizing` runs `orders bench` on a running installation and renews the page.

``python -m benchmarks.sizing --measured FILE`` does so with what `orders bench --json` said elsewhere. The last one is
kept in results/sizing.json, and a test holds the page to it.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.report import RESULTS

KEPT: Final = RESULTS / "sizing.json"
PAGE: Final = Path(__file__).parents[1] / "docs" / "sizing.md"
PRICES: Final = ((5, 50), (10, 45), (20, 40), (50, 35), (100, 30), (200, 25))
"""Steps of the price of actions: up to so many million a month, and what each million of the step costs in dollars.
Temporal Cloud's list, pay as you go, of the plans Business and above (docs.temporal.io/cloud/pricing, read 2026-11-26).
Beyond the last step a price is agreed with Temporal."""
_A_MONTH: Final = {0.001: "thousand", 0.1: "hundred thousand", 1.0: "million"}
"""Orders a month for which the page names a price: in millions, and in words."""
_KIB: Final = 1024


def rate_rows(kept: dict[str, Any]) -> list[str]:
    """How fast orders went, and what held them back."""
    found, machine = kept["measured"], kept["machine"]
    together, alone = found["latency"]["together"], found["latency"]["alone"]
    busy, rate = found["highest"]["cores_busy"], found["orders_per_second"]
    rows = [
        "| | |",
        "|---|---|",
        f"| measured | {kept['at'][:10]}, {found['orders']} orders, {found['open']} open at a time, on "
        f"{machine['cpus']} cores ({machine['architecture']}) with all servers on them, "
        f"load before {kept['load_before']} |",
        f"| orders a second | {rate:.1f}, so {rate / machine['cpus']:.1f} a core that does everything: "
        "bridge, workers and all servers |",
        f"| latency together | {together['p50']:.2f} s in the middle, {together['p99']:.2f} s at the 99th percentile |",
        f"| latency alone | {alone['p50']:.2f} s in the middle |",
    ]
    if busy is not None:
        seconds = busy / rate
        rows.append(
            f"| processor | {busy:.1f} of {found['highest']['cores']} cores busy, at most {seconds:.2f} s an order |"
        )
    connections = sorted(found["highest"]["postgres_connections"].items())
    each = ", ".join(f"{count} of `{name}`" for name, count in connections)
    rows.append(f"| connections to Postgres at most | {each} |")
    return rows + [f"| what binds | {sentence} |" for sentence in found["binds"]]


def store_rows(kept: dict[str, Any]) -> list[str]:
    """What an order leaves in each store."""
    stored = kept["measured"]["bytes_an_order"]
    rows = ["| store | KiB an order | of which |", "|---|---|---|"]
    rows.append(f"| Postgres, with indexes | {_kib(sum(stored['postgres'].values()))} | {_parts(stored['postgres'])} |")
    if stored["kafka"] is not None:
        rows.append(f"| Kafka, one replica | {_kib(sum(stored['kafka'].values()))} | {_parts(stored['kafka'])} |")
    events = kept["measured"]["temporal"]["history_events_an_order"]
    size = _kib(stored["temporal_history"])
    return [*rows, f"| Temporal's histories | {size} | {events:.0f} events, shipping included |"]


def action_rows(kept: dict[str, Any]) -> list[str]:
    """How many actions of Temporal Cloud's price list an order takes, and what they cost."""
    found = kept["measured"]["temporal"]
    rows = ["| for | actions an order |", "|---|---|"]
    rows += [f"| {what} | {count:.1f} |" for what, count in sorted(found["actions"].items(), key=lambda one: -one[1])]
    total = found["actions_an_order"]
    costs = (f"a {word} ${dollars_a_month(total * orders):,.2f}" for orders, word in _A_MONTH.items())
    return [*rows, f"| **all** | **{total:.1f}**; of so many orders a month: {', '.join(costs)} |"]


def dollars_a_month(millions: float) -> float:
    """What so many million actions a month cost by the list.

    Raises:
        ValueError: the list does not go so far.
    """
    if millions > PRICES[-1][0]:
        raise ValueError(f"{millions:.0f} million actions a month are beyond the list")
    cost, below = 0.0, 0
    for up_to, price in PRICES:
        cost += max(0.0, min(millions, up_to) - below) * price
        below = up_to
    return cost


SECTIONS: Final = {"rate": rate_rows, "stores": store_rows, "actions": action_rows}


def with_figures(page: str, kept: dict[str, Any]) -> str:
    """The page with its tables as they were measured."""
    for name, rows in SECTIONS.items():
        begin, end = f"<!-- {name}: made by `make sizing` -->\n", "<!-- end -->"
        before, found, rest = page.partition(begin)
        if not found:
            raise ValueError(f"docs/sizing.md has no section {begin.strip()}")
        _, _, after = rest.partition(end)
        page = "".join([before, begin, *(f"{row}\n" for row in rows(kept)), end, after])
    return page


def _kib(size: float) -> str:
    return f"{size / _KIB:.1f}"


def _parts(sizes: dict[str, float]) -> str:
    return ", ".join(f"`{name}` {_kib(size)}" for name, size in sizes.items())


def _measured(orders: str) -> bytes:
    command = [sys.executable, "-m", "orders", "bench", "--orders", orders, "--json"]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout  # noqa: S603 - our own command


def main() -> int:
    """Measures, or takes what was measured; keeps it, and renews the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizing", description=__doc__)
    parser.add_argument("--orders", default="1000", help="how many are sent")
    parser.add_argument("--measured", type=Path, help="what `orders bench --json` said, instead")
    wanted = parser.parse_args()
    load = round(os.getloadavg()[1], 1)
    said = wanted.measured.read_bytes() if wanted.measured else _measured(wanted.orders)
    kept = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cpus": os.cpu_count(), "architecture": platform.machine(), "python": platform.python_version()},
        "load_before": load,
        "measured": json.loads(said),
    }
    KEPT.write_text(json.dumps(kept, indent=2) + "\n")
    PAGE.write_text(with_figures(PAGE.read_text(), kept))
    sys.stdout.write(f"docs/sizing.md has the figures of these {kept['measured']['orders']} orders now\n")
    return 0


if __name__ == "__main__":  # pragma: no cover -- a person's command; a test calls what it calls
    sys.exit(main())
