"""What is at the root: who answers, how it is, and where to go on; and what each problem's type means."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel

from orders.version import application_version
from orders.web.api.answers import EVERYWHERE, problems
from orders.web.api.parameters import ApiRoute
from orders.web.context import Web
from orders.web.problems import PROBLEM_TYPES, TYPES_PATH, Problem

router = APIRouter(tags=["service"], route_class=ApiRoute)


class Health(BaseModel):
    """Whether the servers behind the API answer."""

    temporal: bool
    postgres: bool


class Root(BaseModel):
    """Who answers here."""

    service: str
    version: str
    status: Literal["ok", "degraded"]
    """degraded: a server behind the API does not answer, and requests that need it are answered with 503."""
    health: Health
    links: dict[str, str]


class ProblemPage(BaseModel):
    """What a problem's code means, whatever request met it."""

    type: str
    code: str
    status: int
    title: str
    what_to_do: str


_LINKS = {
    "documentation": "/docs",
    "openapi": "/openapi.json",
    "console": "/console",
    "orders": "/orders",
    "events": "/events",
    "dead_letters": "/dead-letters",
}


@router.get(
    "/",
    summary="Health, version and links",
    operation_id="getRoot",
    responses=problems(*EVERYWHERE),
)
async def root(web: Web) -> Root:
    """Answers with 200 also where Temporal or Postgres does not answer, and says so; asks them every 2 s at most."""
    troubles = await web.servers.troubles()
    health = Health(temporal=not troubles["temporal"], postgres=not troubles["postgres"])
    status: Literal["ok", "degraded"] = "ok" if health.temporal and health.postgres else "degraded"
    return Root(
        service="temporal-order-orchestrator", version=application_version(), status=status, health=health, links=_LINKS
    )


@router.get(
    f"{TYPES_PATH}/{{code}}",
    summary="What a problem's type means",
    operation_id="getProblem",
    responses=problems(*EVERYWHERE, "path_not_found"),
)
async def problem(code: Annotated[str, Path(max_length=100, description="A problem's `code`.")]) -> ProblemPage:
    """What the `type` of a problem document leads to."""
    kind = PROBLEM_TYPES.get(code)
    if kind is None:
        raise Problem("path_not_found", "no problem of ours has this code")
    return ProblemPage(
        type=f"{TYPES_PATH}/{code}", code=code, status=kind.status, title=kind.title, what_to_do=kind.what_to_do
    )
