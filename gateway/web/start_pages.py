"""The browser's part of a login that began in the agent: a page, a question, an answer."""

import secrets

from flask import Blueprint, Response, g, make_response, render_template, request

from cps.authtoken.codes import ErrorCode
from gateway.errors import LoginRejectedError
from gateway.session.cookie import COOKIE_BYTES, LOGIN_COOKIE, clear_cookie, cookie_hash, set_cookie
from gateway.session.lease import give_back
from gateway.web.inbound import (
    client_address,
    login_cookie,
    read_form,
    require_navigation,
    require_own_page,
    session_key,
)
from gateway.web.opening import holder_in, open_session, see_other, with_session
from gateway.web.pages import language
from gateway.web.parts import Parts
from gateway.web.session_pages import profession_label

MAX_FORM_BYTES = 200
"""Of either form: a code of 43 characters, and an answer."""
CODE_FIELDS = frozenset({"code"})
ANSWER_FIELDS = frozenset({"code", "answer"})
YES, NO = "yes", "no"
_FROM_NO_OTHER_SITE = frozenset({"none", "same-origin"})


def start_pages(parts: Parts) -> Blueprint:
    """Return the pages of a login that began in the agent; none, where there is no such login.

    Source: docs/reference/protocol.md, "A login that begins in the agent".
    """
    pages = Blueprint("start", __name__, url_prefix="/_cps/start")
    if not parts.settings.login.from_agent:
        return pages
    portal = parts.settings.portal

    @pages.get("")
    def start() -> str:
        """Show the page whose script sends on the code that stands behind the ``#``."""
        require_navigation()
        _require_no_link()
        return render_template("start.html")

    @pages.post("")
    def offer() -> Response:
        """Tie the login to this browser, by a new cookie, and ask whether to go on."""
        # The portal's pages are of the same origin: no script of theirs answers for the person.
        require_navigation()
        require_own_page(portal.origin)
        code = read_form(CODE_FIELDS, max_bytes=MAX_FORM_BYTES)["code"]
        cookie = secrets.token_bytes(COOKIE_BYTES)
        made = parts.challenges.offer(code, cookie_hash(cookie), now=parts.clock())
        g.rid = made.rid
        parts.audit.record(
            "login_offered",
            rid=made.rid,
            national_id=made.identity.national_id,
            client=client_address(),
        )
        response = make_response(
            render_template(
                "start_question.html",
                name=f"{made.identity.given_name} {made.identity.family_name}".strip(),
                profession=profession_label(made.identity, language()),
                origin=portal.origin,
                known=holder_in(parts),
                code=made.answer_code,
                yes=YES,
                no=NO,
            )
        )
        lifetime = parts.settings.login.pre_session_seconds
        response.headers.add("Set-Cookie", set_cookie(LOGIN_COOKIE, cookie, max_age=lifetime))
        return response

    @pages.post("/answer")
    def answer() -> Response:
        """Open the session, or leave it, as the person in front of this browser says."""
        require_navigation()
        require_own_page(portal.origin)
        said = read_form(ANSWER_FIELDS, max_bytes=MAX_FORM_BYTES)
        if said["answer"] not in (YES, NO):
            raise LoginRejectedError(ErrorCode.REQUEST_MALFORMED, "neither yes nor no")
        now = parts.clock()
        cookie = login_cookie(parts)
        old_session = session_key(parts)
        pre_hash = None if cookie is None else cookie_hash(cookie)
        completed = parts.challenges.settle(said["code"], pre_hash, now=now)
        if said["answer"] == YES:
            session_cookie = open_session(parts, completed, old_session=old_session, now=now)
            return with_session(see_other(portal.origin + completed.target), session_cookie)
        parts.audit.record(
            "login_declined",
            national_id=completed.identity.national_id,
            client=client_address(),
        )
        give_back(parts.sessions, completed.lease, now=now)
        response = make_response(render_template("start_declined.html"))
        response.headers.add("Set-Cookie", clear_cookie(LOGIN_COOKIE))
        return response

    return pages


def _require_no_link() -> None:
    """Refuse to be opened by a page of another site; the agent opens us as a person would.

    :raises LoginRejectedError: REQUEST_FORBIDDEN.

    Source: W3C Fetch Metadata §2.3.
    """
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site not in _FROM_NO_OTHER_SITE:
        raise LoginRejectedError(ErrorCode.REQUEST_FORBIDDEN, f"opened from {site[:40]}")
