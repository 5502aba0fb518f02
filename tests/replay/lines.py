"""Which lines of the workflows run: what tells whether every branch has a recorded history."""

import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any


@contextmanager
def lines_run(modules: list[ModuleType]) -> Iterator[dict[ModuleType, set[int]]]:
    """Collects the numbers of the lines of these modules that run, in this thread and in those that it starts."""
    run: dict[ModuleType, set[int]] = defaultdict(set)
    by_file = {module.__file__: module for module in modules}

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        module = by_file.get(frame.f_code.co_filename)
        if module is None:
            return None
        if event in ("line", "call"):
            run[module].add(frame.f_lineno)
        return trace

    before = sys.gettrace()
    threading.settrace(trace)
    sys.settrace(trace)
    try:
        yield run
    finally:
        sys.settrace(before)
        threading.settrace(before)


def lines_in_functions(module: ModuleType) -> dict[int, str]:
    """The lines of a module's functions that can run: each function's name, and the text of the line."""
    assert module.__file__ is not None
    source = Path(module.__file__).read_text()
    text = source.splitlines()
    found: dict[int, str] = {}
    waiting = [compile(source, module.__file__, "exec")]
    while waiting:
        code = waiting.pop()
        waiting.extend(constant for constant in code.co_consts if isinstance(constant, CodeType))
        if code.co_flags & _OF_A_FUNCTION:
            lines = {line for *_, line in code.co_lines() if line is not None and line != code.co_firstlineno}
            found.update({line: f"{code.co_qualname}: {text[line - 1].strip()}" for line in lines})
    return found


_OF_A_FUNCTION = 0x1 | 0x2
"""`CO_OPTIMIZED` and `CO_NEWLOCALS`: a module's and a class's own code runs at the import, and is no branch."""
