"""Who may use the administrators' page: named in the settings, with a card that signed lately."""

import hmac

from flask import Response, abort, g, make_response, redirect, render_template, request, url_for

from cps.authtoken.codes import ErrorCode
from gateway.errors import LoginRejectedError, SessionRequiredError
from gateway.journal.line import FieldValue
from gateway.login.target import ADMIN_PAGES, same_origin_target
from gateway.session.model import Session
from gateway.session.recorder import session_name
from gateway.settings_guard import read_duration
from gateway.web.inbound import (
    client_address,
    require_navigation,
    require_own_page,
    require_session,
)
from gateway.web.parts import Parts

SEAL_FIELD = "seal"
"""The field of each form that shows in whose page it stands."""
_SEAL_USE = b"a form of the administrators' page"


def admit(parts: Parts) -> Response | None:
    """Note whose request this is, or return what the browser gets instead.

    The session is looked up here by its cookie: no header says who somebody is. Whoever is no
    administrator gets what an address gets at which nothing is, and without a session the way to a
    login, whether the settings name administrators or nobody.

    :raises SessionRequiredError: for a form of somebody who is not in.
    :raises NotFound: for somebody who is no administrator.
    :raises LoginRejectedError: REQUEST_FORBIDDEN for what no page of ours asked for.
    """
    is_form = request.method == "POST"
    try:
        session = require_session(parts)
    except SessionRequiredError:
        if is_form:
            raise
        return _to_login(parts)
    if session.identity.national_id not in parts.settings.admin.identities:
        abort(404)
    # The portal's pages are of the same origin: no script of theirs reads here what a form needs.
    require_navigation()
    if is_form:
        require_own_page(parts.settings.portal.origin)
    if parts.clock() - session.created_at > read_duration(parts.settings.admin.fresh):
        return _stale(parts) if is_form else _to_login(parts)
    if is_form:
        _require_seal(session)
    g.administrator = session
    return None


def administrator() -> Session:
    """Return the session of the administrator whom :func:`admit` let in."""
    session: Session = g.administrator
    return session


def form_seal(session_key: bytes) -> str:
    """Return what each form of a session's pages carries, 64 characters; nobody else can make it.

    :param session_key: SHA-256 of the cookie.
    """
    return hmac.digest(session_key, _SEAL_USE, "sha256").hex()


def record_act(parts: Parts, event: str, **fields: FieldValue) -> None:
    """Record what the administrator is about to do.

    :raises StoreUnavailableError: where it cannot be written; then it must not be done.
    """
    session = administrator()
    parts.audit.record(
        event,
        administrator=session.identity.national_id,
        card_number=session.identity.card_number,
        by_session=session_name(session.key),
        client=client_address(),
        **fields,
    )


def _require_seal(session: Session) -> None:
    given = request.form.get(SEAL_FIELD, "").encode()
    if not hmac.compare_digest(given, form_seal(session.key).encode()):
        raise LoginRejectedError(
            ErrorCode.REQUEST_FORBIDDEN, "the form was not in a page that this session was shown"
        )


def _to_login(parts: Parts) -> Response:
    """Lead to a login that leads back here."""
    return make_response(redirect(_login_url(parts, request.full_path.removesuffix("?")), 303))


def _stale(parts: Parts) -> Response:
    """Say that nothing was done: what a form asked for is not kept over a login."""
    page = render_template("admin_stale.html", login_url=_login_url(parts, ADMIN_PAGES))
    return make_response(page, 401)


def _login_url(parts: Parts, target: str) -> str:
    target_id = parts.challenges.keep_target(same_origin_target(target), now=parts.clock())
    return url_for("login.login", t=target_id)
