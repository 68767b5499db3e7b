"""What a person sees of the session: who is in and until when, and the way out."""

from datetime import timedelta

from flask import Blueprint, Response, make_response, render_template

from cps.authtoken.catalogue import catalogue, text
from gateway.coded_tables import coded_tables
from gateway.identity import VerifiedIdentity
from gateway.session.cookie import LOGIN_COOKIE, SESSION_COOKIE, clear_cookie
from gateway.session.model import EndReason
from gateway.session.recorder import record_ends
from gateway.web.inbound import (
    client_address,
    require_own_page,
    require_session,
    session_key,
)
from gateway.web.pages import language
from gateway.web.parts import Parts

WARN_SECONDS = 300
"""How long before the end without activity the session's page warns."""


def session_pages(parts: Parts) -> Blueprint:
    """Return the pages of a session."""
    pages = Blueprint("session", __name__, url_prefix="/_cps")
    limits = parts.settings.session

    @pages.get("/session")
    def session() -> str:
        """Show whose session this is."""
        current = require_session(parts)
        absolute = current.created_at + timedelta(seconds=limits.absolute_seconds)
        now = parts.clock()
        idle_until = min(now + timedelta(seconds=limits.idle_seconds), absolute)
        return render_template(
            "session.html",
            identity=current.identity,
            profession=profession_label(current.identity, language()),
            specialities=[
                coded_tables().speciality(code) for code in current.identity.specialities
            ],
            since=current.created_at,
            until=absolute,
            idle_until=idle_until,
            seconds_left=int((idle_until - now).total_seconds()),
            warn_seconds=min(WARN_SECONDS, limits.idle_seconds // 2),
            is_administrator=current.identity.national_id in parts.settings.admin.identities,
        )

    @pages.get("/logout")
    def ask_logout() -> str:
        """Ask before logging out: a link alone, which any site can place, ends nothing."""
        return render_template("logout.html")

    @pages.post("/logout")
    def logout() -> Response:
        """End the session everywhere and forget both cookies."""
        require_own_page(parts.settings.portal.origin)
        key = session_key(parts)
        if key is not None:
            end_session(parts, key, EndReason.LOGOUT)
        response = make_response(render_template("logged_out.html"))
        for name in (SESSION_COOKIE, LOGIN_COOKIE):
            response.headers.add("Set-Cookie", clear_cookie(name))
        return response

    return pages


def end_session(parts: Parts, key: bytes, reason: EndReason) -> None:
    """End the session *key*, if it is alive, and record it.

    :param key: SHA-256 of the cookie.
    """
    now = parts.clock()
    if parts.sessions.end(key, reason, now=now, client=client_address()):
        record_ends(parts.sessions, parts.audit, now=now)


def profession_label(identity: VerifiedIdentity, chosen: str) -> str:
    """Return the profession in words; a code that the table does not hold is shown as it is.

    :param chosen: ``fr`` or ``en``.
    """
    if identity.future_profession is not None:
        return coded_tables().future_profession(identity.future_profession)
    if identity.profession is None:
        return text("session_page.profession_none", chosen)
    key = f"profession.{identity.profession}"
    if key in catalogue():
        return text(key, chosen)
    return text("session_page.profession_unknown", chosen, code=identity.profession)
