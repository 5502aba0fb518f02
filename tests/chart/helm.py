"""The chart as Helm renders it."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from tests.chart.built import KUBERNETES, Program, built
from tests.deploy.values import CHART

RELEASE: Final = "shop"
NAMESPACE: Final = "orders-test"
EXAMPLES: Final = sorted((CHART / "ci").glob("*-values.yaml"))
MINIMAL: Final = CHART / "ci" / "minimal-values.yaml"
_SECONDS: Final = 120

Manifest = dict[str, Any]


class HelmError(Exception):
    """Helm refused; with what it said."""


def helm(*arguments: str | Path, environment: Mapping[str, str] | None = None, seconds: float = _SECONDS) -> str:
    """Runs Helm, and gives what it printed.

    Raises:
        HelmError: it left with another status than 0.
    """
    ran = subprocess.run(
        [built(Program.HELM), *arguments],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env=None if environment is None else dict(environment),
    )
    if ran.returncode != 0:
        raise HelmError(ran.stderr)
    return ran.stdout


def rendered(values: Path, *sets: str) -> list[Manifest]:
    """The manifests of the chart with these values, hooks among them."""
    given = [part for one in sets for part in ("--set", one)]
    text = helm(
        "template", RELEASE, CHART, "--namespace", NAMESPACE, "--kube-version", KUBERNETES, "--values", values, *given
    )
    return [one for one in yaml.safe_load_all(text) if one]


def pod_templates(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """The template of each kind of pod, with the name of what makes such pods."""
    for manifest in manifests:
        template = manifest.get("spec", {}).get("template", {})
        if "containers" in template.get("spec", {}):
            yield f"{manifest['kind']}/{manifest['metadata']['name']}", template


def environment_of(template: Manifest) -> dict[str, str]:
    """The variables of a pod's only container; those that the cluster fills in have its word for it."""
    (container,) = template["spec"]["containers"]
    names = [one["name"] for one in container["env"]]
    assert len(set(names)) == len(names), "one variable is there twice"
    return {one["name"]: one.get("value", "from-the-cluster") for one in container["env"]}
