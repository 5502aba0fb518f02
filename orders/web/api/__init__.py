"""The REST API: each route turns a request into one operation, and what the operation says into an answer."""

from fastapi import APIRouter

from orders.web.api import journal, listing, orders, results, root

router = APIRouter()
for _part in (root, listing, results, journal, orders):
    router.include_router(_part.router)
