"""One target with bytes that are drawn at random, where there is no atheris. Run by `tests.fuzz`."""

import random
import sys
import time
from pathlib import Path

from tests.fuzz.targets import TARGETS


def main() -> None:
    """Runs the target of the first argument for as long as the options say."""
    target, *rest = sys.argv[1:]
    options = dict(one.lstrip("-").split("=", 1) for one in rest if one.startswith("-"))
    folders = [Path(one) for one in rest if not one.startswith("-")]
    known = [path.read_bytes() for folder in folders for path in sorted(folder.glob("*"))]
    drawn = random.Random(0)  # noqa: S311 -- no secret
    until, count, longest = time.monotonic() + float(options["max_total_time"]), 0, 0.0
    while time.monotonic() < until:
        data = changed(drawn.choice(known), drawn)
        begun = time.perf_counter()
        try:
            TARGETS[target](data)
        except Exception:
            (folders[-1] / "crash-found").write_bytes(data)
            raise
        longest, count = max(longest, time.perf_counter() - begun), count + 1
    sys.stderr.write(f"{target}: {count} inputs, the longest took {1_000 * longest:.1f} ms\n")


def changed(data: bytes, drawn: random.Random) -> bytes:
    """Some bytes of it changed, doubled, taken away or moved."""
    made = bytearray(data)
    for _ in range(drawn.randint(1, 8)):
        at, end = sorted((drawn.randint(0, len(made)), drawn.randint(0, len(made))))
        kind = drawn.randrange(4)
        if kind == 0:
            made[at:at] = drawn.randbytes(drawn.randint(1, 4))
        elif kind == 1:
            del made[at : min(end, at + 16)]
        elif kind == 2:
            made[at:at] = made[at : min(end, at + 64)]
        elif made:
            made[min(at, len(made) - 1)] = drawn.randrange(256)
    return bytes(made[:8_192])


if __name__ == "__main__":
    main()
