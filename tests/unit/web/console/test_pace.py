"""How fast records come and are handed over."""

from datetime import timedelta

from orders.operations.overview import PartitionOverview
from orders.web.console.views.pace import Pace, Paces
from orders.web.console.views.system import rate_words
from tests.helpers.console.made_up import NOW


def partition(end: int, unsettled: int) -> PartitionOverview:
    return PartitionOverview("order.created", 0, None, unsettled, 0, end, None, None)


def after(*seen: tuple[float, int, int]) -> Pace | None:
    paces = Paces()
    for seconds, end, unsettled in seen:
        paces.note(NOW + timedelta(seconds=seconds), [partition(end, unsettled), partition(0, 0)])
    return paces.pace


def test_one_look_tells_no_pace() -> None:
    assert after() is None
    assert after((0, 100, 3)) is None
    assert after((0, 100, 3), (2, 110, 3)) is None, "over so little it would be chance"


def test_the_pace_is_that_of_the_last_minute() -> None:
    assert after((0, 100, 50), (5, 110, 10)) == Pace(timedelta(seconds=5), came=10, settled=50)
    looks = [(5.0 * number, 100 * number, 0) for number in range(100)]
    assert after(*looks) == Pace(timedelta(seconds=60), came=1_200, settled=1_200)


def test_what_was_seen_long_ago_or_of_other_topics_says_nothing() -> None:
    assert after((0, 100, 0), (600, 1_000, 0)) is None
    assert after((0, 100, 0), (10, 3, 0)) is None, "the topics were made anew"


def test_the_pace_is_told_with_when_nothing_is_left() -> None:
    told = rate_words(Pace(timedelta(seconds=60), came=600, settled=1_200), unsettled=100)
    assert told == (
        "In the last 60 s 600 records came (10.0 a second), and 1,200 were handed over or set aside (20.0 a second). "
        "At this pace nothing is left in about 10 s."
    )
    assert "At this pace" not in rate_words(Pace(timedelta(seconds=60), came=600, settled=600), unsettled=100)
    quiet = rate_words(Pace(timedelta(seconds=60), came=0, settled=0), unsettled=0)
    assert quiet == "In the last 60 s no record came, and none was handed over."
