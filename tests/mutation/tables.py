"""Which tests are to find the mistakes of which module, and which mistakes are none."""

from collections.abc import Mapping, Sequence
from typing import Final

_OF_RULES: Final = (
    "tests/unit/workflows/test_rules_to_the_last.py",
    "tests/unit/workflows/test_rules_table.py",
    "tests/unit/workflows/test_ledger.py",
)

TESTS: Final[Mapping[str, Sequence[str]]] = {
    "bridge.engine.offset_set": ("tests/unit/bridge/test_offset_set.py",),
    "bridge.engine.settled_beyond": ("tests/unit/bridge/test_settled_beyond.py",),
    "bridge.engine.offsets": (
        "tests/unit/bridge/test_offsets.py",
        "tests/unit/bridge/test_inherited.py",
        "tests/unit/bridge/test_offsets_machine.py",
    ),
    "bridge.decisions": ("tests/unit/bridge/test_decisions.py",),
    "activities.errors": ("tests/unit/activities/test_errors.py",),
    "activities.giving_up": ("tests/unit/activities/test_giving_up.py",),
    "workflows.life.rules": _OF_RULES,
    "workflows.life.ledger": (
        "tests/unit/workflows/test_ledger_to_the_last.py",
        "tests/unit/workflows/test_ledger.py",
        "tests/unit/workflows/test_rules_table.py",
    ),
    "workflows.life.steps": ("tests/unit/workflows/test_transitions.py", *_OF_RULES),
}
"""The quickest first: the first one that fails is the end."""

EQUIVALENT: Final[Mapping[tuple[str, str, str], str]] = {
    (
        "bridge.engine.offset_set",
        "if chunk[middle] - first == middle - begin:",
        "'chunk[middle] - first': Add",
    ): "as the next one",
    (
        "bridge.engine.settled_beyond",
        'fits, pairs_min, pairs_max = "", 1, len(lengths) // 2 - 1',
        "'len(lengths) // 2': Mult",
    ): "more pairs than there are give the whole text, which is known not to fit",
    (
        "bridge.engine.settled_beyond",
        'fits, pairs_min, pairs_max = "", 1, len(lengths) // 2 - 1',
        "'len(lengths) // 2 - 1': Add",
    ): "the same",
    (
        "bridge.engine.settled_beyond",
        "return at > 0 and at % 2 == 0",
        "'0': another constant",
    ): "no even number is 1",
    (
        "bridge.engine.settled_beyond",
        "for at in range(0, len(self.bounds) - 1, 2):",
        "'1': another constant",
    ): "there is an odd number of bounds",
    (
        "bridge.engine.offsets",
        "if self._last_committable is None or self._last_committable[0] != made_of:",
        "'0': another constant",
    ): "the same answer, made anew each time: it only costs",
    (
        "bridge.engine.offsets",
        "if anchor is None or lowest < lowest_deferred:",
        "'lowest < lowest_deferred': LtE",
    ): "a record is held or deferred, never both",
    (
        "bridge.engine.offsets",
        "if self.anchor is None or self.anchor[0] != offset:",
        "'0': another constant",
    ): "the same anchor, made anew",
    (
        "bridge.engine.offsets",
        "lowest = next(iter(self.held), self.next_offset or 0)",
        "'0': another constant",
    ): "asked only once something was delivered, so that there is a next offset",
    (
        "bridge.engine.offsets",
        "end, unsettled = self.next_offset or 0, self._unsettled()",
        "'0': another constant",
    ): "the same",
    (
        "bridge.engine.offsets",
        "if self.inherited is not None and self.inherited.end > end:",
        "'self.inherited.end > end': GtE",
    ): "from its own end on, the previous owner's list tells of nothing",
    (
        "bridge.engine.offset_set",
        "begin = end = -1",
        "'1': another constant",
    ): "below every offset as well",
    (
        "bridge.engine.offset_set",
        "inside, step = begin, 1",
        "'1': another constant",
    ): "the steps in which a run's end is looked for; it is found by halves",
    (
        "bridge.engine.offset_set",
        "step *= 2",
        "'2': another constant",
    ): "the same",
    (
        "bridge.engine.offset_set",
        "outside = min(inside + step, count)",
        "'inside + step': Sub",
    ): "as the next one",
    (
        "bridge.engine.offset_set",
        "middle = (inside + outside) // 2",
        "'inside + outside': Sub",
    ): "as the next one",
    (
        "bridge.engine.offset_set",
        "while outside - inside > 1:",
        "'1': another constant",
    ): "a run may come in two pieces, and whoever puts the chunks' runs together puts those together as well",
}
"""Mistakes that change nothing anybody could see, by module, line and what is said of them; and why."""
