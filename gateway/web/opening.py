"""A session begins: what both ways of ending a login have in common."""

import secrets
from datetime import datetime

from flask import Response

from gateway.errors import SessionRequiredError
from gateway.login.challenge import CompletedLogin
from gateway.notify.notice import LoginNotice
from gateway.session.cookie import (
    LOGIN_COOKIE,
    SESSION_COOKIE,
    clear_cookie,
    cookie_hash,
    set_cookie,
)
from gateway.session.model import EndReason
from gateway.session.recorder import session_name
from gateway.web.inbound import client_address, require_session
from gateway.web.pages import language
from gateway.web.parts import Parts
from gateway.web.session_pages import end_session


def open_session(
    parts: Parts, completed: CompletedLogin, *, old_session: bytes | None, now: datetime
) -> bytes:
    """Open a session and return its cookie's bytes; the browser's earlier one ends.

    :param old_session: key of the session that this browser had, if any.
    :raises LoginRejectedError: CARD_REMOVED where the card left meanwhile.
    """
    if old_session is not None:
        end_session(parts, old_session, EndReason.REPLACED)
    session_cookie = parts.sessions.create(
        completed.identity, completed.agent_key, lease=completed.lease, now=now
    )
    session = session_name(cookie_hash(session_cookie))
    parts.audit.record(
        "session_started",
        session=session,
        national_id=completed.identity.national_id,
        client=client_address(),
    )
    parts.tell_login(
        LoginNotice(
            id=secrets.token_hex(16),
            at=now,
            identity=completed.identity,
            session=session,
            client=client_address(),
            language=language(),
        )
    )
    return session_cookie


def with_session(response: Response, session_cookie: bytes) -> Response:
    """Return *response* with the new session's cookie; that of the login is done with."""
    response.headers.add("Set-Cookie", set_cookie(SESSION_COOKIE, session_cookie))
    response.headers.add("Set-Cookie", clear_cookie(LOGIN_COOKIE))
    return response


def see_other(address: str) -> Response:
    """Return the answer that sends the browser on to *address*."""
    response = Response(status=303)
    response.headers["Location"] = address
    return response


def holder_in(parts: Parts) -> str | None:
    """Return the name of who is in already in this browser."""
    try:
        identity = require_session(parts).identity
    except SessionRequiredError:
        return None
    return f"{identity.given_name} {identity.family_name}".strip()
