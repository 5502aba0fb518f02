"""The clock that all orders of a timeline share: it stands still, but where it is told how much time passes.

It is the server's, and the server miscounts what locks it, in both directions (`time_skipping`). So it is read after
whatever was done, and what it must not have done makes what the orders did worthless.
"""

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from tests.workflow.workbench.gates import Gates
from tests.workflow.workbench.time_skipping import skip

_STILL_SECONDS: Final = 2
"""Soon: the gates know whether anything is under way, and a script of many spans would wait long."""
_COMPLAINT: Final = "Unbalanced lock and unlock calls"
"""In the server's log: the call in which it notices has no effect, and is answered as an unknown error."""
_PRECISION: Final = timedelta(minutes=1)
"""Far less than what lies between any two moments of a script."""


class BrokenClockError(Exception):
    """The server's clock has moved otherwise than it was told to; its orders tell nothing any more."""


@dataclass
class Clock:
    """Lets time pass, and holds the server to it."""

    env: WorkflowEnvironment
    log: Path
    """What the server has to say."""
    gates: Gates
    _read: datetime | None = field(default=None, init=False)
    """What the clock said last."""
    _read_at: float = field(default=0.0, init=False)

    async def skip(self, span: timedelta) -> None:
        """Lets that much time pass.

        Raises:
            BrokenClockError: Another time has passed.
        """
        try:
            await skip(self.env, span, done=self._done, still_seconds=_STILL_SECONDS)
        except RPCError as error:  # One lock too many was taken off.
            raise BrokenClockError from error
        await self.check(span)

    async def check(self, skipped: timedelta = timedelta()) -> None:
        """Holds the clock to what has passed since it was last read.

        Args:
            skipped: What was to pass beside real time.

        Raises:
            BrokenClockError: Another time has passed, or the server has refused a call since it cannot count its locks.
        """
        if _COMPLAINT in self.log.read_text():
            raise BrokenClockError(_COMPLAINT)
        before, before_at = self._read, self._read_at
        self._read, self._read_at = await self.env.get_current_time(), time.monotonic()
        if before is None:
            return
        moved = self._read - before - skipped
        if not -_PRECISION < moved < timedelta(seconds=self._read_at - before_at) + _PRECISION:
            raise BrokenClockError(f"the clock has moved {moved} more than the {skipped} that it was told")

    def _done(self) -> object:
        return self.gates.begun if self.gates.under_way == 0 else object()
