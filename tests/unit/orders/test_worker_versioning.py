"""Workers have a name for their version always, and are kept apart by it only where it was set."""

from typing import Any

import pytest
from temporalio.common import VersioningBehavior

from orders.errors import WrongSettingsError
from orders.processes.versioning import deployment_config
from orders.settings import Settings, load_settings


def settings_of(**values: Any) -> Settings:
    return Settings(_env_file=None, **values)


def test_without_a_build_id_workers_have_no_version_that_temporal_routes_by() -> None:
    config = deployment_config(settings_of())
    assert not config.use_worker_versioning
    assert config.default_versioning_behavior is VersioningBehavior.UNSPECIFIED
    assert config.version.build_id, "named all the same, or the SDK hashes all code at each start"


def test_with_a_build_id_runs_are_pinned_to_it() -> None:
    config = deployment_config(settings_of(worker_build_id="2026.11.23-1", worker_deployment_name="shop"))
    assert config.use_worker_versioning
    assert config.default_versioning_behavior is VersioningBehavior.PINNED
    assert config.version.to_canonical_string() == "shop.2026.11.23-1"


@pytest.mark.parametrize(
    ("name", "value"),
    [("WORKER_BUILD_ID", "a build"), ("WORKER_BUILD_ID", ".1"), ("WORKER_DEPLOYMENT_NAME", "shop.orders")],
)
def test_a_name_that_temporal_does_not_take_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(WrongSettingsError, match=name):
        load_settings()
