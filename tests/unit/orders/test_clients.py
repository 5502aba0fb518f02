"""One process's clients: each opened at its first use and once, closed at the end, and tried again after a failure."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from activities.ports import DatabaseUnavailableError
from orders.clients.database import postgres_problem
from orders.clients.kafka import kafka_unreachable
from orders.clients.opened import open_clients
from orders.clients.temporal import temporal_unreachable
from orders.errors import UnreachableError
from orders.settings import Settings, load_settings

SETTINGS = Settings(_env_file=None)


class Server:
    """Counts how often a client of it is opened and closed; the first `failures` attempts to open one fail."""

    def __init__(self, failures: int = 0) -> None:
        self.opened = 0
        self.closed = 0
        self._failures = failures

    @asynccontextmanager
    async def client(self, settings: Settings) -> AsyncIterator[object]:
        assert settings is SETTINGS
        await asyncio.sleep(0)
        self.opened += 1
        if self.opened <= self._failures:
            raise UnreachableError("not yet")
        try:
            yield self
        finally:
            self.closed += 1


async def test_no_client_is_opened_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    monkeypatch.setattr("orders.clients.kafka.kafka_producer", server.client)
    async with open_clients(SETTINGS):
        pass
    assert server.opened == 0


async def test_those_who_use_a_client_at_the_same_time_share_one_which_is_closed_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server()
    monkeypatch.setattr("orders.clients.kafka.kafka_admin", server.client)
    async with open_clients(SETTINGS) as clients:
        used = await asyncio.gather(*(clients.kafka_admin() for _ in range(5)))
        used.append(await clients.kafka_admin())
        assert {id(one) for one in used} == {id(server)}
        assert (server.opened, server.closed) == (1, 0)
    assert (server.opened, server.closed) == (1, 1)


async def test_a_client_that_could_not_be_opened_is_tried_again_by_whoever_asks_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server(failures=1)
    monkeypatch.setattr("orders.clients.kafka.kafka_producer", server.client)
    async with open_clients(SETTINGS) as clients:
        with pytest.raises(UnreachableError):
            await clients.kafka_producer()
        assert await clients.kafka_producer() is not None
    assert (server.opened, server.closed) == (2, 1)


async def test_a_database_that_does_not_answer_is_said_with_its_address() -> None:
    async with open_clients(SETTINGS) as clients:
        with pytest.raises(UnreachableError, match=r"Postgres does not answer at 127\.0\.0\.1:5432"):
            async with clients.order_reader():
                raise DatabaseUnavailableError("connection refused")


def postgres_is_silent(settings: Settings) -> str:
    return postgres_problem(settings, DatabaseUnavailableError("refused"))


@pytest.fixture
def nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("variable", "sentence", "server"),
    [
        ("DB_HOST", temporal_unreachable, "Temporal does not answer at 127.0.0.1:7233, its usual address"),
        ("TEMPORAL_HOST", kafka_unreachable, "Kafka does not answer at 127.0.0.1:9092, its usual address"),
        (
            "KAFKA_BOOTSTRAP_SERVERS",
            postgres_is_silent,
            "Postgres does not answer at 127.0.0.1:5432, its usual address",
        ),
    ],
)
@pytest.mark.usefixtures("nothing_is_set")
def test_a_variable_that_leads_away_from_the_local_servers_is_named(
    variable: str, sentence: Callable[[Settings], str], server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "elsewhere:1" if variable != "DB_HOST" else "elsewhere")
    assert server in sentence(load_settings())
    assert f"because {variable} (in the environment) is set" in sentence(load_settings())


@pytest.mark.usefixtures("nothing_is_set")
def test_a_variable_of_the_settings_file_is_named_with_where_it_is() -> None:
    Path(".env").write_text("DB_HOST=elsewhere\n")
    assert "because DB_HOST (in .env) is set" in temporal_unreachable(load_settings())


@pytest.mark.usefixtures("nothing_is_set")
def test_a_variable_that_leads_to_where_nobody_answers_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_HOST", "elsewhere")
    sentence = postgres_is_silent(load_settings())
    assert sentence.startswith("Postgres does not answer at elsewhere:5432. It was asked there because DB_HOST (in the")
    assert "Take away what is set, or start it there" in sentence


@pytest.mark.usefixtures("nothing_is_set")
def test_a_server_is_to_be_started_or_named_otherwise_where_all_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "TEMPORAL_HOST", "DB_HOST"):
        monkeypatch.setenv(name, "elsewhere:1" if name != "DB_HOST" else "elsewhere")
    expected = "Temporal does not answer at elsewhere:1: start it (`orders up` starts everything), or set TEMPORAL_HOST"
    assert temporal_unreachable(load_settings()) == expected
