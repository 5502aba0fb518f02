"""Plays the scenarios: sends each message when its time has come, and waits for what it leads to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from temporalio.client import Client
from temporalio.service import RPCError

from orders.clients.kafka import kafka_unreachable
from orders.clients.opened import Clients
from orders.clients.topic_stream import ReadRecord
from orders.errors import OrdersError, UnreachableError
from orders.local.console_producer import ConsoleProducer, message_line
from orders.local.demo.facts import Verdict, expected_facts, observed_facts
from orders.local.demo.scenarios import HELD, Scenario, Step
from orders.local.demo.watch import Watch
from orders.operations.explain.temporal_side import look_in_temporal
from orders.operations.messages import encode_message
from orders.settings import Settings
from schemas.states import FINAL_STATES
from workflows.names import order_workflow_id

_HELD_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Show:
    """What a person is shown while the scenarios play."""

    sent: Callable[[Step, str], None]
    """A step was sent, for an order."""
    event: Callable[[str, dict[str, Any]], None]
    """An event came: its type and body."""
    dead_letter: Callable[[ReadRecord], None]


@dataclass(frozen=True, slots=True)
class _Stage:
    settings: Settings
    console: ConsoleProducer
    producer: AIOKafkaProducer
    client: Client
    watch: Watch
    show: Show


async def play(
    clients: Clients,
    console: ConsoleProducer,
    show: Show,
    scenarios: tuple[Scenario, ...],
    *,
    run: str,
    within_seconds: float,
) -> list[Verdict]:
    """Plays the scenarios side by side, and judges each.

    Args:
        clients: lead to the servers.
        console: Kafka's own console producer, for the step that it sends.
        show: what a person is shown.
        scenarios: what is played.
        run: tells this run's orders from others'.
        within_seconds: how long all of it may take; what has not happened by then counts as not happening.

    Raises:
        ExceptionGroup: of `OrdersError`: a message could not be sent, or a server does not answer at the beginning.
    """
    order_ids = {scenario.name: scenario.order_id(run) for scenario in scenarios}
    bad_values = [step.raw for scenario in scenarios for step in scenario.steps if step.raw is not None]
    watch = Watch(order_ids.values(), bad_values, show.event, show.dead_letter)
    async with _watching(watch, clients):
        producer, client = await clients.kafka_producer(), await clients.temporal()
        stage = _Stage(clients.settings, console, producer, client, watch, show)
        async with asyncio.TaskGroup() as tasks:
            for scenario in scenarios:
                order_id = order_ids[scenario.name]
                tasks.create_task(_play_one(scenario, order_id, stage, within_seconds), name=scenario.name)
        judging = (_judged(scenario, order_ids[scenario.name], stage, clients) for scenario in scenarios)
        return await asyncio.gather(*judging)


async def _judged(scenario: Scenario, order_id: str, stage: _Stage, clients: Clients) -> Verdict:
    """What was expected beside what happened, and what the order waits for where that differs."""
    expected = expected_facts(scenario)
    async with clients.order_reader() as reader:
        happened = await observed_facts(scenario, order_id, stage.watch, stage.client, reader)
    if happened == expected or scenario.dead_letter is not None:
        return Verdict(scenario, order_id, expected, happened)
    return Verdict(scenario, order_id, expected, happened, await _waits_for(order_id, clients))


async def _waits_for(order_id: str, clients: Clients) -> tuple[str, ...]:
    """Why an order goes no further, as far as Temporal knows."""
    try:
        runs = (await look_in_temporal(clients, order_id)).open_runs
    except OrdersError as error:
        return (str(error),)
    held_up = [run.held_up_by for run in runs if run.held_up_by is not None]
    return (*(sentence for run in runs for sentence in run.failed_activities), *held_up)


@asynccontextmanager
async def _watching(watch: Watch, clients: Clients) -> AsyncIterator[None]:
    """Reads the two outbound topics meanwhile; begins once nothing that comes can be missed."""
    events_ready, dead_letters_ready = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        following = [
            tasks.create_task(watch.follow_events(clients, events_ready), name="events"),
            tasks.create_task(watch.follow_dead_letters(clients, dead_letters_ready), name="dead letters"),
        ]
        await events_ready.wait()
        await dead_letters_ready.wait()
        yield
        for task in following:
            task.cancel()


async def _play_one(scenario: Scenario, order_id: str, stage: _Stage, within_seconds: float) -> None:
    """Sends the steps and waits for the last thing expected; gives up in silence, as the verdict will say it."""
    try:
        async with asyncio.timeout(within_seconds):
            for step in scenario.steps:
                if not await _gate(step, order_id, stage):
                    return
                await _send(step, order_id, stage)
            await stage.watch.wait_until(lambda: _is_over(scenario, order_id, stage.watch))
    except TimeoutError:
        return


def _is_over(scenario: Scenario, order_id: str, watch: Watch) -> bool:
    if scenario.dead_letter is not None:
        return watch.dead_letter_of(scenario.steps[0].raw or b"") is not None
    tokens = watch.tokens_of(order_id)
    return len(tokens) >= len(scenario.events) or _ended_otherwise(scenario, tokens)


def _ended_otherwise(scenario: Scenario, tokens: list[str]) -> bool:
    """Whether the order's life has ended in a way that was not expected: nothing else will come."""
    return any(token in FINAL_STATES and token not in scenario.events for token in tokens)


