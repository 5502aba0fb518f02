"""Starts the server on which hours pass in milliseconds while a result is awaited.

It is not the server of production, and differs where a run ends while a signal comes in (seen 2026-11-23):

- It fails the workflow task as "unhandled command", as it should, but tells the worker that all is well. The worker so
  keeps the ended run, hands it the signal, and is refused with "invalid command sequence: [CompleteWorkflowExecution,
  ScheduleActivityTask]". The next attempt, on what the history says, is right. The real server refuses at once.
- It may answer the signal itself with "not found: Completed workflow". The bridge repeats such a call.
- It may lose count of what locks its clock, after which no time passes any more, or more than was asked for.
- It refuses a workflow task that cancels an activity whose end has come in since the task began ("ACTIVITY_UNKNOWN for
  scheduledEventId", seen 2026-11-27), and never gives that task again: the run stands still for good. So no test lets
  an activity end while something else may cancel it (`Bench.comes_late`). The real server knows of such an end.

The first of these fills the log of the worker's core with warnings that mean nothing, so only its errors are logged.
What a worker says of a failed task comes from Python's side, and is.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Final, TypeVar
from weakref import WeakSet

from temporalio.api.testservice.v1 import SleepRequest, UnlockTimeSkippingRequest
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from bridge.decisions import Decision, classify_dispatch_error
from stack.java import write_script
from tests.helpers.system.waiting import Patience, answered
from workflows.converter import DATA_CONVERTER

START_PATIENCE: Final = timedelta(seconds=90)
"""A Java process is up within a second, but the SDK's 5 s are too few on a busy machine (seen at a load of 13)."""
_REPEATS_FOR_SECONDS: Final = 30
_SKIPPED: Final = timedelta(minutes=1)
_SKIPS_WITHIN: Final = timedelta(seconds=10)
"""Far less than the minute that it skips. On an idle machine it takes milliseconds; a busy one costs a server more."""
_SKIP_ENDS_WITHIN: Final = timedelta(minutes=5)
_LOOKS_EVERY_SECONDS: Final = 2
_STILL_SECONDS: Final = 10
_UNLOCKED: Final[WeakSet[WorkflowEnvironment]] = WeakSet()
"""Servers that a lock was taken off."""

Answer = TypeVar("Answer")


@cache
def _quiet_runtime() -> Runtime:
    return Runtime(
        telemetry=TelemetryConfig(logging=LoggingConfig(TelemetryFilter(core_level="ERROR", other_level="ERROR")))
    )


async def start(launcher: Path, *, log: Path | None = None) -> WorkflowEnvironment:
    """A server of its own, and a client of it.

    Args:
        launcher: What starts the server.
        log: Where the server is to write what it has to say; by default where we do.

    Raises:
        RuntimeError: it did not start within `START_PATIENCE`.
    """
    if log is not None:
        launcher = write_script(
            log.with_suffix(".sh"),
            ["sh", "-c", 'exec "$0" "$@" 2>"$LOG"', str(launcher)],
            environment={"LOG": str(log)},
        )
    return await WorkflowEnvironment.start_time_skipping(
        data_converter=DATA_CONVERTER,
        runtime=_quiet_runtime(),
        test_server_existing_path=str(launcher),
        test_server_startup_timeout=START_PATIENCE,
    )


@asynccontextmanager
async def sound_servers(launcher: Path) -> AsyncIterator[Callable[[], Awaitable[WorkflowEnvironment]]]:
    """Gives the same server time and again, until its clock does not skip any more: then another one.

    A server is another one as well after a lock was taken off its clock: whether it counts right since is unknown.

    Args:
        launcher: What starts a server.
    """
    async with AsyncExitStack() as started:
        server: WorkflowEnvironment | None = None

        async def sound_server() -> WorkflowEnvironment:
            nonlocal server
            if server is None or server in _UNLOCKED or not await _skips(server):
                server = await started.enter_async_context(await start(launcher))
            return server

        yield sound_server


async def skip(
    server: WorkflowEnvironment,
    span: timedelta,
    *,
    done: Callable[[], object] = lambda: None,
    still_seconds: float = _STILL_SECONDS,
) -> None:
    """Lets that much time pass.

    Args:
        server: Whose time.
        span: How much.
        done: As of `moved_on`.
        still_seconds: As of `moved_on`.

    Raises:
        RPCError: One lock too many was taken off, or this time did not pass within 5 min.
    """
    request = SleepRequest()
    request.duration.FromTimedelta(span)
    # Once: what the client repeats when the server takes its time would sleep as often.
    call = server.client.test_service.unlock_time_skipping_with_sleep(request, retry=False, timeout=_SKIP_ENDS_WITHIN)
    await moved_on(server, call, done=done, still_seconds=still_seconds)


async def moved_on(
    server: WorkflowEnvironment,
    awaited: Awaitable[Answer],
    *,
    done: Callable[[], object] = lambda: None,
    still_seconds: float = _STILL_SECONDS,
) -> Answer:
    """What comes of a call during which time is skipped.

    The server now and then forgets to take a lock off its clock (seen 2026-11-23, once in 40 orders): where
    nothing moves and time stands still all the same, this takes it off.

    Args:
        server: Whose time.
        awaited: The call.
        done: What its workers have done so far; something new at each call while one of them is at work.
        still_seconds: How long that and the clock stay the same before the lock is taken for forgotten.

    Raises:
        RPCError: One lock too many was taken off, or the call has failed.
    """
    answer = asyncio.ensure_future(awaited)
    seen: tuple[object, int] | None = None
    patience = Patience(still_seconds)
    try:
        while not (await asyncio.wait({answer}, timeout=_LOOKS_EVERY_SECONDS))[0]:
            now = (done(), await _minute(server))
            if now != seen:
                seen, patience = now, Patience(still_seconds)
            elif patience.is_over():
                _UNLOCKED.add(server)
                await server.client.test_service.unlock_time_skipping(UnlockTimeSkippingRequest())
                patience = Patience(still_seconds)
        return await answer
    finally:
        answer.cancel()


async def _minute(server: WorkflowEnvironment) -> int:
    return int((await server.get_current_time()).timestamp() // 60)


async def _skips(server: WorkflowEnvironment) -> bool:
    request = SleepRequest()
    request.duration.FromTimedelta(_SKIPPED)
    try:
        await server.client.test_service.unlock_time_skipping_with_sleep(request, retry=False, timeout=_SKIPS_WITHIN)
    except RPCError:
        return False
    return True


async def repeated(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer to a signal-with-start, repeated where the bridge would repeat it: at the moment of a run's end."""
    return await answered(call, _is_repeated, within_seconds=_REPEATS_FOR_SECONDS)


def _is_repeated(error: Exception) -> bool:
    return isinstance(error, RPCError) and classify_dispatch_error(error) is Decision.TRANSIENT
