"""The chart's documents say what its values and the code say; `make chart` renews them."""

import json
import tomllib
from pathlib import Path

import pytest
import yaml

from orders.settings.model import GROUPS
from tests.deploy.documents import README, SCHEMA, readme, schema_text
from tests.deploy.schema import OF_THE_CHART, secret_names, setting_names
from tests.deploy.values import CHART, RULES, values_of_chart

ROOT = Path(__file__).parents[3]


def test_the_readme_has_the_values_that_there_are() -> None:
    assert README.read_text() == readme(README.read_text()), "make chart"


def test_the_schema_has_the_values_and_the_settings_that_there_are() -> None:
    assert SCHEMA.read_text() == schema_text(), "make chart"


def test_every_setting_is_the_chart_s_own_or_may_be_given_or_is_secret() -> None:
    every = {name.upper() for group in GROUPS for name in group.model_fields}
    assert {*setting_names(), *secret_names(), *OF_THE_CHART, "FAILPOINTS"} == every
    assert "DB_PASSWORD" in secret_names()
    assert "KAFKA_SASL_USERNAME" in setting_names()


def test_every_value_that_is_a_group_or_named_by_what_it_does_is_read() -> None:
    names = {value.name for value in values_of_chart()}
    assert {"image.tag", "workers.order.queue", "bridge.resources.requests", "monitoring.rules.labels"} <= names


@pytest.mark.parametrize("name", RULES)
def test_the_chart_has_the_rules_of_prometheus_themselves_and_no_copy(name: str) -> None:
    linked = CHART / "files" / name
    assert linked.is_symlink()
    assert linked.resolve() == ROOT / "deploy" / "prometheus" / name


def test_the_chart_is_of_the_version_that_the_project_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == project["version"]


def test_values_with_which_the_chart_is_tried_are_values_that_there_are() -> None:
    known = json.loads(SCHEMA.read_text())["properties"]
    for path in (CHART / "ci").glob("*.yaml"):
        assert set(yaml.safe_load(path.read_text())) <= set(known), path.name
