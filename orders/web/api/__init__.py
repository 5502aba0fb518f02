"""The REST API: each route turns a request into one operation, and what the operation says into an answer."""

from fastapi import APIRouter

from orders.web.api import dead_letters, decisions, explanations, inbound, journal, listing, orders, results, root

router = APIRouter()
for _part in (root, decisions, inbound, listing, results, journal, explanations, orders, dead_letters):
    router.include_router(_part.router)
