"""``python -m benchmarks NAME ...``: runs measurements, prints their figures, and writes them to benchmarks/results."""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from benchmarks import (
    api_calls,
    api_streams,
    big_records,
    bridge_calls,
    console_pages,
    consumer_overhead,
    hol_block,
    hot_key,
    hot_order,
    key_parallel,
    memory,
    order_complete,
    order_figures,
    order_hand_over,
    order_peers,
    order_scale,
    protection_cost,
    record_cost,
    redelivered,
    scrape,
    stuck_order,
    telemetry_cost,
)
from benchmarks.report import Figure, save
from benchmarks.table import render

BENCHMARKS: dict[str, Callable[..., Coroutine[Any, Any, list[Figure]]]] = {
    "consumer_overhead": consumer_overhead.run,
    "key_parallel": key_parallel.run,
    "hot_key": hot_key.run,
    "hol_block": hol_block.run,
    "bridge_start": bridge_calls.run_start,
    "bridge_signal": bridge_calls.run_signal,
    "memory": memory.run,
    "redelivered": redelivered.run,
    "stuck_order": stuck_order.run,
    "hot_order": hot_order.run,
    "big_records": big_records.run,
    "scrape": scrape.run,
    "telemetry_cost": telemetry_cost.run_bridge,
    "order_telemetry_cost": telemetry_cost.run_orders,
    "record_cost": record_cost.run,
    "encryption_cost": protection_cost.run_encryption,
    "tls_cost": protection_cost.run_tls,
    "order_rate": order_figures.run_rate,
    "order_latency": order_figures.run_latency,
    "order_cpu": order_figures.run_cpu,
    "e2e_complete": order_complete.run,
    "hand_over": order_hand_over.run,
    "scale": order_scale.run,
    "peers": order_peers.run,
    "api_calls": api_calls.run,
    "api_streams": api_streams.run,
    "console_pages": console_pages.run,
}


def main() -> int:
    """Runs what is asked for; 0 if every target was met by a run that can be trusted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(BENCHMARKS)}; all without any")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work: to see that it runs, not to measure")
    parser.add_argument("--table", action="store_true", help="measure nothing: print the last results as a table")
    arguments = parser.parse_args()
    if arguments.table:
        sys.stdout.write(render())
        return 0
    unknown = set(arguments.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    # One line a record is a matter of taste and of the log's target; it is not what is measured.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING), cache_logger_on_first_use=True
    )
    logging.basicConfig(level=logging.ERROR)
    # As Ctrl-C: what a measurement has started is ended by it, in its own `finally`.
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    met = True
    for name in arguments.names or BENCHMARKS:
        figures = asyncio.run(BENCHMARKS[name](quick=arguments.quick))
        for figure in figures:
            met = met and figure.met and figure.trustworthy
            sys.stdout.write(figure.line() + "\n")
            sys.stdout.flush()
        if arguments.quick:
            sys.stdout.write(json.dumps([figure.details for figure in figures if figure.details], indent=2) + "\n")
        else:
            save(name, figures)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
