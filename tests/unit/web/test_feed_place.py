"""How far the feed is: no event is passed over, and none comes twice, in whatever order transactions end."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from activities.adapters.postgres.event_log import LoggedEvent
from orders.web.feed_place import FeedPlace


@dataclass
class Log:
    """The table and the transactions that write it, as Postgres shows them."""

    visible: set[int] = field(default_factory=set)
    open: dict[str, list[int]] = field(default_factory=dict)
    committed: set[int] = field(default_factory=set)
    drawn: int = 0
    begun: int = 0

    def do(self, what: str, which: int, count: int) -> None:
        """One thing that happens: a transaction begins and draws, draws more, ends, or is prepared."""
        if what == "begin" or not self.open:
            self.begun += 1
            self.open[f"3/{self.begun}"] = self.draw(count)
            return
        name = sorted(self.open)[which % len(self.open)]
        if what == "draw":
            self.open[name] += self.draw(count)
        elif what == "prepare":
            self.open[f"-1/{self.begun}{name.replace('/', '')}"] = self.open.pop(name)
        else:
            positions = self.open.pop(name)
            if what == "commit":
                self.visible.update(positions)

    def draw(self, count: int) -> list[int]:
        self.drawn += count
        return list(range(self.drawn - count + 1, self.drawn + 1))

    def after(self, position: int, until: int | None, limit: int) -> list[LoggedEvent]:
        found = sorted(one for one in self.visible if one > position and (until is None or one <= until))
        return [LoggedEvent(one, "o", one, "t", "{}") for one in found[:limit]]

    def drawers(self) -> frozenset[str]:
        return frozenset(self.open)


PAGE = 3
Happening = tuple[str, int, int]
happenings = st.lists(
    st.tuples(
        st.sampled_from(["begin", "draw", "commit", "commit", "roll back", "prepare"]),
        st.integers(0, 5),
        st.integers(1, 4),
    ),
    max_size=4,
)


@dataclass
class Follower:
    """Looks at the log as the feed does, with things happening between any two statements."""

    log: Log
    place: FeedPlace
    of_all: list[int] = field(default_factory=list)
    of_orders: set[int] = field(default_factory=set)

    def look(self, happens: Callable[[], None]) -> None:
        found = self.log.after(self.place.seen, None, PAGE)
        self.of_all += [one.position for one in self.place.see(found)]
        self.of_orders |= {one.position for one in found}
        happens()
        if not self.place.is_behind:
            return
        until = self.place.filled_until(self.log.drawers(), 0.0)
        happens()
        if until is None:
            return
        due = self.log.after(self.place.complete_until, until, PAGE)
        self.place.pass_hole(due, is_all=len(due) < PAGE)
        self.of_all += [one.position for one in due]
        self.of_orders |= {one.position for one in due}


@given(st.lists(happenings, min_size=1, max_size=40), happenings)
def test_whoever_follows_all_has_each_event_once_and_in_order_and_none_is_passed_over(
    turns: list[list[Happening]], before: list[Happening]
) -> None:
    log = Log()
    for one in before:
        log.do(*one)
    last = max(log.visible, default=0)
    follower = Follower(log, FeedPlace(last, log.drawers(), 0.0))
    began_whole_at = last if follower.place.is_whole else None
    waiting = iter(turns)

    def happens() -> None:
        for one in next(waiting, ()):
            log.do(*one)

    for turn in range(2 * len(turns) + len(log.open) + 20):
        if turn >= len(turns):
            for name in list(log.open):
                log.visible.update(log.open.pop(name))
        follower.look(happens)
        if began_whole_at is None and follower.place.is_whole:
            began_whole_at = follower.place.complete_until
    while follower.place.is_behind or log.after(follower.place.seen, None, 1):
        follower.look(lambda: None)

    assert follower.of_all == sorted(set(follower.of_all)), "in order, each once"
    assert began_whole_at is not None
    assert {one for one in follower.of_all if one > began_whole_at} == {
        one for one in log.visible if one > began_whole_at
    }
    assert follower.of_orders >= {one for one in log.visible if one > max(last, began_whole_at)}


def test_a_hole_that_nobody_can_fill_is_passed_at_once() -> None:
    log = Log(visible={1, 2, 5, 6}, drawn=6)
    follower = Follower(log, FeedPlace(0, frozenset(), 0.0))
    for _ in range(3):
        follower.look(lambda: None)
    assert follower.of_all == [1, 2, 5, 6]


def test_what_is_behind_a_hole_waits_for_as_long_as_its_transaction_is_open_and_orders_do_not() -> None:
    log = Log(visible={1, 3}, open={"3/1": [2]}, drawn=3)
    follower = Follower(log, FeedPlace(0, frozenset(), 0.0))
    for _ in range(100):
        follower.look(lambda: None)
    assert (follower.of_all, follower.of_orders) == ([1], {1, 3})
    log.do("begin", 0, 2)
    log.do("prepare", 0, 1)
    for _ in range(100):
        follower.look(lambda: None)
    assert follower.of_all == [1], "prepared, the transaction has another name"
    log.visible.add(2)
    log.open.clear()
    for _ in range(3):
        follower.look(lambda: None)
    assert follower.of_all == [1, 2, 3]
