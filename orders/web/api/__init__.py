"""The REST API: each route turns a request into one operation, and what the operation says into an answer."""

from orders.web.api import dead_letters, decisions, explanations, inbound, journal, listing, orders, results, root

ROUTERS = tuple(
    part.router for part in (root, decisions, inbound, listing, results, journal, explanations, orders, dead_letters)
)
"""In the order in which they are asked for a path."""
