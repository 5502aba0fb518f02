"""A machine so busy that a workflow's turn takes longer than the 2 s that the SDK allows."""

import asyncio
import threading
import time
import uuid
from datetime import timedelta
from typing import ClassVar

import pytest
from temporalio import workflow
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from orders.processes.workflow_threads import OneTurnAtATime, StillBusyError, never_interrupt_turns

HOLDERS = 40
HOLDS_SECONDS = 0.1


@workflow.defn(sandboxed=False)
class SlowAtFirst:
    """Its first turn takes 4 s, as each of many tasks holds the thread for a while; the next ones take no time."""

    turns: ClassVar[int] = 0

    @workflow.run
    async def run(self) -> int:
        SlowAtFirst.turns += 1
        is_slow = SlowAtFirst.turns == 1

        async def hold() -> None:
            until = time.monotonic() + HOLDS_SECONDS
            while is_slow and time.monotonic() < until:
                pass

        await asyncio.gather(*(hold() for _ in range(HOLDERS)), return_exceptions=True)
        return SlowAtFirst.turns


async def test_a_turn_that_takes_too_long_is_taken_again_and_the_worker_can_end(
    skipping_server: WorkflowEnvironment,
) -> None:
    queue = f"busy-{uuid.uuid4()}"
    client, SlowAtFirst.turns = skipping_server.client, 0
    with OneTurnAtATime(4) as threads:
        worker = Worker(client, task_queue=queue, workflows=[SlowAtFirst], workflow_task_executor=threads)
        async with asyncio.timeout(60), worker:
            turns = await client.execute_workflow(SlowAtFirst.run, id=queue, task_queue=queue)
    assert turns > 1


async def test_a_turn_that_takes_less_than_temporal_waits_for_is_not_taken_for_stuck(
    skipping_server: WorkflowEnvironment,
) -> None:
    """Of a run with some thousand events the first turn takes so long on a busy machine, and so would every other."""
    queue = f"patient-{uuid.uuid4()}"
    client, SlowAtFirst.turns = skipping_server.client, 0
    with OneTurnAtATime(4) as threads:
        worker = Worker(client, task_queue=queue, workflows=[SlowAtFirst], workflow_task_executor=threads)
        never_interrupt_turns(worker)
        async with asyncio.timeout(60), worker:
            turns = await client.execute_workflow(
                SlowAtFirst.run, id=queue, task_queue=queue, task_timeout=timedelta(minutes=1)
            )
    assert turns == 1


class Owner:
    """Takes turns that end when they are told to."""

    def __init__(self) -> None:
        self.may_end = threading.Event()

    def turn(self) -> bool:
        return self.may_end.wait(10)


def test_no_two_turns_of_one_owner_are_taken_at_once_and_those_of_others_are() -> None:
    one, other = Owner(), Owner()
    with OneTurnAtATime(4) as threads:
        first, second, third = threads.submit(one.turn), threads.submit(one.turn), threads.submit(other.turn)
        with pytest.raises(StillBusyError):
            second.result()
        other.may_end.set()
        assert third.result()
        assert not first.done()
        one.may_end.set()
        assert first.result()
        assert threads.submit(one.turn).result()
