"""What the chart renders: held to the settings, commands, ports and metrics that there are."""

import base64
import re
import secrets
from pathlib import Path
from typing import Any

import pytest
import yaml

from orders.cli.app import _COMMANDS
from orders.processes.metrics_reference import metrics_of
from orders.processes.worker import TaskQueue, WorkerPart
from orders.settings.model import STOP_TIMEOUT_SECONDS, Settings
from tests.chart.helm import (
    EXAMPLES,
    MINIMAL,
    HelmError,
    environment_of,
    helm,
    pod_templates,
    rendered,
)
from tests.deploy.schema import secret_names
from tests.deploy.values import CHART, RULES

# The first test builds Helm and the API server.
pytestmark = pytest.mark.timeout(2_700)

HEALTH_PORT = {"bridge": "BRIDGE_HEALTH_PORT", "worker": "WORKER_HEALTH_PORT", "api": "API_HEALTH_PORT"}
EXAMPLE = pytest.mark.parametrize("values", EXAMPLES, ids=lambda path: path.name.removesuffix("-values.yaml"))


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    inside = all(labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", []))
    return wanted and inside


def of_kind(manifests: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in manifests if one["kind"] == kind]


@EXAMPLE
def test_helm_finds_nothing_wrong(values: Path) -> None:
    assert "0 chart(s) failed" in helm("lint", CHART, "--strict", "--values", values)


@EXAMPLE
def test_every_pod_s_settings_are_settings_and_go_together(
    values: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {name.upper() for name in Settings.model_fields}
    for name in secret_names():
        (tmp_path / name).write_text(f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}\n")
    templates = list(pod_templates(rendered(values, f"secrets.mountPath={tmp_path}")))
    assert templates
    for name, template in templates:
        environment = environment_of(template)
        assert set(environment) <= known, name
        with monkeypatch.context() as patched:
            patched.chdir(tmp_path)
            for variable, value in {"ORDERS_ENVIRONMENT": "production", **environment}.items():
                patched.setenv(variable, value)
            settings = Settings()
        for secret in secret_names():
            assert (getattr(settings, secret.lower()) is not None) == (f"{secret}_FILE" in environment), secret


@EXAMPLE
def test_every_pod_runs_a_command_that_there_is(values: Path) -> None:
    for name, template in pod_templates(rendered(values)):
        command, *options = template["spec"]["containers"][0]["args"]
        assert command in _COMMANDS, name
        given = dict(zip(options[::2], options[1::2], strict=True))
        assert given.keys() <= {"--queue", "--only"}
        assert {given.get("--queue", "order-tq")} <= set(TaskQueue)
        assert {given.get("--only", "workflows")} <= set(WorkerPart)


@EXAMPLE
def test_every_pod_is_probed_on_its_health_port_and_has_time_to_end(values: Path) -> None:
    for name, template in pod_templates(rendered(values)):
        (container,) = template["spec"]["containers"]
        assert template["spec"]["terminationGracePeriodSeconds"] > STOP_TIMEOUT_SECONDS
        if container["name"] == "migrate":
            continue
        ports = {one["name"]: str(one["containerPort"]) for one in container["ports"]}
        environment = environment_of(template)
        assert environment[HEALTH_PORT[container["name"]]] == ports["health"], name
        assert environment["HEALTH_BIND_ADDRESS"] == "0.0.0.0"  # noqa: S104 - a pod's own
        probed = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
        assert probed == {
            "startup": {"path": "/livez", "port": "health"},
            "liveness": {"path": "/livez", "port": "health"},
            "readiness": {"path": "/readyz", "port": "health"},
        }


@EXAMPLE
def test_every_pod_is_in_one_budget_and_one_policy_of_the_release_and_services_lead_to_pods(values: Path) -> None:
    manifests = rendered(values)
    templates = [template["metadata"]["labels"] for _, template in pod_templates(manifests)]
    for labels in templates:
        component = labels["app.kubernetes.io/component"]
        budgets = [one for one in of_kind(manifests, "PodDisruptionBudget") if matches(one["spec"]["selector"], labels)]
        # The controller's pods are of several builds, and it looks after them itself.
        assert len(budgets) == (component not in ("migrate", "worker"))
        policies = [one for one in of_kind(manifests, "NetworkPolicy") if matches(one["spec"]["podSelector"], labels)]
        assert [one for one in policies if set(one["spec"]["policyTypes"]) == {"Ingress", "Egress"}], component
    for service in of_kind(manifests, "Service"):
        assert [one for one in templates if service["spec"]["selector"].items() <= one.items()], service["metadata"]


def test_only_what_asks_providers_may_reach_them() -> None:
    manifests = rendered(CHART / "ci" / "split-values.yaml")
    (providers,) = [one for one in of_kind(manifests, "NetworkPolicy") if one["metadata"]["name"].endswith("providers")]
    reach = {
        labels["app.kubernetes.io/component"]
        for _, template in pod_templates(manifests)
        if matches(providers["spec"]["podSelector"], labels := template["metadata"]["labels"])
    }
    assert reach == {"api", "worker-order-activities", "worker-shipping-activities"}


def test_a_bridge_is_known_by_its_pod_s_name() -> None:
    (bridge,) = of_kind(rendered(MINIMAL), "StatefulSet")
    (container,) = bridge["spec"]["template"]["spec"]["containers"]
    (instance,) = [one for one in container["env"] if one["name"] == "BRIDGE_INSTANCE_ID"]
    assert instance["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}


def test_secrets_are_files_and_stand_in_no_environment_and_so_are_certificates() -> None:
    for name, template in pod_templates(rendered(CHART / "ci" / "full-values.yaml")):
        environment = environment_of(template)
        assert not set(environment) & set(secret_names()), name
        assert environment["DB_PASSWORD_FILE"] == "/run/secrets/orders/DB_PASSWORD"  # noqa: S105 - a path
        (container,) = template["spec"]["containers"]
        mounted = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
        volumes = {one["name"]: one.get("secret", {}).get("secretName") for one in template["spec"]["volumes"]}
        kept_by = {
            setting: volumes[mounted[str(Path(environment[setting]).parent)]]
            for setting in ("KAFKA_SSL_CA_FILE", "DB_TLS_CA_FILE", "DB_PASSWORD_FILE")
        }
        assert kept_by == {
            "KAFKA_SSL_CA_FILE": "shop-kafka-cluster-ca-cert",
            "DB_TLS_CA_FILE": "orders",
            "DB_PASSWORD_FILE": "orders",
        }


def test_the_rules_are_those_of_deploy_prometheus() -> None:
    (made,) = of_kind(rendered(CHART / "ci" / "keda-values.yaml"), "PrometheusRule")
    groups = [
        group
        for name in reversed(RULES)
        for group in yaml.safe_load((CHART.parents[1] / "prometheus" / name).read_text())["groups"]
    ]
    assert made["spec"]["groups"] == groups


def test_bridges_are_scaled_by_metrics_that_there_are_and_workers_never_below_two() -> None:
    scaled = of_kind(rendered(CHART / "ci" / "keda-values.yaml"), "ScaledObject")
    triggers = {one["metadata"]["name"]: one["spec"]["triggers"][0] for one in scaled}
    query = triggers["shop-orders-bridge"]["metadata"]["query"]
    assert set(re.findall(r"orders_\w+", query)) <= {one.name for one in metrics_of("bridge")}
    assert {one["metadata"].get("taskQueue") for one in triggers.values()} == {None, *TaskQueue}
    for one in scaled:
        assert one["spec"]["minReplicaCount"] >= 2
    assert {one["spec"]["maxReplicaCount"] for one in scaled} == {12, 20, 10}


def test_the_worker_controller_s_build_is_the_image_s_tag_and_its_name_for_the_deployment_is_the_workers_own() -> None:
    manifests = rendered(CHART / "ci" / "worker-controller-values.yaml")
    (made,) = of_kind(manifests, "WorkerDeployment")
    environment = environment_of(made["spec"]["template"])
    assert made["spec"]["workerOptions"]["unsafeCustomBuildID"] == environment["WORKER_BUILD_ID"] == "2026.11.26-1"
    assert environment["WORKER_DEPLOYMENT_NAME"] == f"orders-test/{made['metadata']['name']}"
    assert "TEMPORAL_API_KEY_FILE" not in environment, "the controller hands the key over as TEMPORAL_API_KEY"
    assert not [one for one in of_kind(manifests, "Deployment") if "worker" in one["metadata"]["name"]]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("settings.KAFKA_BOOTSTRAP_SERVER=kafka:9092", "KAFKA_BOOTSTRAP_SERVER"),
        ("settings.DB_PASSWORD=secret", "DB_PASSWORD"),
        ("settings.DB_HOST=null", "settings.DB_HOST is not set"),
        ("secrets.settings[0]=DB_HOST", "secrets"),
        ("bridge.replica=3", "replica"),
        ("workers.order.only=workflow", "only"),
        ("workers.order.queue=orders", "queue"),
        ("workerDefaults.autoscaling.minReplicas=1", "minReplicas"),
        ("workerController.replicas=1", "replicas"),
        ("pods.terminationGracePeriodSeconds=20", "terminationGracePeriodSeconds"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("image.tag=latest", "tag"),
    ],
)
def test_a_wrong_value_is_refused_by_name(given: str, said: str) -> None:
    with pytest.raises(HelmError, match=re.escape(said)):
        rendered(MINIMAL, given)
