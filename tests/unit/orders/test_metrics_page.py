"""The page of metrics, and the tables that describe it."""

import asyncio
import re
from pathlib import Path
from typing import Final

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from orders.processes.metrics_reference import PROCESSES, metrics_of, with_tables
from orders.telemetry.metrics_page import MetricsPage
from orders.telemetry.sdk_metrics import SdkMetrics, sdk_metrics
from tests.helpers.system.processes import free_port

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"


VALUES_OF: Final = {
    "code": "the refusals that there are, and a mapping's own",
    "dependency": "servers, and parts of Kafka",
    "gateway": "providers",
    "method": "those of HTTP, and `other`",
    "operation": "what is asked of Temporal or of a provider",
    "outcome": "what may come of it",
    "partition": "the topics'",
    "reason": "codes of the contract",
    "route": "templates of our paths, and `none`",
    "state": "states of an order, of a record or of a connection",
    "status": "those of HTTP",
    "topic": "that the bridge reads",
    "type": "of the events that we publish",
}
"""Each label, with what bounds its values. Nothing that a message or a client says may be one."""


def test_every_label_s_values_are_bounded() -> None:
    labels = {label for process in PROCESSES for one in metrics_of(process) for label in one.labels}
    assert labels == set(VALUES_OF)


def test_the_tables_of_the_document_are_those_of_the_code() -> None:
    text = PAGE.read_text()
    assert with_tables(text) == text, "run `make contract`"


def test_every_metric_that_the_document_names_is_one() -> None:
    known = {one.name for process in PROCESSES for one in metrics_of(process)}
    named = set(re.findall(r"\borders_[a-z_]+[a-z]\b", PAGE.read_text()))
    assert {re.sub("_(bucket|count|sum)$", "", name) for name in named} == known


@pytest.mark.parametrize("process", PROCESSES)
def test_names_and_kinds_follow_the_customs_of_prometheus(process: str) -> None:
    for one in metrics_of(process):
        assert one.name.startswith("orders_")
        assert one.meaning.endswith(".")
        assert (one.kind == "counter") == one.name.endswith("_total")
        if one.kind == "histogram":
            assert one.name.endswith("_seconds")
        assert not re.search(r"_(ms|milliseconds|minutes|kb|count|sum|bucket)$", one.name)


@pytest.mark.parametrize("process", PROCESSES)
def test_no_label_can_have_values_without_bound(process: str) -> None:
    bounded = {
        "code",
        "dependency",
        "gateway",
        "method",
        "operation",
        "outcome",
        "partition",
        "reason",
        "route",
        "state",
        "status",
        "topic",
        "type",
    }
    assert {label for one in metrics_of(process) for label in one.labels} <= bounded


async def test_the_page_has_our_metrics_those_of_the_process_and_the_sdk_s() -> None:
    registry = CollectorRegistry()
    gauge = Gauge("orders_tested", "Of a test.", registry=registry)

    async def refresh() -> None:
        gauge.set(7)

    text = (await MetricsPage(registry, refresh=[refresh], sdk=sdk_metrics()).read()).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["orders_tested"].samples[0].value == 7, "brought up to date first"
    assert "process_cpu_seconds" in families


async def test_the_sdk_s_metrics_may_be_missing_and_ours_are_there() -> None:
    gone = SdkMetrics(sdk_metrics().runtime, free_port())
    registry = CollectorRegistry()
    Gauge("orders_tested", "Of a test.", registry=registry)
    assert b"orders_tested 0.0" in await MetricsPage(registry, sdk=gone).read()


async def test_what_answers_on_the_sdk_s_port_may_be_another_s_and_ours_are_there() -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 no HTTP\r\n")
        writer.close()

    registry = CollectorRegistry()
    Gauge("orders_tested", "Of a test.", registry=registry)
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as another:
        taken = SdkMetrics(sdk_metrics().runtime, another.sockets[0].getsockname()[1])
        with capture_logs() as lines:
            assert b"orders_tested 0.0" in await MetricsPage(registry, sdk=taken).read()
    assert [line["event"] for line in lines] == ["metrics.sdk.unreadable"]
