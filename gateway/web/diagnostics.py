"""The page that a help desk asks for: facts of gateway and browser, and no secret among them."""

from importlib.metadata import version

from flask import Blueprint, render_template, request

from gateway.errors import SessionRequiredError
from gateway.web.inbound import client_address, login_cookie, require_session
from gateway.web.parts import Parts

MAX_SHOWN = 200
"""Longest text of the browser's own that is shown."""


def diagnostics(parts: Parts) -> Blueprint:
    """Return the diagnostics page; diag.js adds what only a script of the browser knows."""
    pages = Blueprint("diagnostics", __name__, url_prefix="/_cps")

    @pages.get("/diag")
    def diag() -> str:
        """Show the facts; whether somebody is in is told, not who."""
        now = parts.clock()
        facts = {
            "gateway": version("cps-gateway"),
            "origin": parts.settings.portal.origin,
            "environment": parts.settings.environment,
            "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "address": client_address() or "-",
            "browser": request.headers.get("User-Agent", "-")[:MAX_SHOWN],
            "languages": request.headers.get("Accept-Language", "-")[:MAX_SHOWN],
            "login-cookie": _yes(login_cookie(parts) is not None),
            "session": _yes(_has_session(parts)),
        }
        return render_template("diag.html", facts=facts, milliseconds=round(now.timestamp() * 1000))

    return pages


def _has_session(parts: Parts) -> bool:
    try:
        require_session(parts)
    except SessionRequiredError:
        return False
    return True


def _yes(value: bool) -> str:
    return "yes" if value else "no"
