"""Which servers do what is asked of them, as a process's watch knows it after each look."""

import asyncio
import time

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from bridge import DependencyState
from orders.clients.mistakes import Diagnosis, Mistake, Server, diagnosis
from orders.errors import UnreachableError, WrongSettingsError
from orders.processes import server_watch
from orders.processes.server_watch import Look, ServerWatch

REFUSED = diagnosis(Server.KAFKA, Mistake.CREDENTIALS_REFUSED, address="k:1", user="'u'", provider="")


class Asked:
    """A server that answers as it is told to."""

    def __init__(self) -> None:
        self.answer: Diagnosis | Exception | None = None

    async def __call__(self) -> Diagnosis | None:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Watched:
    """A watch over one server, and what a scrape of it says."""

    def __init__(self) -> None:
        self.kafka = Asked()
        self.watch = ServerWatch(kafka=self.kafka)
        self.registry = CollectorRegistry()
        self.registry.register(self.watch)

    async def look(self, answer: Diagnosis | Exception | None) -> None:
        self.kafka.answer = answer
        await self.watch.look(Server.KAFKA)

    @property
    def up(self) -> float | None:
        return self.registry.get_sample_value("orders_dependency_up", {"dependency": "kafka"})

    @property
    def since(self) -> float | None:
        return self.registry.get_sample_value("orders_dependency_lost_timestamp_seconds", {"dependency": "kafka"})


@pytest.fixture
def watched() -> Watched:
    return Watched()


async def test_a_server_that_was_not_looked_at_has_no_figures(watched: Watched) -> None:
    assert (watched.up, watched.since, watched.watch.states) == (None, None, ())


async def test_a_server_that_answers_is_there(watched: Watched) -> None:
    await watched.look(None)
    assert (watched.up, watched.since) == (1, None)


@pytest.mark.parametrize(
    "answer",
    [
        UnreachableError("it does not answer"),
        TimeoutError(),
        REFUSED,
        WrongSettingsError("the certificate cannot be read"),
        ValueError("rubbish"),
    ],
    ids=["away", "silent", "refuses", "no certificate", "speaks something else"],
)
async def test_one_that_does_not_do_what_is_asked_of_it_is_away_since_the_first_look_that_found_so(
    watched: Watched, answer: Diagnosis | Exception
) -> None:
    await watched.look(None)
    before = time.time()
    await watched.look(answer)
    after, since = time.time(), watched.since
    assert watched.up == 0
    assert since is not None
    assert before <= since <= after
    await watched.look(UnreachableError("still"))
    assert watched.since == since, "it is one outage"
    await watched.look(None)
    assert watched.up == 1
    assert watched.watch.states == (DependencyState("kafka", None),)


async def test_what_somebody_else_met_counts_until_a_look_is_answered(watched: Watched) -> None:
    watched.watch.lost(Server.KAFKA)
    since = watched.since
    assert watched.up == 0
    watched.watch.lost(Server.KAFKA)
    assert watched.since == since
    await watched.look(None)
    assert watched.up == 1


async def test_only_what_refuses_us_is_an_alarm_in_the_log_and_once(watched: Watched) -> None:
    with capture_logs() as lines:
        await watched.look(UnreachableError("away"))
        assert (lines, watched.watch.troubles) == ([], ())
        await watched.look(REFUSED)
        await watched.look(REFUSED)
        assert watched.watch.trouble(Server.KAFKA) == REFUSED.sentence
        await watched.look(None)
        assert watched.watch.troubles == ()
    assert [line["event"] for line in lines] == ["server.refuses_us", "server.lets_us_in"]


async def test_a_look_that_fails_otherwise_is_said_once_and_looking_goes_on(watched: Watched) -> None:
    with capture_logs() as lines:
        for _ in range(2):
            await watched.look(ValueError("rubbish"))
        await watched.look(KeyError("another"))
        await watched.look(None)
        await watched.look(ValueError("again"))
    assert [line["error"] for line in lines] == ["ValueError", "KeyError", "ValueError"]
    assert {line["event"] for line in lines} == {"server.look.failed"}


async def test_why_a_look_fails_is_said_also_of_a_server_that_is_known_to_be_away(watched: Watched) -> None:
    watched.watch.lost(Server.KAFKA)
    with capture_logs() as lines:
        await watched.look(UnreachableError("away"))
        await watched.look(ValueError("rubbish"))
    assert [(line["event"], line["error"]) for line in lines] == [("server.look.failed", "ValueError")]


def test_a_scrape_goes_on_while_a_server_is_noted_for_the_first_time(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever makes the page does so in another thread: here the note comes in the middle of it."""
    watched.watch.lost(Server.KAFKA)

    def noting(name: str, lost_at: float | None) -> DependencyState:
        watched.watch.lost(Server.POSTGRES)
        return DependencyState(name, lost_at)

    monkeypatch.setattr(server_watch, "DependencyState", noting)
    assert [state.name for state in watched.watch.states] == ["kafka"]
    assert [state.name for state in watched.watch.states] == ["kafka", "postgres"]


async def test_none_waits_for_what_another_answers_and_one_more_is_looked_at_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_watch, "WATCH_SECONDS", 0.01)
    looks: asyncio.Queue[Server] = asyncio.Queue()

    async def never() -> None:
        await asyncio.Event().wait()

    def answers(server: Server) -> Look:
        async def answer() -> None:
            looks.put_nowait(server)

        return answer

    watch = ServerWatch(temporal=never, kafka=answers(Server.KAFKA))
    async with watch.watching():
        assert [await looks.get() for _ in range(3)] == [Server.KAFKA] * 3
        watch.also(Server.POSTGRES, answers(Server.POSTGRES))
        while await looks.get() is not Server.POSTGRES:
            pass
        assert watch.states == (DependencyState("kafka", None), DependencyState("postgres", None))
