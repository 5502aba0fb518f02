"""The compose profile `observability`: each file is where its image reads it, and each address leads to a container."""

import json
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
CONTENT: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = CONTENT["services"]
OBSERVING = {name: service for name, service in SERVICES.items() if service.get("profiles") == ["observability"]}
GRAFANA = ROOT / "deploy/grafana"
SOURCES = [
    source
    for path in sorted((GRAFANA / "provisioning/datasources").glob("*.yml"))
    for source in yaml.safe_load(path.read_text())["datasources"]
]
LISTENS = {"prometheus": {9090}, "jaeger": {16686, 4318}, "grafana": {3000}}
"""The ports of the images: Prometheus', Grafana's, and Jaeger's of its user interface and of OTLP over HTTP."""

PORTS = {"bridge": "BRIDGE_HEALTH_PORT", "worker": "WORKER_HEALTH_PORT", "api": "API_HEALTH_PORT"}
"""Of each kind of process, by its command, the setting of the port that is read."""


def in_clone(service: str, path: str) -> Path:
    """What a container finds at a path, in this clone.

    Raises:
        LookupError: Nothing of this clone is mounted there.
    """
    for mount in OBSERVING[service]["volumes"]:
        source, target, *_ = str(mount).split(":")
        if source.startswith("./") and PurePosixPath(path).is_relative_to(target):
            return ROOT / source / PurePosixPath(path).relative_to(target)
    raise LookupError(path)


def test_the_profile_has_a_store_of_metrics_one_of_traces_and_boards() -> None:
    assert set(OBSERVING) == set(LISTENS)
    for name, service in OBSERVING.items():
        assert {int(port.rpartition(":")[2]) for port in service["ports"]} == LISTENS[name]


def test_prometheus_finds_its_configuration_and_the_rules_that_it_names() -> None:
    path = in_clone("prometheus", "/etc/prometheus/prometheus.yml")  # Where the image's own command looks.
    for name in yaml.safe_load(path.read_text())["rule_files"]:
        assert (path.parent / name).is_file()
    assert "prometheus-data:/prometheus" in OBSERVING["prometheus"]["volumes"], "the image's own folder of data"
    assert "prometheus-data" in CONTENT["volumes"]


def test_prometheus_reads_the_health_port_of_every_process_of_ours() -> None:
    (job,) = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    targets = dict(target.split(":") for target in job["static_configs"][0]["targets"])
    ours = {name for name, service in SERVICES.items() if (service.get("command") or ["none"])[0] in PORTS}
    assert set(targets) == ours
    image = (ROOT / "Dockerfile").read_text()
    for name, port in targets.items():
        setting = PORTS[SERVICES[name]["command"][0]]
        assert f"{setting}={port}" in image
        assert setting not in SERVICES[name]["environment"], "the image's own port is the one that is read"
        assert "HEALTH_BIND_ADDRESS=0.0.0.0" in image


def test_grafana_finds_its_sources_and_its_boards() -> None:
    assert in_clone("grafana", "/etc/grafana/provisioning/datasources/prometheus.yml").is_file()
    provider = in_clone("grafana", "/etc/grafana/provisioning/dashboards/orders.yml")
    (one,) = yaml.safe_load(provider.read_text())["providers"]
    assert list(in_clone("grafana", one["options"]["path"]).glob("*.json"))
    home = OBSERVING["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert in_clone("grafana", home).is_file()


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source["name"])
def test_a_source_leads_to_a_container_that_is_started_first(source: dict[str, Any]) -> None:
    name, _, port = source["url"].removeprefix("http://").partition(":")
    assert int(port) in LISTENS[name]
    assert name in OBSERVING["grafana"]["depends_on"]


@pytest.mark.parametrize("board", sorted((GRAFANA / "dashboards").glob("*.json")), ids=lambda path: path.stem)
def test_every_panel_asks_a_source_that_there_is(board: Path) -> None:
    known = {source["uid"]: source["type"] for source in SOURCES}
    for panel in json.loads(board.read_text())["panels"]:
        for asks in (panel, *panel["targets"]):
            assert known[asks["datasource"]["uid"]] == asks["datasource"]["type"]


def test_traces_go_to_the_address_that_the_document_tells() -> None:
    told = "http://jaeger:4318/v1/traces"
    assert told in (ROOT / "docker-compose.yml").read_text()
    assert told in (ROOT / "docs/tracing.md").read_text()
    assert OBSERVING["jaeger"]["environment"]["JAEGER_LISTEN_HOST"] == "0.0.0.0"  # noqa: S104 -- within its own container
