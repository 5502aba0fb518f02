"""Late records that were answered before are asked for in bulk, and whoever is asked holds nobody up."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from bridge import settled_before
from bridge.calls import Call
from bridge.settled_before import LookUps
from tests.helpers.system.waiting import patient_timeout


@dataclass
class Source:
    """Knows some workflow ids; can be made to hang, or to fail."""

    known: set[str] = field(default_factory=set)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    failure: Exception | None = None
    asked: list[list[str]] = field(default_factory=list)
    drops_answers: bool = False

    async def settled(self, calls: Sequence[Call]) -> Sequence[bool]:
        self.asked.append([call.workflow_id for call in calls])
        await self.opened.wait()
        if self.failure is not None:
            raise self.failure
        answers = [call.workflow_id in self.known for call in calls]
        return answers[1:] if self.drops_answers else answers


@pytest.fixture
def source() -> Source:
    source = Source({"late:1", "late:3"})
    source.opened.set()
    return source


def late(number: int) -> Call:
    return Call("Late", f"late:{number}", "any")


async def test_calls_that_come_up_during_a_question_are_asked_together_by_the_next(source: Source) -> None:
    source.opened.clear()
    look_ups = LookUps(source)
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(look_ups.was_settled(late(number))) for number in range(100)]
        await asyncio.sleep(0)
        source.opened.set()
    assert [task.result() for task in asking] == [number in (1, 3) for number in range(100)]
    assert sorted(map(len, source.asked)) == [1, 99] or source.asked == [[f"late:{n}" for n in range(100)]]


async def test_a_caller_that_is_cancelled_in_the_middle_of_a_question_takes_no_other_along(source: Source) -> None:
    source.opened.clear()
    look_ups = LookUps(source)
    first = asyncio.create_task(look_ups.was_settled(late(1)))
    await asyncio.sleep(0)
    others = [asyncio.create_task(look_ups.was_settled(late(number))) for number in (2, 3)]
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    source.opened.set()
    assert [await other for other in others] == [False, True]


async def test_while_the_source_fails_nothing_is_known_and_it_is_said_once(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.failure = OSError("away")
    look_ups = LookUps(source)
    with capture_logs() as logs:
        assert [await look_ups.was_settled(late(1)) for _ in range(50)] == [False] * 50
        assert len(source.asked) == 1, "it is left alone for a while"
        monkeypatch.setattr(settled_before, "_SILENT_FOR", settled_before._SILENT_FOR * 0)
        look_ups._silent_until = 0.0
        assert not await look_ups.was_settled(late(1))
        source.failure = None
        assert await look_ups.was_settled(late(1))
    told = [entry["event"] for entry in logs]
    assert told == ["bridge.settled_before.unknown", "bridge.settled_before.known_again"]


async def test_a_source_that_hangs_holds_up_no_call_for_longer_than_the_bound(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settled_before, "_TIMEOUT", settled_before._TIMEOUT * 0.01)
    source.opened.clear()
    look_ups = LookUps(source)
    async with patient_timeout(5):
        answers = await asyncio.gather(*(look_ups.was_settled(late(number)) for number in range(100)))
    assert answers == [False] * 100
    assert len(source.asked) == 1, "whoever waited for the question's end does not ask again"


async def test_answers_that_are_not_one_for_each_call_say_nothing(source: Source) -> None:
    source.drops_answers = True
    with capture_logs() as logs:
        assert not await LookUps(source).was_settled(late(1))
    assert [entry["error"] for entry in logs] == ["ValueError"]
