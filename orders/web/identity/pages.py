"""The page on which a person signs in."""

from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri "
        "'none'"
    ),
    "Cache-Control": "no-store",
    # Addresses of these pages may hold a code, which no other site is to learn. With no-referrer a form of this page
    # would have "Origin: null", as other sites' forms may have.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def sign_in_page(*, status: int = 200, headers: dict[str, str] | None = None, **values: Any) -> HTMLResponse:
    """The page.

    Args:
        status: of the answer.
        headers: further ones.
        values: what the template shows.
    """
    content = _environment().get_template("sign_in.html").render(**values)
    return HTMLResponse(content, status_code=status, headers={**_HEADERS, **(headers or {})})
