"""Puts the gate into an application."""

from collections.abc import Mapping

from fastapi import FastAPI

from orders.web.identity import sign_in
from orders.web.identity.cross_site import CrossSiteGuard
from orders.web.identity.gate import Gate
from orders.web.problems import Respond, as_document
from orders.web.routes import serve


def install(
    app: FastAPI,
    gate: Gate,
    *,
    stylesheet: str | None = None,
    icon: str | None = None,
    guests: Mapping[str, frozenset[str]] | None = None,
    respond: Respond = as_document,
) -> None:
    """Has the application ask the gate who sends a request, refuse other sites' pages, and sign browsers in.

    Args:
        app: gets the gate as ``app.state.gate``, a middleware, and the pages to sign in and out.
        gate: open for as long as the application serves.
        stylesheet: path of the one that the page to sign in uses; None for none.
        icon: path of the picture that a browser shows beside that page's title; None for none.
        guests: for each path that other origins' pages may use, those; see `CrossSiteGuard`.
        respond: makes the answer that tells a page of another site that it is refused.
    """
    app.state.sign_in_looks = {"stylesheet": stylesheet, "icon": icon}
    app.state.gate = gate
    serve(app, sign_in.router)
    app.add_middleware(CrossSiteGuard, site=gate.site, local_only=gate.is_open, guests=guests, respond=respond)
