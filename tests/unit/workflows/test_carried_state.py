"""What a run hands to the run that continues it."""

import hashlib
from collections.abc import Callable

from schemas.inbound import InboundEvent
from workflows.life.state import CARRIED_BYTES_MAX, OrderRunInput, OrderRunState


def test_a_state_too_large_for_a_payload_is_carried_compressed_and_one_that_repeats_nothing_does_not_fit() -> None:
    def held(count: int, text: Callable[[int], str]) -> OrderRunState:
        events = [InboundEvent(event_id=f"e-{number}", body={"note": text(number)}) for number in range(count)]
        return OrderRunState(order_id="o-1", held=events)

    first = OrderRunInput(order_id="o-1")
    for state, is_packed in ((held(10, str), False), (held(2_000, lambda _: "the same " * 200), True)):
        request = OrderRunInput.model_validate_json(first.carrying(state).model_dump_json())
        assert isinstance(request.continued, str) is is_packed
        assert request.fits
        assert len(request.model_dump_json()) <= CARRIED_BYTES_MAX
        assert request.state() == state
    unlike = [hashlib.shake_256(str(number).encode()).hexdigest(1_000) for number in range(2_000)]
    assert not first.carrying(held(2_000, unlike.__getitem__)).fits
