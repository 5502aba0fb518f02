"""What the bridge keeps of a record that it refuses, until that is set aside: the reason, and nothing beside it."""

import gc
import json
from types import ModuleType
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.calls import Call
from bridge.engine.translation import translate
from bridge.mapping import Mapping
from bridge.record import Record
from bridge.refusal import Refusal, RefusalCode, Stage
from tests.helpers.devices import DeviceMapping, device_value

SECRET = "zq7-secret"  # noqa: S105 -- a mark to look for, not a password
BAD_VALUES = {
    "json": b'{"device_id": "d-1", "note": "' + SECRET.encode(),
    "schema": json.dumps({"device_id": f"/{SECRET}", "litres": [{}] * 100}).encode(),
    "key": device_value("d-1"),
    "binary": b"{\xff" + SECRET.encode(),
}
OBJECTS_MAX = 100


def refusal_of(record: Record, mapping: Mapping | None = None) -> Refusal:
    refusal = translate(record, mapping or DeviceMapping())
    assert isinstance(refusal, Refusal)
    return refusal


def all_it_holds(refusal: Refusal) -> list[object]:
    """What is in memory because of it, up to `OBJECTS_MAX`; classes and modules are there anyway."""
    held: dict[int, object] = {}
    waiting: list[object] = [refusal]
    while waiting and len(held) < OBJECTS_MAX:
        one = waiting.pop()
        if id(one) not in held and not isinstance(one, (type, ModuleType)):
            held[id(one)] = one
            waiting.extend(gc.get_referents(one))
    return list(held.values())


@pytest.mark.parametrize("value", BAD_VALUES.values(), ids=BAD_VALUES)
def test_a_refusal_keeps_nothing_of_its_record(value: bytes) -> None:
    """I11: what is held is counted by the record's bytes, and the document alone is many times that."""
    held = all_it_holds(refusal_of(Record("refilled", 0, 0, 0, b"another", value)))
    assert len(held) < OBJECTS_MAX
    small = (Refusal, str, dict, tuple, int, type(None))
    assert {type(one).__name__ for one in held if not isinstance(one, small)} == set()
    assert sum(len(one) for one in held if isinstance(one, str)) < 1_000
    assert SECRET not in repr(held)


class Failing:
    """A mapping with a mistake in it."""

    topics = ("refilled",)

    def translate(self, _record: Record) -> Call:
        return self.fail()

    def fail(self) -> Call:
        raise LookupError(SECRET)


def test_where_a_mapping_failed_is_logged_without_the_record() -> None:
    """I10, I16: whatever happens in a mapping, the process goes on."""
    with capture_logs() as logs:
        refusal = refusal_of(Record("refilled", 1, 2, 0, None, SECRET.encode()), Failing())
    assert (refusal.stage, refusal.code) == (Stage.SCHEMA, RefusalCode.DECODER_FAILED)
    assert "LookupError" in refusal.message
    (line,) = logs
    assert (line["event"], line["log_level"], line["error"]) == ("bridge.decoder.failed", "error", "LookupError")
    assert (line["topic"], line["partition"], line["offset"]) == ("refilled", 1, 2)
    assert line["trace"][-1].endswith(" fail")
    assert SECRET not in repr(logs) + repr(refusal)


class Forgetful:
    """A mapping that forgets to return its call."""

    topics = ("refilled",)

    def translate(self, _record: Record) -> Any:
        return None


def test_a_mapping_that_gives_no_call_is_a_mistake_as_well() -> None:
    assert refusal_of(Record("refilled", 0, 0, 0, None, b"{}"), Forgetful()).code == RefusalCode.DECODER_FAILED


def test_a_record_that_came_with_a_defect_is_refused_for_it_unseen() -> None:
    defect = Refusal(Stage.BYTES, RefusalCode.BATCH_UNREADABLE, "one batch")
    assert refusal_of(Record("refilled", 0, 0, 0, None, None, defect=defect), Failing()) is defect
