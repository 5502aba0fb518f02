"""The REST API: each route turns a request into one operation, and what the operation says into an answer."""

from orders.web.api import dead_letters, decisions, explanations, inbound, journal, listing, orders, results, root

ROUTERS = tuple(
    part.router for part in (root, decisions, inbound, listing, results, journal, explanations, orders, dead_letters)
)
"""Each is the application's own. FastAPI looks through a router within a router twice for each request."""
