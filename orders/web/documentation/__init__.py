"""The interactive documentation at /docs: Swagger UI, from files in the package, over the OpenAPI document."""

from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

router = APIRouter(include_in_schema=False)

ASSETS: Final = Path(__file__).parent / "assets"
"""Swagger UI as its authors publish it, with its licence (swagger-ui-dist on npm), and our page's own script."""
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Styles in attributes are Swagger UI's own way; no script runs but the two files."""
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Temporal Order Orchestrator: API</title>
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
<link rel="icon" href="/docs/assets/favicon-32x32.png">
</head>
<body>
<main id="swagger-ui"></main>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/assets/begin.js"></script>
</body>
</html>
"""


@router.get("/docs")
async def page() -> Response:
    """The page; it loads nothing from anywhere else."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@router.get("/openapi.json")
async def openapi(request: Request) -> dict[str, Any]:
    """The OpenAPI document."""
    document: dict[str, Any] = request.app.openapi()
    return document


def assets() -> Mount:
    """Serves the page's files."""
    return Mount("/docs/assets", StaticFiles(directory=ASSETS), name="documentation")
