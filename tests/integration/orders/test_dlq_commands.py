"""``orders dlq`` as an operator uses it, on real Kafka, with a real bridge that sets aside and takes back."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from subprocess import CompletedProcess
from typing import Any

import pytest_asyncio

from bridge import ReadLimits, Record, Refusal, Signer, SigningKey, Stage
from bridge.dead_letters.headers import make_dead_letter, signed
from bridge.dead_letters.replay_headers import REPLAY_COUNT_HEADER, REPLAY_OF_HEADER
from schemas.event_types import EventType
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import Outgoing, StoredRecord, delete_records, delete_topics, read_topic
from tests.helpers.system.bridge_room import create_topics
from tests.helpers.system.command_line import run_in_process
from tests.helpers.system.order_room import OrderRoom, open_order_room


@dataclass
class Desk:
    """A room, and the command line that looks at its topics."""

    room: OrderRoom
    letters_topic: str = ""
    """Another dead-letter topic than the room's."""
    more: dict[str, str] = field(default_factory=dict)
    """Settings of the commands beside the room's."""

    @property
    def settings(self) -> dict[str, str]:
        letters = {"KAFKA_TOPIC_DEAD_LETTERS": self.letters_topic} if self.letters_topic else {}
        return self.room.endpoints.as_environment() | self.room.topic_settings | letters | self.more

    async def dlq(self, *arguments: str, status: int = 0) -> CompletedProcess[str]:
        ended = await run_in_process(["dlq", *arguments], self.settings)
        assert ended.returncode == status, f"{arguments}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended

    async def dlq_json(self, *arguments: str, status: int = 0) -> list[Any]:
        ended = await self.dlq(*arguments, "--json", status=status)
        return [json.loads(line) for line in ended.stdout.splitlines()]

    async def listed(self, *filters: str) -> list[dict[str, Any]]:
        return await self.dlq_json("list", *filters)

    async def set_aside(self, *records: Outgoing, **options: Any) -> list[tuple[str, int, int]]:
        """Produces records and lets a bridge settle them."""
        coordinates = await self.room.produce(*records)
        await self.run_bridge(**options)
        return coordinates

    async def run_bridge(self, *, limits: ReadLimits | None = None, **changes: Any) -> None:
        letters_topic = self.letters_topic or self.room.config.dead_letter_topic
        mapping = None if limits is None else self.room.mapping_with(limits)
        async with self.room.bridge(mapping=mapping, **{"dead_letter_topic": letters_topic} | changes):
            await self.room.await_drained()

    async def source(self, event_type: EventType = EventType.ORDER_CREATED) -> list[StoredRecord]:
        return await read_topic(self.room.endpoints.kafka_bootstrap_servers, self.room.topic(event_type))


@pytest_asyncio.fixture
async def desk(endpoints: Endpoints) -> AsyncIterator[Desk]:
    async with open_order_room(endpoints) as room:
        yield Desk(room)


@asynccontextmanager
async def open_desk_of_small_letters(endpoints: Endpoints) -> AsyncIterator[Desk]:
    """A desk whose dead-letter topic takes no more than 4 KiB; its bridges are told of it by `run_bridge`."""
    async with open_order_room(endpoints) as room:
        servers = endpoints.kafka_bootstrap_servers
        await delete_topics(servers, [room.config.dead_letter_topic])
        small = f"{room.name}.small_letters"
        await create_topics(servers, [small], 1, {"max.message.bytes": "4096"})
        yield Desk(room, letters_topic=small)
        await delete_topics(servers, [small])


TINY = ReadLimits(value_max_bytes=1)
"""A bridge with this sets everything aside; corrected, the records are good."""


def order_id_of(record: StoredRecord) -> str:
    return str(json.loads(record.value or b"{}")["order_id"])


