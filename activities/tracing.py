"""The trace that an activity belongs to, as far as activities know of traces: a port."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Final, Protocol


class Trace(Protocol):
    """The trace of the activity that runs."""

    def of_event(self, cause: str | None) -> str:
        """The trace that a published event belongs to: that of the inbound event that caused it, else this one.

        Args:
            cause: id of the inbound event; None where the event has none.

        Returns:
            It as a ``traceparent`` of W3C Trace Context.
        """
        ...

    def requesting(self, method: str, server: str) -> AbstractContextManager[str]:
        """A part of the trace for as long as a request over HTTP takes.

        Args:
            method: of the request.
            server: who is asked, in a word of ours.

        Returns:
            What to send as the request's ``traceparent``.
        """
        ...

    def sending(self, topic: str, traceparent: str | None) -> AbstractContextManager[None]:
        """A part of an event's own trace for as long as it takes until Kafka has it.

        Args:
            topic: where it goes.
            traceparent: as it was stored with the event; None where it has no trace.
        """
        ...


_current: Final[ContextVar[Trace | None]] = ContextVar("trace", default=None)


def current_trace() -> Trace | None:
    """The trace of the activity that runs; None where it is not traced."""
    return _current.get()


@contextmanager
def traced_by(trace: Trace) -> Iterator[None]:
    """Makes it the trace of the activity that runs within the block."""
    token = _current.set(trace)
    try:
        yield
    finally:
        _current.reset(token)


def requesting(method: str, server: str) -> AbstractContextManager[str | None]:
    """As `Trace.requesting`; what to send is None where the activity is not traced."""
    trace = _current.get()
    return nullcontext() if trace is None else trace.requesting(method, server)


def sending(topic: str, traceparent: str | None) -> AbstractContextManager[None]:
    """As `Trace.sending`, and nothing where the activity is not traced."""
    trace = _current.get()
    return nullcontext() if trace is None else trace.sending(topic, traceparent)
