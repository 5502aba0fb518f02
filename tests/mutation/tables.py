"""Which tests are to find the mistakes of which module, and which mistakes are none."""

from collections.abc import Mapping, Sequence
from typing import Final

TESTS: Final[Mapping[str, Sequence[str]]] = {
    "bridge.engine.offset_set": ("tests/unit/bridge/test_offset_set.py",),
    "bridge.engine.settled_beyond": ("tests/unit/bridge/test_settled_beyond.py",),
    "bridge.engine.offsets": (
        "tests/unit/bridge/test_offsets.py",
        "tests/unit/bridge/test_inherited.py",
        "tests/unit/bridge/test_offsets_machine.py",
    ),
    "bridge.decisions": ("tests/unit/bridge/test_decisions.py",),
    "workflows.life.rules": ("tests/unit/workflows/test_rules_table.py", "tests/unit/workflows/test_ledger.py"),
    "workflows.life.ledger": ("tests/unit/workflows/test_ledger.py",),
    "workflows.life.steps": ("tests/unit/workflows/test_rules_table.py", "tests/unit/workflows/test_ledger.py"),
}
"""The quickest first: the first one that fails is the end."""

EQUIVALENT: Final[Mapping[tuple[str, str], str]] = {}
"""Mistakes that change nothing anybody could see, by module and by what is said of them; and why."""