async def test_list_finds_by_reason_topic_order_and_time(desk: Desk) -> None:
    room = desk.room
    created = Outgoing(room.topic(), b'{"order_id": "o-1"', b"o-1")
    approved = Outgoing(room.topic(EventType.ORDER_APPROVED), b"[]", b"o-2")
    await desk.set_aside(created, approved)
    everything = await desk.listed()
    assert {one["error_code"] for one in everything} == {"json_truncated", "json_not_an_object"}
    for filters in (
        ("--reason", "json_truncated"),
        ("--topic", room.topic()),
        ("--order", "o-1"),
        ("--since", "1h", "--reason", "json_truncated"),
        ("--until", "2100-01-01T00:00:00Z", "--order", "o-1"),
    ):
        (found,) = await desk.listed(*filters)
        assert (found["error_code"], found["origin"].startswith(room.topic())) == ("json_truncated", True), filters
    for filters in (("--until", "1h"), ("--since", "2100-01-01T00:00:00Z"), ("--order", "o")):
        assert await desk.listed(*filters) == [], filters
    assert len(await desk.listed("--reason", "json_truncated", "--reason", "json_not_an_object")) == 2


async def test_a_list_has_a_head_and_says_that_a_reason_is_nowhere(desk: Desk) -> None:
    await desk.set_aside(Outgoing(desk.room.topic(), b"[", b"k"))
    head, *lines = (await desk.dlq("list")).stdout.splitlines()
    assert head.split()[:4] == ["place", "set", "aside", "at"]
    assert "json_truncated" in lines[0]
    assert (await desk.dlq("list", "--reason", "json_truncated")).stderr == ""
    ended = await desk.dlq("list", "--reason", "bogus")
    assert "no dead letter has the reason bogus; those that are there have: json_truncated 1" in ended.stderr
    assert "place" not in ended.stdout


async def test_a_list_that_is_cut_says_so_and_shows_the_newest(desk: Desk) -> None:
    await desk.set_aside(*[Outgoing(desk.room.topic(), b"[", f"k-{n}".encode(), partition=0) for n in range(5)])
    ended = await desk.dlq("list", "--limit", "2")
    assert "cut: 3 older ones match" in ended.stderr
    assert "5 of 5 read match: json_truncated 5" in ended.stdout
    assert len(await desk.listed("--limit", "2")) == 2


async def test_show_prints_all_and_obeys_nothing(desk: Desk) -> None:
    """A value is a stranger's text: neither the terminal nor rich's markup takes orders from it."""
    value = b'{"order_id": "\x1b[2J[red]x[/red]\x07", "note": "line\\n"'
    headers = (("trace", b"\x1b]0;evil\x07"), ("dlq_message", b"all is well"))
    ((topic, partition, offset),) = await desk.set_aside(Outgoing(desk.room.topic(), value, b"o-1", headers))
    (listed,) = await desk.listed()
    shown = (await desk.dlq("show", listed["at"])).stdout
    assert not {"\x1b", "\x07"} & set(shown)
    assert r'{"order_id": "\x1b[2J[red]x[/red]\x07", "note": "line\n"' in shown
    assert f"{topic}:{partition}:{offset}" in shown
    assert r"trace: \x1b]0;evil\x07" in shown
    assert "dlq_message: all is well" in shown
    assert "none was believed" in shown
    (as_json,) = await desk.dlq_json("show", listed["at"])
    assert as_json["value"] == {"text": value.decode()}
    assert as_json["renamed_headers"] == ["dlq_message"]


async def test_show_cuts_long_values_and_dumps_binary_ones(desk: Desk) -> None:
    await desk.set_aside(
        Outgoing(desk.room.topic(), b"[" + b"x" * 10_000, b"long"),
        Outgoing(desk.room.topic(), b"\xfe\x01\x02AB", b"binary"),
    )
    places = {one["key"]["text"]: one["at"] for one in await desk.listed()}
    cut = (await desk.dlq("show", places["long"])).stdout
    assert "the first 4096 of 10001 bytes" in cut
    assert cut.count("x") < 4_200
    assert (await desk.dlq("show", places["long"], "--full")).stdout.count("x") >= 10_000
    assert "00000000  fe 01 02 41 42" in (await desk.dlq("show", places["binary"])).stdout


async def test_a_place_with_nothing_in_it_is_said(desk: Desk) -> None:
    assert "there is no dead letter at 0:99" in (await desk.dlq("show", "0:99", status=1)).stderr
    assert "there is no dead letter at 77:0" in (await desk.dlq("show", "77:0", status=1)).stderr
    assert "is no PARTITION:OFFSET" in (await desk.dlq("show", "x", status=2)).stderr


