"""The console's own files for the browser: style, scripts, picture. Nothing is fetched from elsewhere."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "static"
STATIC_PATH: Final = "/console/static"
MEDIA_TYPES: Final = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "vendor/htmx.min.js": "text/javascript; charset=utf-8",
    "vendor/hx-sse.min.js": "text/javascript; charset=utf-8",
}
"""Every file that is served, and no other."""


@cache
def static_file(name: str) -> bytes | None:
    """A file's bytes; None where none of that name is served."""
    return (FOLDER / name).read_bytes() if name in MEDIA_TYPES else None


@cache
def static_url(name: str) -> str:
    """A file's address, which changes with its content, so that browsers may keep it for ever.

    Raises:
        KeyError: no such file is served.
    """
    content = static_file(name)
    if content is None:
        raise KeyError(name)
    return f"{STATIC_PATH}/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"
