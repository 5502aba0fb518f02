"""An engine, the image built on it, and real servers. All is made for these tests, and removed after them."""

import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import docker
import pytest

import stack
from stack.endpoints import REQUIRED_VARIABLES
from tests.helpers.servers.guarded_stack import guarded_stack
from tests.image.engine import Engine, engine_for_tests
from tests.image.stand_in import ROOT, base_name

BUILD_SECONDS = 900
RUN_SECONDS = 300


@dataclass(slots=True)
class Image:
    """The image, as just built, and the containers that were made of it."""

    name: str
    client: docker.DockerClient
    made: list[Any] = field(default_factory=list)

    def start(self, **options: Any) -> Any:
        """Starts a container of it; it is removed in the end."""
        container = self.client.containers.run(self.name, **{"detach": True, "network_mode": "host", **options})
        self.made.append(container)
        return container

    def run(self, **options: Any) -> tuple[int, str]:
        """Runs a container of it to its end, and gives its exit status and what it said."""
        container = self.start(**options)
        status = container.wait(timeout=RUN_SECONDS)["StatusCode"]
        return status, container.logs().decode(errors="replace")

    @property
    def description(self) -> dict[str, Any]:
        """What the engine says of it."""
        described: dict[str, Any] = self.client.images.get(self.name).attrs
        return described


@pytest.fixture(scope="session")
def engine(say: Callable[[str], None]) -> Iterator[Engine]:
    """The engine at hand, else one of our own."""
    with engine_for_tests(say) as found:
        yield found


@pytest.fixture(scope="session")
def image(engine: Engine, say: Callable[[str], None]) -> Iterator[Image]:
    """The image, built by the project's own script under a name of this run's."""
    name = f"temporal-order-orchestrator:try-{secrets.token_hex(4)}"
    say("building the image")
    of_stand_in = ["--network", "host", "--build-arg", f"BASE={base_name()}"]
    built = subprocess.run(
        # An engine of our own has no network but this machine's.
        [ROOT / "bin" / "image", *(of_stand_in if engine.has_stand_in else [])],
        env={**engine.environment, "IMAGE": name},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert built.returncode == 0, f"{built.stdout[-6000:]}\n{built.stderr[-6000:]}"
    with engine.client() as client:
        made = Image(name, client)
        try:
            yield made
        finally:
            for container in made.made:
                container.remove(force=True, v=True)
            client.images.remove(name, force=True)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory, say: Callable[[str], None]) -> Iterator[stack.RunningStack]:
    """Native servers that nobody else uses, with the topics and tables of their own that an installation has."""
    with ExitStack() as running, pytest.MonkeyPatch.context() as patch:
        for name in REQUIRED_VARIABLES:
            patch.delenv(name, raising=False)
        patch.setitem(os.environ, "STACK_SOURCE", "native")
        stack.prepare(progress=say)
        yield running.enter_context(guarded_stack(tmp_path_factory.mktemp("image"), durable=False, progress=say))