async def _gate(step: Step, order_id: str, stage: _Stage) -> bool:
    """Waits until the step's time has come; False where it never will, as the order is over."""
    token, watch = step.after, stage.watch
    if token == HELD:
        while not await _is_held(order_id, stage.client):  # noqa: ASYNC110 - Temporal is asked, and tells nobody
            await asyncio.sleep(_HELD_POLL_SECONDS)
    elif token is not None:
        await watch.wait_until(lambda: token in watch.tokens_of(order_id) or _is_final(watch.tokens_of(order_id)))
        return token in watch.tokens_of(order_id)
    return True


def _is_final(tokens: list[str]) -> bool:
    return any(token in FINAL_STATES for token in tokens)


async def _is_held(order_id: str, client: Client) -> bool:
    try:
        await client.get_workflow_handle(order_workflow_id(order_id)).describe()
    except RPCError:
        return False
    return True


async def _send(step: Step, order_id: str, stage: _Stage) -> None:
    fields = {"order_id": order_id, **step.fields}
    for _ in range(step.times):
        if step.by_console:
            await _send_by_console(step, fields, stage)
        else:
            await _send_by_client(step, fields, stage)
        stage.show.sent(step, order_id)


async def _send_by_client(step: Step, fields: dict[str, Any], stage: _Stage) -> None:
    message = encode_message(
        step.event_type, fields, encoding=step.encoding, event_id=str(uuid4()), time=datetime.now(UTC)
    )
    value = message.value if step.raw is None else step.raw
    topic = stage.settings.inbound_topics[step.event_type]
    key = str(fields["order_id"]).encode()
    try:
        await stage.producer.send_and_wait(topic, value, key=key, headers=list(message.headers))
    except KafkaError as error:
        raise UnreachableError(f"{kafka_unreachable(stage.settings)} ({type(error).__name__})") from error


async def _send_by_console(step: Step, fields: dict[str, Any], stage: _Stage) -> None:
    """Types the message into Kafka's console producer, as a person would."""
    process = await asyncio.create_subprocess_exec(
        *stage.console.arguments(step.event_type, keyed=True),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate(f"{message_line(fields, keyed=True)}\n".encode())
    except BaseException:
        if process.returncode is None:
            process.kill()
        raise
    if process.returncode != 0:
        text = output.decode(errors="replace").strip().splitlines()
        raise OrdersError(f"Kafka's console producer failed: {text[-1] if text else 'without a word'}")
