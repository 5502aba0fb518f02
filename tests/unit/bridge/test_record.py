"""What names a record's event where its sender gave it no id."""

from dataclasses import replace

from bridge import Record

RECORD = Record("refilled", 0, 7, 1_700_000_000_000, b"d-1", b'{"device_id": "d-1"}')


def test_a_record_of_another_cluster_or_of_a_topic_made_anew_has_another_identity_at_the_same_place() -> None:
    others = (
        replace(RECORD, timestamp_ms=RECORD.timestamp_ms + 1),
        replace(RECORD, value=b'{"device_id": "d-1" }'),
        replace(RECORD, key=None),
        replace(RECORD, key=b"", value=b"d-1" + (RECORD.value or b"")),
        replace(RECORD, offset=8),
        replace(RECORD, partition=1),
    )
    assert {other.coordinates for other in others[:4]} == {RECORD.coordinates}
    assert len({RECORD.identity, *(other.identity for other in others)}) == 1 + len(others)


def test_a_record_that_is_read_again_has_the_same_identity() -> None:
    assert replace(RECORD).identity == RECORD.identity
    assert replace(RECORD, headers=(("dlq_replay_count", b"1"),)).identity == RECORD.identity


def test_an_identity_never_changes() -> None:
    """It is in the database, for as long as a workflow may be told something twice."""
    assert RECORD.identity == "refilled:0:7:0c733f3b75ab841a"
