"""What a stack's folder remembers: what was started, on which ports, and how to reach it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Self

from stack.endpoints import Endpoints
from stack.files import write_atomically
from stack.processes import ProcessIdentity

Source = Literal["native", "docker"]
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class StackState:
    """A start of the servers, as written to the state file while it happens.

    Attributes:
        source: What the servers are.
        durable: Whether their data outlives ``down``.
        endpoints: Where they answer, once all do.
        ready: Whether the start was completed.
        codec_endpoint: Where Temporal's UI has payloads decrypted; None for nowhere.
        processes: By service, for native ones.
        containers: Container ids by service, for Docker.
    """

    source: Source
    durable: bool
    endpoints: Endpoints
    ready: bool = False
    codec_endpoint: str | None = None
    processes: dict[str, ProcessIdentity] = field(default_factory=dict)
    containers: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Writes the file such that a reader, or a kill, never meets half of it."""
        write_atomically(path, json.dumps({"version": FORMAT_VERSION, **asdict(self)}, indent=2))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Reads the file; None if there is none, or none that this version can read."""
        try:
            content = json.loads(path.read_text())
            if content.pop("version") != FORMAT_VERSION:
                return None
            content["endpoints"] = Endpoints(**content["endpoints"])
            content["processes"] = {name: ProcessIdentity(**each) for name, each in content["processes"].items()}
            return cls(**content)
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None


def read_ports(path: Path) -> dict[str, int]:
    """Reads the ports of the last start; empty if there was none."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    pairs = content.items() if isinstance(content, dict) else ()
    return {name: port for name, port in pairs if isinstance(port, int)}
