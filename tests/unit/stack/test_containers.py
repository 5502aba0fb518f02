"""docker-compose.yml, the Dockerfile, and the containers that testcontainers starts, as far as no engine is needed."""

import re
import subprocess
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
import yaml
from testcontainers.core import container as testcontainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from orders.settings import Settings
from stack import docker
from stack.temporal import GARBAGE, TUNING
from tests.image.compose import interpolated

ROOT = Path(__file__).parents[3]
OURS = ("migrate", "bridge", "worker-order", "worker-shipping", "api")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return content


@pytest.mark.parametrize("name", OURS)
def test_every_variable_of_our_containers_is_a_setting(services: dict[str, Any], name: str) -> None:
    settings = {field.upper() for field in Settings.model_fields}
    assert set(services[name]["environment"]) - settings == set()


def test_the_ports_are_the_conventional_ones_and_for_this_machine_only(services: dict[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert ports == {
        "api": ["127.0.0.1:8000:8000"],
        "jaeger": ["127.0.0.1:16686:16686", "127.0.0.1:4318:4318"],
        "kafka": ["127.0.0.1:9092:9092"],
        "postgres": ["127.0.0.1:5432:5432"],
        "temporal-postgres": ["127.0.0.1:5433:5432"],
        "temporal": ["127.0.0.1:7233:7233"],
        "temporal-ui": ["127.0.0.1:8080:8080"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "grafana": ["127.0.0.1:3000:3000"],
    }


def test_no_container_takes_the_machine_s_whole_memory(services: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if "mem_limit" not in service} == set()


def test_our_containers_run_the_processes_of_an_installation(services: dict[str, Any]) -> None:
    assert {name: services[name]["command"] for name in OURS} == {
        "migrate": ["migrate"],
        "bridge": ["bridge"],
        "worker-order": ["worker", "--queue", "order-tq"],
        "worker-shipping": ["worker", "--queue", "shipping-tq"],
        "api": ["api"],
    }


def test_nothing_starts_before_what_it_needs_is_ready(services: dict[str, Any]) -> None:
    for name in OURS:
        for needed, how in services[name]["depends_on"].items():
            runs_once = needed in {"migrate", "temporal-namespace"}
            expected = "service_completed_successfully" if runs_once else "service_healthy"
            assert how == {"condition": expected}, f"{name} needs {needed}"
            assert expected != "service_healthy" or "test" in services[needed]["healthcheck"]


def test_what_is_started_after_what_has_a_beginning_and_waits_for_no_one_in_a_circle(services: dict[str, Any]) -> None:
    """Compose starts nothing of a file in which a service needs itself, however many steps away."""
    needs = {name: set(service.get("depends_on", ())) for name, service in services.items()}
    order = list(TopologicalSorter(needs).static_order())  # Raises where there is a circle.
    assert set(order) == set(services), "each is one that there is"
    conditions = {
        name: service["depends_on"] for name, service in services.items() if isinstance(service.get("depends_on"), dict)
    }
    for name, needed in conditions.items():
        for other, how in needed.items():
            ends = not services[other].get("restart", "no").startswith("unless-stopped")
            assert how == {"condition": "service_completed_successfully" if ends else "service_healthy"}, (name, other)
            assert ends or "healthcheck" in services[other], f"{name} waits for the health of {other}, which has none"


def test_temporals_namespace_is_made_once_temporal_answers(services: dict[str, Any]) -> None:
    assert services["temporal-namespace"]["depends_on"] == {"temporal": {"condition": "service_healthy"}}


def test_containers_and_native_servers_are_of_one_kafka_and_postgres(services: dict[str, Any]) -> None:
    assert services["kafka"]["image"] == docker.KAFKA_IMAGE
    assert services["postgres"]["image"] == docker.POSTGRES_IMAGE


def test_the_composed_temporal_is_tuned_as_the_native_one_and_the_single_container(
    services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = next(volume for volume in services["temporal"]["volumes"] if "dynamic" in volume).split(":")
    assert path[1].removeprefix("/etc/temporal/") == services["temporal"]["environment"]["DYNAMIC_CONFIG_FILE_PATH"]
    told = {key: rows[0]["value"] for key, rows in yaml.safe_load((ROOT / path[0]).read_text()).items()}
    tuning = {key: value == "true" if isinstance(value, str) else value for key, value in TUNING.items()}
    assert told == tuning
    monkeypatch.setattr(testcontainer, "DockerClient", lambda **_: None)
    container = docker.temporal_container(21002, 21003)
    command = container._command
    assert "--ui-codec-endpoint" not in command
    told = docker.temporal_container(21002, 21003, "http://127.0.0.1:8000/codec")._command
    assert told[-2:] == ["--ui-codec-endpoint", "http://127.0.0.1:8000/codec"]
    assert container.env.items() >= GARBAGE.items()
    assert {name: services["temporal"]["environment"][name] for name in GARBAGE} == GARBAGE
    assert [f"{key}={value}" for key, value in TUNING.items() if f"{key}={value}" not in command] == []


def test_where_payloads_are_encrypted_the_composed_ui_and_the_api_are_told_of_each_other(
    services: dict[str, Any],
) -> None:
    names = ("TEMPORAL_CODEC_KEYS", "API_CODEC_UI_ORIGIN", "TEMPORAL_CODEC_ENDPOINT")

    def told(service: str, keys: str) -> list[str]:
        environment = services[service]["environment"]
        return [interpolated(environment.get(name, ""), {"TEMPORAL_CODEC_KEYS": keys}) for name in names]

    assert told("api", "one:key") == ["one:key", "http://localhost:8080", ""]
    assert told("temporal-ui", "one:key") == ["", "", "http://localhost:8000/codec"]
    assert told("bridge", "one:key") == told("worker-order", "one:key") == ["one:key", "", ""]
    assert {value for name in (*OURS, "temporal-ui") for value in told(name, "")} == {""}
    assert services["api"]["environment"]["TEMPORAL_UI_URL"] == "http://localhost:8080"


def test_one_service_builds_the_image_and_the_others_take_it(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if "build" in service] == ["migrate"]
    assert {name: services[name]["image"] for name in OURS} == dict.fromkeys(OURS, "temporal-order-orchestrator:latest")
    policies = {name: services[name]["pull_policy"] for name in OURS}
    assert policies == {**dict.fromkeys(OURS, "never"), "migrate": "build"}


def test_temporals_health_needs_nobody_who_answers_names(services: dict[str, Any]) -> None:
    assert services["temporal"]["healthcheck"]["test"] == ["CMD", "nc", "-z", "localhost", "7233"]
    assert services["temporal"]["environment"]["BIND_ON_IP"] == "0.0.0.0", "else its loopback does not answer"  # noqa: S104


def test_temporal_starts_with_its_tables_and_is_used_with_its_namespace(services: dict[str, Any]) -> None:
    jobs = ("temporal-schema", "temporal-namespace")
    ends = {"condition": "service_completed_successfully"}
    assert services["temporal"]["depends_on"] == {"temporal-schema": ends}
    assert services["migrate"]["depends_on"]["temporal-namespace"] == ends
    assert all(services[job]["restart"].startswith("on-failure") for job in jobs)
    for job in jobs:
        (script,) = services[job]["command"]
        assert services[job]["entrypoint"] == ["/bin/sh", "-euc"]
        subprocess.run(["/bin/sh", "-nc", script.replace("$$", "$")], check=True)


def test_the_tools_that_prepare_temporal_are_of_its_version(services: dict[str, Any]) -> None:
    versions = {job: services[job]["image"].partition("@")[0].rpartition(":")[2] for job in services}
    server, tools = versions["temporal"], [versions[job] for job in ("temporal-schema", "temporal-namespace")]
    assert [tag for tag in tools if not tag.startswith(f"{server}-")] == []


def test_every_room_of_the_service_is_in_the_image_and_local_servers_are_not() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    rooms = ["schemas", "activities", "workflows", "bridge", "orders", "migrations"]
    assert all(f'"{room}"' in text for room in rooms)
    assert "COPY stack" not in (ROOT / "Dockerfile").read_text()
    dockerfile, ignored = (ROOT / "Dockerfile").read_text(), (ROOT / ".dockerignore").read_text()
    assert [room for room in rooms if f"COPY {room} {room}\n" not in dockerfile] == []
    assert [room for room in rooms if f"\n!{room}\n" not in ignored] == []


def test_each_process_is_asked_itself_whether_it_is_ready(services: dict[str, Any]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    for name in ("bridge", "worker-order", "worker-shipping", "api"):
        process = services[name]["command"][0]
        assert services[name]["healthcheck"]["test"] == ["CMD", "ready", process]
        port = re.search(rf"{process.upper()}_HEALTH_PORT=(\d+)", dockerfile)
        assert port is not None
        assert port[1] != "0", "it would not listen"


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container object asks for its engine when it is made; here it is made and never started."""
    monkeypatch.setattr(testcontainer, "DockerClient", lambda **_: None)


@pytest.mark.usefixtures("no_engine")
def test_containers_are_bound_to_this_machine_only_and_awaited() -> None:
    kafka = docker.kafka_container(21001)
    temporal = docker.temporal_container(21002, 21003)
    postgres = docker.postgres_container(21004, "its own")
    assert postgres.env["POSTGRES_PASSWORD"] == "its own"  # noqa: S105 -- a test's
    assert kafka.ports == {"21001/tcp": ("127.0.0.1", 21001)}
    assert temporal.ports == {"7233/tcp": ("127.0.0.1", 21002), "8233/tcp": ("127.0.0.1", 21003)}
    assert postgres.ports == {"5432/tcp": ("127.0.0.1", 21004)}
    assert kafka.env["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://127.0.0.1:21001"
    assert kafka.env["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert isinstance(kafka._wait_strategy, LogMessageWaitStrategy)
    assert isinstance(postgres._wait_strategy, LogMessageWaitStrategy)
    assert temporal._wait_strategy is None, "we ask it ourselves; testcontainers would ask the wrong address"
    for each in (kafka, postgres):
        assert each._wait_strategy._startup_timeout == docker.START_TIMEOUT.total_seconds()
