"""The console's own files. Anybody may have them: they are the same for all, and the page that signs in needs them."""

from fastapi import APIRouter
from starlette.responses import Response

from orders.web.console.static_files import MEDIA_TYPES, STATIC_PATH, static_file

router = APIRouter(include_in_schema=False)


@router.get(STATIC_PATH + "/{name:path}")
async def asset(name: str) -> Response:
    """A file; its address changes with its content, so that it is kept."""
    content = static_file(name)
    if content is None:
        return Response("There is no such file.\n", 404, media_type="text/plain")
    return Response(
        content, headers={"Cache-Control": "public, max-age=31536000, immutable"}, media_type=MEDIA_TYPES[name]
    )
