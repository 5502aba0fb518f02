"""Files that others may be reading or writing at the same moment."""

import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Replaces a file's content at once: who reads it, or runs it, finds the old one or the new one whole.

    Two who write at the same moment each write a whole one, and the later one stays.

    Args:
        path: The file; its folder is made where it is missing.
        text: What it is to hold.
        mode: Who may do what with it; by default it is its owner's only, as it may hold a password.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        draft.chmod(mode)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
