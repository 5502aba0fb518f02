"""Which trace the work of a workflow's run belongs to. Pure, and the same at every replay.

A run may be reached by several traces: that of the record that began it, and one of each further signal. The work of a
run belongs to one of them: to that of its main signal (of an order, ``order_created``), and until that has come to that
of the record that began it. What an inbound event causes to be published belongs to that event's own trace.

The ids of a run's spans are made of the run's id and of what they follow: whoever replays the run names the same spans,
and a span that is told twice, as by a worker that died before its turn was acknowledged, is one.
"""

import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple

CAUSES_MAX: Final = 1_000
"""Most signals of which a run remembers the trace; of more, the first ones' events belong to the run's own."""

_FLAGS_AND_BEFORE: Final = 3
_SPAN_CHARS: Final = 16


class SpanPlace(NamedTuple):
    """A span that is to be told: what it follows, and its own id."""

    parent: str
    """``traceparent`` of what it follows."""
    own: str
    """Its own ``traceparent``."""

    @property
    def span_id(self) -> int:
        """Its id as a number."""
        return int(self.own.split("-")[2], 16)


def place_below(parent: str, *seed: str) -> SpanPlace:
    """The place of a span below another: its id is made of the seed and of what it follows."""
    version, trace_id, _, flags = parent.split("-")[: _FLAGS_AND_BEFORE + 1]
    digest = hashlib.blake2b("|".join((parent, *seed)).encode(), digest_size=_SPAN_CHARS // 2).hexdigest()
    return SpanPlace(parent, f"{version}-{trace_id}-{digest}-{flags}")


def trace_id_of(traceparent: str) -> str:
    """The trace's id."""
    return traceparent.split("-")[1]


class RunTrace:
    """The traces of one run.

    Args:
        run_id: of the run.
        begun_by: ``traceparent`` that the run was started with; None where it has none.
        main_signal: the signal whose trace the run's work belongs to; None where no signal is.
        carried: what the run before gave on (`carried`), where this one continues it.
    """

    def __init__(
        self, run_id: str, begun_by: str | None, main_signal: str | None, carried: Mapping[str, str] | None = None
    ) -> None:
        self._run_id = run_id
        self._main_signal = main_signal
        self.run = None if begun_by is None else place_below(begun_by, run_id, "run")
        """The run's own span; None where it was begun without a trace."""
        self._causes: dict[str, str] = dict(carried or {})
        self._main = self._causes.pop("", None)

    @property
    def current(self) -> str | None:
        """``traceparent`` of the run's work; None where it is not traced."""
        return self._main or (None if self.run is None else self.run.own)

    def took(self, signal: str, parent: str, event_id: str | None) -> SpanPlace:
        """Notes a signal, and returns the place of its span.

        Args:
            signal: its name.
            parent: the ``traceparent`` that it came with.
            event_id: of the inbound event that it brings; None where it brings none.
        """
        place = place_below(parent, self._run_id, signal)
        if event_id is not None and len(self._causes) < CAUSES_MAX:
            self._causes.setdefault(event_id, place.own)
        if signal == self._main_signal and self._main is None:
            own_trace = None if self.run is None else trace_id_of(self.run.own)
            # The same trace already: its work stays below the run's span.
            if trace_id_of(parent) != own_trace:
                self._main = place.own
        return place

    def of_causes(self, event_ids: frozenset[str]) -> dict[str, str]:
        """The traces of these inbound events, as far as they are others than the run's own."""
        own = None if self.current is None else trace_id_of(self.current)
        return {
            event_id: traceparent
            for event_id in sorted(event_ids)
            if (traceparent := self._causes.get(event_id)) is not None and trace_id_of(traceparent) != own
        }

    @property
    def carried(self) -> dict[str, str]:
        """What the run gives on to the one that continues it."""
        return dict(self._causes) if self._main is None else {**self._causes, "": self._main}