def place_of(replayed: StoredRecord) -> str:
    """Where the record was that a replay repeats, without what tells it from others that had its place."""
    return (replayed.header(REPLAY_OF_HEADER) or "").rpartition(":")[0]


async def test_a_replay_is_the_same_bytes_and_the_same_event_however_often(desk: Desk) -> None:
    """I15, also for a record that names no event: its coordinates stay its identity."""
    room = desk.room
    record = room.created(room.id_of(), headers=(("trace", b"t-1"), ("dlq_forged", b"f")), partition=1)
    ((topic, partition, offset),) = await desk.set_aside(record, limits=TINY)
    (outcome,) = await desk.dlq_json("replay", "--all", "--dry-run")
    assert (outcome["selected"], outcome["replayed"], len(await desk.source())) == (1, 0, 1)
    for _ in range(2):
        (outcome,) = await desk.dlq_json("replay", "--all")
        assert outcome["replayed"] == 1
    first, *replayed = [one for one in await desk.source() if one.partition == partition]
    for one in replayed:
        assert (one.key, one.value, one.timestamp_ms) == (first.key, first.value, first.timestamp_ms)
        assert one.headers[:2] == record.headers
        assert place_of(one) == f"{topic}:{partition}:{offset}"
    await desk.run_bridge()
    signals = await room.signals(room.id_of())
    assert len({event.event_id for _, event in signals}) == 1
    assert [event.event_id.rpartition(":")[0] for _, event in signals] == [f"{topic}:{partition}:{offset}"] * 2
    assert len({event.occurred_at for _, event in signals}) == 1


async def test_a_replay_keeps_the_order_of_each_key_and_goes_back_to_its_partition(desk: Desk) -> None:
    room = desk.room
    records = [room.created(room.id_of(number % 3), partition=number % 3) for number in range(30)]
    records += [room.created(room.id_of("no-key"), key=None, partition=0) for _ in range(10)]
    await desk.set_aside(*records, limits=TINY)
    await desk.dlq_json("replay", "--all")
    stored = await desk.source()
    for partition in range(3):
        here = [one for one in stored if one.partition == partition]
        originals = [one.offset for one in here if one.header(REPLAY_OF_HEADER) is None]
        replays = [one for one in here if one.header(REPLAY_OF_HEADER) is not None]
        assert [int(place_of(one).rpartition(":")[2]) for one in replays] == originals


async def test_a_record_that_fails_again_and_again_is_refused_and_never_doubled(desk: Desk) -> None:
    await desk.set_aside(Outgoing(desk.room.topic(), b"{", b"o-1", partition=0))
    for count in range(1, 4):
        (outcome,) = await desk.dlq_json("replay", "--all")
        assert (outcome["replayed"], outcome["duplicates"]) == (1, count - 1)
        await desk.run_bridge()
    assert len(await desk.listed()) == 4
    (outcome,) = await desk.dlq_json("replay", "--all", status=1)
    assert (outcome["replayed"], outcome["not_replayed_count"]) == (0, 1)
    assert "was replayed 3 times already" in outcome["not_replayed"][0]["why"]
    (outcome,) = await desk.dlq_json("replay", "--all", "--force")
    assert outcome["replayed"] == 1
    assert [one.header(REPLAY_COUNT_HEADER) for one in await desk.source()] == [None, "1", "2", "3", "4"]


async def test_a_replay_needs_to_be_told_what(desk: Desk) -> None:
    assert "or --all" in (await desk.dlq("replay", status=2)).stderr
    assert "not both" in (await desk.dlq("replay", "0:1", "--order", "o", status=2)).stderr


async def test_a_record_too_large_to_be_copied_is_shown_and_replayed_from_where_it_is(endpoints: Endpoints) -> None:
    async with open_desk_of_small_letters(endpoints) as desk:
        large = b"{" + b" " * 8_000 + b"!"
        headers = (("trace", b"t"),)
        coordinates = await desk.set_aside(Outgoing(desk.room.topic(), large, b"o-1", headers, partition=0))
        (listed,) = await desk.listed()
        assert listed["pointer"]
        (shown,) = await desk.dlq_json("show", listed["at"], "--full")
        assert shown["value"] == {"text": large.decode()}
        await desk.dlq("replay", "--all")
        _, replayed = await desk.source()
        assert (replayed.value, replayed.key, replayed.headers[:1]) == (large, b"o-1", headers)
        assert place_of(replayed) == ":".join(map(str, coordinates[0]))


