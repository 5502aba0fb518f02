"""Files that others may be reading or writing at the same moment."""

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
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        draft = Path(file.name)
        try:
            file.write(text)
            file.close()
            draft.chmod(mode)
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
