"""The chart on a real API server of Kubernetes: every object is judged, installed, upgraded and taken away again."""

import asyncio
import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.chart.cluster import Cluster, Object, cluster, complete_job
from tests.chart.foreign_kinds import definitions
from tests.chart.helm import EXAMPLES, MINIMAL, NAMESPACE, RELEASE, helm, pod_templates, rendered
from tests.deploy.values import CHART
from tests.helpers.system.waiting import assert_eventually

# The first test builds Helm and the API server.
pytestmark = pytest.mark.timeout(3_000)

EXAMPLE = pytest.mark.parametrize("values", EXAMPLES, ids=lambda path: path.name.removesuffix("-values.yaml"))
PLURALS = {"NetworkPolicy": "networkpolicies", "Ingress": "ingresses"}
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def path_of(api_version: str, kind: str, namespace: str = NAMESPACE) -> str:
    root = "/api/v1" if api_version == "v1" else f"/apis/{api_version}"
    return f"{root}/namespaces/{namespace}/{PLURALS.get(kind, f'{kind.lower()}s')}"


def names_of(kubernetes: Cluster, api_version: str, kind: str) -> set[str]:
    found = kubernetes.ask("GET", path_of(api_version, kind), labelSelector=f"app.kubernetes.io/instance={RELEASE}")
    return {one["metadata"]["name"].removeprefix("shop-orders-") for one in found["items"]}


@pytest.fixture(scope="module")
async def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """A cluster with a namespace for the release, its Secret, and the kinds of other projects."""
    with cluster(tmp_path_factory.mktemp("kubernetes")) as running:
        for definition in definitions():
            running.ask("POST", DEFINITIONS, definition)
        running.ask("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        # What Kubernetes' controllers would make.
        running.ask("POST", path_of("v1", "ServiceAccount"), {"metadata": {"name": "default"}})
        running.ask(
            "POST", path_of("v1", "Secret"), {"metadata": {"name": "orders"}, "stringData": {"DB_PASSWORD": "x"}}
        )

        async def are_served() -> bool:
            try:
                for definition in definitions():
                    spec = definition["spec"]
                    version = f"{spec['group']}/{spec['versions'][0]['name']}"
                    running.ask("GET", path_of(version, spec["names"]["kind"]))
            except AssertionError:
                return False
            return True

        await assert_eventually(are_served, 60)
        yield running


@EXAMPLE
def test_the_server_takes_every_object_strictly_and_warns_of_none(kubernetes: Cluster, values: Path) -> None:
    kubernetes.warnings.clear()
    for manifest in rendered(values):
        kubernetes.ask("POST", path_of(manifest["apiVersion"], manifest["kind"]), manifest, dryRun="All")
    assert kubernetes.warnings == []


@EXAMPLE
def test_every_pod_is_admitted_where_only_restricted_ones_are(kubernetes: Cluster, values: Path) -> None:
    for name, template in pod_templates(rendered(values)):
        pod = {"metadata": {**template["metadata"], "name": "one"}, "spec": template["spec"]}
        kubernetes.ask("POST", path_of("v1", "Pod"), pod, dryRun="All")
        # One that could take more rights is refused, so the server does look.
        looser = copy.deepcopy(pod)
        del looser["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"]
        with pytest.raises(AssertionError, match="violates PodSecurity"):
            kubernetes.ask("POST", path_of("v1", "Pod"), looser, dryRun="All")
        assert template["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"], name


def test_a_field_that_there_is_not_is_refused(kubernetes: Cluster) -> None:
    scaled = next(one for one in rendered(CHART / "ci" / "keda-values.yaml") if one["kind"] == "ScaledObject")
    wrong: dict[str, Any] = copy.deepcopy(scaled)
    wrong["spec"]["minReplicas"] = 2
    with pytest.raises(AssertionError, match="unknown field"):
        kubernetes.ask("POST", path_of(wrong["apiVersion"], wrong["kind"]), wrong, dryRun="All")


async def test_it_is_installed_upgraded_through_every_example_and_taken_away(kubernetes: Cluster) -> None:
    await change(kubernetes, "install", MINIMAL)
    assert names_of(kubernetes, "apps/v1", "StatefulSet") == {"bridge"}
    assert names_of(kubernetes, "apps/v1", "Deployment") == {"api", "worker-order", "worker-shipping"}
    assert names_of(kubernetes, "policy/v1", "PodDisruptionBudget") == {
        "api",
        "bridge",
        "worker-order",
        "worker-shipping",
    }

    await change(kubernetes, "upgrade", MINIMAL, "bridge.replicas=5", "image.tag=0.2.0", "settings.LOG_LEVEL=debug")
    bridge = kubernetes.ask("GET", f"{path_of('apps/v1', 'StatefulSet')}/shop-orders-bridge")
    assert bridge["spec"]["replicas"] == 5
    assert bridge["spec"]["template"]["spec"]["containers"][0]["image"] == "temporal-order-orchestrator:0.2.0"

    await change(kubernetes, "upgrade", CHART / "ci" / "split-values.yaml")
    parts = {f"worker-{queue}-{part}" for queue in ("order", "shipping") for part in ("workflows", "activities")}
    assert names_of(kubernetes, "apps/v1", "Deployment") == {"api", *parts}

    await change(kubernetes, "upgrade", CHART / "ci" / "keda-values.yaml")
    assert names_of(kubernetes, "keda.sh/v1alpha1", "ScaledObject") == {"bridge", "worker-order", "worker-shipping"}
    assert names_of(kubernetes, "monitoring.coreos.com/v1", "PrometheusRule") == {"shop-orders"}

    await change(kubernetes, "upgrade", CHART / "ci" / "worker-controller-values.yaml")
    assert names_of(kubernetes, "temporal.io/v1alpha1", "WorkerDeployment") == {"worker"}
    assert names_of(kubernetes, "apps/v1", "Deployment") == {"api"}
    assert names_of(kubernetes, "keda.sh/v1alpha1", "ScaledObject") == set()

    await asyncio.to_thread(run, kubernetes, "uninstall", RELEASE)
    for api_version, kind in (("apps/v1", "StatefulSet"), ("apps/v1", "Deployment"), ("v1", "Service")):
        assert names_of(kubernetes, api_version, kind) == set()


def run(kubernetes: Cluster, *arguments: str | Path) -> str:
    return helm(*arguments, "--namespace", NAMESPACE, "--kubeconfig", kubernetes.kubeconfig)


async def change(kubernetes: Cluster, verb: str, values: Path, *sets: str) -> None:
    """Installs or upgrades: the migration has to end well before anything else is made or changed."""
    before = objects_of(kubernetes)
    given = [part for one in sets for part in ("--set", one)]
    helming = asyncio.create_task(
        asyncio.to_thread(run, kubernetes, verb, RELEASE, CHART, "--timeout", "90s", "--values", values, *given)
    )

    async def migration_runs() -> bool:
        assert not helming.done() or helming.result()
        return names_of(kubernetes, "batch/v1", "Job") == {"migrate"}

    await assert_eventually(migration_runs, 60)
    assert objects_of(kubernetes) == before
    complete_job(kubernetes, NAMESPACE, "shop-orders-migrate")
    assert "STATUS: deployed" in await helming


def objects_of(kubernetes: Cluster) -> dict[str, Object]:
    """What runs, as it is meant to."""
    return {
        f"{kind}/{one['metadata']['name']}": one["spec"]
        for kind in ("StatefulSet", "Deployment")
        for one in kubernetes.ask("GET", path_of("apps/v1", kind))["items"]
    }
