"""What the bridge keeps of a record that it cannot read, until that is set aside: the reason, and nothing beside it."""

import gc
import json
from types import ModuleType
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.config import BridgeConfig
from bridge.record import Record
from bridge.refusal import DecodeError, DecodeErrorCode
from bridge.service import Bridge

SECRET = "zq7-secret"  # noqa: S105 -- a mark to look for, not a password
BAD_VALUES = {
    "json": b'{"order_id": "o-1", "note": "' + SECRET.encode(),
    "schema": json.dumps({"order_id": f"/{SECRET}", "items": [{}] * 100}).encode(),
    "time": json.dumps({"order_id": "o-1", "payment_id": "p-1", "occurred_at": "2026-02-30T00:00:00Z"}).encode(),
    "key": json.dumps({"order_id": "o-1", "payment_id": "p-1"}).encode(),
    "binary": b"{\xff" + SECRET.encode(),
}


def held_error(record: Record) -> DecodeError:
    bridge = Bridge(BridgeConfig("nowhere:9"), client=None, dispatcher=Untouched())  # type: ignore[arg-type]
    error = bridge._decode(record)
    assert isinstance(error, DecodeError)
    return error


class Untouched:
    """Takes a dispatcher's place where nothing is dispatched."""

    async def dispatch(self, call: Any) -> Any:
        raise AssertionError(call)


OBJECTS_MAX = 100


def all_it_holds(error: DecodeError) -> list[object]:
    """What is in memory because of it, up to `OBJECTS_MAX`; classes and modules are there anyway."""
    held: dict[int, object] = {}
    waiting: list[object] = [error]
    while waiting and len(held) < OBJECTS_MAX:
        one = waiting.pop()
        if id(one) not in held and not isinstance(one, (type, ModuleType)):
            held[id(one)] = one
            waiting.extend(gc.get_referents(one))
    return list(held.values())


@pytest.mark.parametrize("value", BAD_VALUES.values(), ids=BAD_VALUES)
def test_an_error_that_is_held_keeps_nothing_of_its_record(value: bytes) -> None:
    """I11: what is held is counted by the record's bytes, and the document alone is many times that."""
    held = all_it_holds(held_error(Record("order.created", 0, 0, 0, b"another", value)))
    assert len(held) < OBJECTS_MAX
    small = (DecodeError, str, dict, tuple, int, type(None))
    assert {type(one).__name__ for one in held if not isinstance(one, small)} == set()
    assert sum(len(one) for one in held if isinstance(one, str)) < 1_000
    assert SECRET not in repr(held)


def test_where_the_decoder_failed_is_logged_without_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_value: Any, **_limits: Any) -> None:
        raise LookupError(SECRET)

    monkeypatch.setattr("bridge.reading.event.parse_object", fail)
    with capture_logs() as logs:
        error = held_error(Record("order.created", 1, 2, 0, None, SECRET.encode()))
    assert error.code is DecodeErrorCode.DECODER_FAILED
    assert (error.__traceback__, error.__context__, error.__cause__) == (None, None, None)
    (line,) = logs
    assert (line["event"], line["log_level"], line["error"]) == ("bridge.decoder.failed", "error", "LookupError")
    assert (line["topic"], line["partition"], line["offset"]) == ("order.created", 1, 2)
    assert "fail" in line["trace"][-1]
    assert "event.py" in line["trace"][0]
    assert SECRET not in repr(logs)
