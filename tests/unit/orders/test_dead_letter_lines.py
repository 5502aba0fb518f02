"""Dead letters as lines of a terminal."""

from dataclasses import replace

from rich.text import Text

from bridge import Record, Refusal, Stage
from bridge.dead_letters.headers import make_dead_letter
from bridge.dead_letters.letter import Letter
from orders.cli.rendering.dead_letters import letter_lines, summary_lines
from orders.operations.dead_letters.finding import Shown, Summary

SHORT = Summary("2:3", 1_769_860_800_000, "order.created:0:7", "i-1", "json", "json_invalid", "[m]", b"o-1", False, 0)
LONG = replace(
    SHORT, at="11:12345", origin="order.address_updated:2:1234", error_code="field_misnamed", key=None, replay_count=2
)


def test_columns_stand_below_their_names() -> None:
    """Whatever is longest in each; a key that looks like a colour's markup is only text."""
    marked = replace(SHORT, key=b"[red]k", is_pointer=True)
    head, *lines = (Text.from_markup(line).plain for line in summary_lines([SHORT, LONG, marked], titled=True))
    for name, *cells in (
        ("came from", "order.created:0:7", "order.address_updated:2:1234", "order.created:0:7"),
        ("reason", "json_invalid", "field_misnamed", "json_invalid"),
        ("key", "o-1", "(none)", "[red]k"),
        ("what to do", "[m]", "[m]  after 2 replays", "[m]  (pointer)"),
    ):
        at = head.index(name)
        assert [line[at - 2 : at + len(cell)] for line, cell in zip(lines, cells, strict=True)] == [
            f"  {cell}" for cell in cells
        ]


def test_a_tag_that_one_text_begins_is_ended_by_no_other() -> None:
    (line,) = summary_lines([replace(SHORT, key=b"[/", message="k]")])
    assert Text.from_markup(line).plain.endswith("  [/  k]")


def test_nothing_has_no_title() -> None:
    assert list(summary_lines([], titled=True)) == []


def test_a_dead_letter_that_was_replayed_says_how_often_and_of_what() -> None:
    refusal = Refusal(Stage.JSON, "json_truncated", "look for what cut it off")
    headers = (("dlq_replay_of", b"order.created:0:7:9f86d081884c7d65"), ("dlq_replay_count", b"2"))
    made = make_dead_letter(Record("order.created", 0, 9, 1, b"o-1", b"{", headers), refusal)
    letter = Letter.from_record(Record("order.dead_letters", 0, 3, 1, made.key, made.value, made.headers))
    lines = dict(letter_lines(Shown(letter, letter.record), value_bytes_max=None))
    assert lines["replays before"] == "2, of order.created:0:7:9f86d081884c7d65"
