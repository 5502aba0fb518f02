"""The keys that signatures are checked with, read again when their files change."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from orders.signatures.keys import PEM, KeysError, NamedKey, read_public_keys
from orders.small_files import Stamp, stamp_of

_LOOK_AGAIN_SECONDS: Final = 1.0
"""How long a key that was taken away may still count. An unknown key id has the files looked at each time."""

_log = structlog.get_logger("orders.signatures")


class RenewedKeys:
    """Finds the keys that signatures are checked with, and reads their files again when these change.

    If the new files cannot be used, as when one is half written, the former keys count until they can.

    Args:
        path: as `read_public_keys` has it.
        clock: seconds that never go back.

    Raises:
        KeysError: there are none at first.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._seen = self._refused = _seen_at(path)
        self._keys = read_public_keys(path)
        self._looked_at = clock()

    def find(self, key_id: str) -> NamedKey | None:
        """The key of an id; None where there is none."""
        if key_id not in self._keys or self._clock() - self._looked_at >= _LOOK_AGAIN_SECONDS:
            self._look()
        return self._keys.get(key_id)

    def _look(self) -> None:
        self._looked_at = self._clock()
        seen = _seen_at(self._path)
        if seen in (self._seen, self._refused):
            return
        try:
            self._keys = read_public_keys(self._path)
            self._seen = self._refused = seen
            _log.info("signatures.keys.renewed", key_ids=sorted(self._keys))
        except KeysError as error:
            self._refused = seen
            action = "correct it; the former keys count until then"
            _log.error("signatures.keys.unusable", setting="ORDER_SIGNATURE_KEYS", detail=str(error), action=action)


def _seen_at(path: Path) -> tuple[tuple[str, Stamp | None], ...]:
    """The names and stamps of the key files: they differ once a file is written, added, replaced or taken away."""
    try:
        places = [path, *sorted(path.glob(f"*{PEM}"))] if path.is_dir() else [path]
    except OSError:
        return ()
    return tuple((one.name, stamp_of(one)) for one in places)