async def test_a_record_too_large_to_be_copied_is_refused_as_well_and_never_doubled(endpoints: Endpoints) -> None:
    """I15: its dead letters hold nothing of it but which record it repeats, and how often it was sent again."""
    async with open_desk_of_small_letters(endpoints) as desk:
        room = desk.room
        record = room.created(room.id_of(), headers=(("trace", b"t" * 8_000),), partition=0)
        ((topic, partition, offset),) = await desk.set_aside(record, limits=TINY)
        for count in range(1, 4):
            (outcome,) = await desk.dlq_json("replay", "--all")
            assert (outcome["replayed"], outcome["duplicates"]) == (1, count - 1)
            await desk.run_bridge(limits=TINY)
        assert [(one["pointer"], one["replay_count"]) for one in await desk.listed()] == [(True, n) for n in range(4)]
        (outcome,) = await desk.dlq_json("replay", "--all", status=1)
        assert (outcome["replayed"], outcome["not_replayed_count"]) == (0, 1)
        assert "was replayed 3 times already" in outcome["not_replayed"][0]["why"]
        (outcome,) = await desk.dlq_json("replay", "--all", "--force")
        assert outcome["replayed"] == 1
        stored = await desk.source()
        assert [one.header(REPLAY_COUNT_HEADER) for one in stored] == [None, "1", "2", "3", "4"]
        assert len({one.header(REPLAY_OF_HEADER) for one in stored[1:]}) == 1
        assert {place_of(one) for one in stored[1:]} == {f"{topic}:{partition}:{offset}"}
        await desk.run_bridge()
        named = [event.event_id.rpartition(":")[0] for _, event in await room.signals(room.id_of())]
        assert named == [f"{topic}:{partition}:{offset}"]


async def test_records_that_say_to_repeat_the_same_one_are_all_sent_as_they_were(desk: Desk) -> None:
    """Whoever copies a replay's headers, or names headers as ours, loses no record by it."""
    topic = desk.room.topic()
    copied = (("original_dlq_x", b"1"), (REPLAY_OF_HEADER, f"{topic}:0:0".encode()), (REPLAY_COUNT_HEADER, b"1"))
    orders = [b"o-1", b"o-2", b"o-1", b"o-1"]
    records = [Outgoing(topic, b"{%d" % n, key, copied, partition=0) for n, key in enumerate(orders)]
    await desk.set_aside(Outgoing(topic, b"[", b"o-1", partition=0), *records)
    (outcome,) = await desk.dlq_json("replay", "--all")
    assert (outcome["replayed"], outcome["duplicates"], outcome["not_replayed_count"]) == (5, 0, 0)
    stored = await desk.source()
    assert [(one.key, one.value) for one in stored[5:]] == [(one.key, one.value) for one in stored[:5]]
    assert all(one.headers[0] == ("original_dlq_x", b"1") for one in stored[6:])


async def test_purge_deletes_what_kafka_can_and_says_what_stays(desk: Desk) -> None:
    """One partition: 3 selected, another, 1 selected behind it."""
    codes = [b"{", b"{", b"{", b"[]", b"{"]
    await desk.set_aside(*[Outgoing(desk.room.topic(), value, b"one-key", partition=0) for value in codes])
    filters = ("--reason", "json_truncated")
    (plan,) = await desk.dlq_json("purge", *filters, "--dry-run", status=1)
    assert (plan["deleted"], plan["kept"], len(await desk.listed())) == (3, 1, 5)
    refused = await desk.dlq("purge", *filters, status=1)
    assert "for good?" in refused.stderr
    assert len(await desk.listed()) == 5, "nobody said yes"
    await desk.dlq("purge", *filters, "--yes", status=1)
    assert [one["error_code"] for one in await desk.listed()] == ["json_not_an_object", "json_truncated"]
    await desk.dlq("purge", "--until", "2100-01-01T00:00:00Z", "--yes")
    assert await desk.listed() == []
    assert "or --all" in (await desk.dlq("purge", "--yes", status=2)).stderr


