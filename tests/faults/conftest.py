"""Servers that may be killed: for the tests of this folder that do so, never the session's."""

from collections.abc import Iterator

import pytest

import stack
from stack.endpoints import REQUIRED_VARIABLES
from tests.helpers.servers.guarded_stack import guarded_stack


@pytest.fixture(scope="package")
def own_servers_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack.RunningStack]:
    """Kafka, Temporal and PostgreSQL as processes, whatever servers are named; their data outlive a kill."""
    with pytest.MonkeyPatch.context() as patch:
        for name in REQUIRED_VARIABLES:
            patch.delenv(name, raising=False)
        patch.setenv("STACK_SOURCE", "native")
        servers = guarded_stack(tmp_path_factory.mktemp("mortal"), durable=True, progress=lambda _: None)
        with servers as running:
            patch.undo()
            yield running
