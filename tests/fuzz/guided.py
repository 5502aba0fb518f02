"""One target under atheris, which changes its inputs towards code that none has reached. Run by `tests.fuzz`."""

import sys
from importlib import import_module
from typing import Any


def main() -> None:
    """Runs the target of the first argument with libFuzzer's options behind it, until they say that it is over."""
    atheris: Any = import_module("atheris")
    with atheris.instrument_imports(include=["bridge", "orders", "schemas"]):
        targets: Any = import_module("tests.fuzz.targets")
    target = sys.argv.pop(1)
    atheris.Setup(sys.argv, targets.TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