async def test_what_others_put_on_the_topic_is_shown_and_never_sent_anywhere(desk: Desk) -> None:
    letters = desk.room.config.dead_letter_topic
    forged = (
        ("dlq_version", b"1"),
        ("dlq_source_topic", b"somewhere.else"),
        ("dlq_source_partition", b"0"),
        ("dlq_source_offset", b"0"),
    )
    await desk.room.produce(Outgoing(letters, b"hello", b"k", partition=0), Outgoing(letters, b"x", b"k", forged, 0))
    assert [one["error_code"] for one in await desk.listed()] == ["not_a_dead_letter"] * 2
    (outcome,) = await desk.dlq_json("replay", "--all", status=1)
    assert (outcome["replayed"], outcome["not_replayed_count"]) == (0, 2)


def of_a_bridge(record: Record, signer: Signer | None = None, *, topic: str) -> Outgoing:
    """A dead letter as a bridge writes it, whoever does."""
    made = make_dead_letter(record, Refusal(Stage.DISPATCH, "refused_by_temporal", "Temporal refused it; replay it"))
    made = made if signer is None else signed(made, signer)
    return Outgoing(topic, made.value, made.key, made.headers, 0)


async def test_a_forged_letter_approves_nothing_unless_somebody_trusts_it(desk: Desk) -> None:
    room = desk.room
    approved = room.topic(EventType.ORDER_APPROVED)
    forged = Record(approved, 0, 999_999, 1_795_626_910_221, b"victim-1", b'{"order_id": "victim-1"}')
    await room.produce(of_a_bridge(forged, topic=room.config.dead_letter_topic))
    (place,) = [one["at"] for one in await desk.listed()]
    for arguments in (("replay", "--all", "--dry-run"), ("replay", "--all"), ("replay", place)):
        (outcome,) = await desk.dlq_json(*arguments, status=1)
        assert (outcome["replayed"], outcome["not_replayed_count"]) == (0, 1)
        (why,) = [one["why"] for one in outcome["not_replayed"]]
        assert "cannot be proved" in why
        assert "--trust" in why
    assert await desk.source(EventType.ORDER_APPROVED) == []
    (outcome,) = await desk.dlq_json("replay", place, "--trust")
    assert outcome["replayed"] == 1
    assert len(await desk.source(EventType.ORDER_APPROVED)) == 1


async def test_a_letter_that_differs_from_its_record_is_sent_by_nobody_s_trust(desk: Desk) -> None:
    room = desk.room
    ((topic, partition, offset),) = await room.produce(Outgoing(room.topic(), b"[", b"o-1", (("trace", b"1"),)))
    (kept,) = await desk.source()
    forged = Record(
        topic, partition, offset, kept.timestamp_ms, b"o-1", b"[", (("ce_id", b"other"), ("ce_source", b"x"))
    )
    await room.produce(of_a_bridge(forged, topic=room.config.dead_letter_topic))
    (outcome,) = await desk.dlq_json("replay", "--all", "--trust", status=1)
    assert outcome["replayed"] == 0
    assert "is none that a bridge wrote" in outcome["not_replayed"][0]["why"]


async def test_what_a_bridge_signed_is_replayed_also_where_its_record_is_gone(desk: Desk) -> None:
    room, key = desk.room, base64.b64encode(b"k" * 32).decode()
    with_key = {"BRIDGE_DEAD_LETTER_KEYS": f"k:{key}"}
    signing = (SigningKey("k", b"k" * 32),)
    await desk.set_aside(Outgoing(room.topic(), b"[", b"o-1", partition=0), dead_letter_keys=signing)
    await delete_records(room.endpoints.kafka_bootstrap_servers, room.topic(), 0)
    assert await desk.source() == []
    (outcome,) = await desk.dlq_json("replay", "--all", status=1)
    assert "cannot be read any more, and it has no signature" in outcome["not_replayed"][0]["why"]
    desk.more = with_key
    (outcome,) = await desk.dlq_json("replay", "--all")
    assert outcome["replayed"] == 1
    (sent,) = await desk.source()
    assert str(sent.header("dlq_replay_signature")).startswith("k:")
    await desk.run_bridge(dead_letter_keys=signing)
    await delete_records(room.endpoints.kafka_bootstrap_servers, room.topic(), 0)
    (outcome,) = await desk.dlq_json("replay", "--all")
    assert (outcome["replayed"], outcome["duplicates"]) == (1, 1)
