"""How the routes' answers are described: which problems each may have, and how."""

from collections import defaultdict
from typing import Any

from orders.web.problems import MEDIA_TYPE, PROBLEM_TYPES

PROBLEM_SCHEMA = "#/components/schemas/Problem"

EVERYWHERE = ("host_not_local", "request_invalid", "overloaded", "stopping", "internal_error")
"""What every route may answer, whatever it does."""
ALWAYS = (
    *EVERYWHERE,
    "not_signed_in",
    "not_allowed",
    "too_many_requests",
    "server_unreachable",
)
"""What every route that asks who is there may answer; what changes something, `cross_site_request` as well."""


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The answers of a route that are problems, for its ``responses``; of each status what its codes are.

    Args:
        codes: rows of `PROBLEM_TYPES`.
    """
    of_status: dict[int, list[str]] = defaultdict(list)
    for code in dict.fromkeys(codes):
        of_status[PROBLEM_TYPES[code].status].append(code)
    return {
        status: {
            "description": "; ".join(f"{PROBLEM_TYPES[code].title} (`{code}`)" for code in codes_of),
            "content": {MEDIA_TYPE: {"schema": {"$ref": PROBLEM_SCHEMA}}},
        }
        for status, codes_of in sorted(of_status.items())
    }
