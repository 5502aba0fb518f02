"""A gateway before a real Temporal that lets in who shows an API key that it knows, as Temporal's cloud does."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.helpers.node_packages import NODE
from tests.helpers.servers.secure.certificates import Certificates

_PROGRAM: Final = Path(__file__).with_suffix(".js")
_START_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class KeyDoor:
    """The gateway."""

    address: str
    """``host:port``, by TLS."""
    keys: Path
    """The file of the keys that it knows."""

    def let_in(self, *keys: str) -> None:
        """Knows these keys from the next call on, and no others."""
        draft = self.keys.with_suffix(".new")
        draft.write_text("".join(f"{key}\n" for key in keys))
        draft.replace(self.keys)


@asynccontextmanager
async def key_door(target: str, certificates: Certificates, folder: Path) -> AsyncIterator[KeyDoor]:
    """A gateway that is open while the block lasts, and knows no key at first.

    Args:
        target: ``host:port`` of the Temporal behind it, which is spoken to in plain text.
        certificates: its own.
        folder: for the file of its keys.
    """
    keys = folder / "door-keys"
    keys.write_text("")
    config = {
        "target": target,
        "cert": str(certificates.cert("server")),
        "key": str(certificates.key("server")),
        "keys": str(keys),
    }
    process = subprocess.Popen(  # noqa: ASYNC220 - it starts at once, and is waited for in a thread
        [NODE, "--input-type=module", "--eval", _PROGRAM.read_text()], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(config).encode())
        process.stdin.close()
        async with asyncio.timeout(_START_SECONDS):
            line = await asyncio.to_thread(process.stdout.readline)
        assert line.strip().isdigit(), "the gateway ended before it listened"
        yield KeyDoor(f"localhost:{int(line)}", keys)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
