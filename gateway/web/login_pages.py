"""What a browser sees of a login: the page that begins it, its state, and the way back."""

import re
import secrets
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from flask import (
    Blueprint,
    Response,
    jsonify,
    make_response,
    render_template,
    request,
)

from cps.authtoken.catalogue import text
from cps.authtoken.codes import ErrorCode
from cps.authtoken.token import require_rid
from gateway.errors import LoginRejectedError
from gateway.login.challenge import ChallengeState
from gateway.login.target import ADMIN_PAGES, same_origin_target
from gateway.session.cookie import COOKIE_BYTES, LOGIN_COOKIE, cookie_hash, set_cookie
from gateway.session.model import EndReason
from gateway.web.inbound import login_cookie, require_navigation, session_key
from gateway.web.opening import holder_in, open_session, see_other, with_session
from gateway.web.pages import language
from gateway.web.parts import Parts

AGENT_PORTS = (24951, 24952, 24953)
"""Loopback ports on which an agent may wait, the usual one first."""
WAITING_COOKIE = "cps-waiting"
"""Says that a tab of this browser waits for the end of a login, and would go on in its place."""
WAITING_PATH = "/_cps/callback"
_TOLD_ENDS: Mapping[EndReason | None, str] = MappingProxyType(
    {
        EndReason.CARD_REMOVED: "login_page.ended_card_removed",
        EndReason.AGENT_ENDED: "login_page.ended_agent_ended",
        EndReason.SCREEN_LOCKED: "login_page.ended_screen_locked",
        EndReason.PRESENCE_LOST: "login_page.ended_presence_lost",
        EndReason.CARD_REVOKED: "login_page.ended_card_revoked",
        EndReason.GUARD: "login_page.ended_guard",
        EndReason.IDLE: "login_page.ended_idle",
        EndReason.ABSOLUTE: "login_page.ended_absolute",
        EndReason.ADMINISTRATOR: "login_page.ended_administrator",
    }
)
"""The texts for ends that a person did not ask the portal for."""
_TARGET_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_CODE = re.compile(r"[A-Za-z0-9_-]{43}\Z")


def login_pages(parts: Parts) -> Blueprint:
    """Return the pages of a login.

    Source: docs/reference/protocol.md, steps 1 to 3, 10 and 11.
    """
    pages = Blueprint("login", __name__, url_prefix="/_cps")

    @pages.get("/login")
    def login() -> Response:
        """Begin a login bound to this browser, and offer the way to the agent (steps 2 and 3)."""
        require_navigation()
        now = parts.clock()
        target_id = _target_id()
        cookie = login_cookie(parts)
        # A browser with a login under way keeps its cookie, so that several tabs can log in.
        if cookie is None or not parts.challenges.knows_browser(cookie_hash(cookie), now=now):
            cookie = secrets.token_bytes(COOKIE_BYTES)
        challenge = parts.challenges.create(
            target_id=target_id, pre_hash=cookie_hash(cookie), now=now
        )
        origin = parts.settings.portal.origin
        known = holder_in(parts)
        # Whoever is in is only led here by that page where the signature is too old for it.
        must_sign_again = known is not None and challenge.target.startswith(ADMIN_PAGES)
        response = make_response(
            render_template(
                "login.html",
                rid=challenge.rid,
                agent_urls=[(port, agent_url(port, challenge.rid, origin)) for port in AGENT_PORTS],
                scheme_url=scheme_url(challenge.rid, origin),
                seconds=max(0, int((challenge.expires_at - now).total_seconds())),
                target=_target_url(origin, challenge.target),
                target_id=target_id,
                ended="admin_page.sign_again" if must_sign_again else _end_told(parts),
                known=None if must_sign_again else known,
                from_agent=parts.settings.login.from_agent,
            )
        )
        lifetime = parts.settings.login.pre_session_seconds
        response.headers.add("Set-Cookie", set_cookie(LOGIN_COOKIE, cookie, max_age=lifetime))
        return response

    @pages.get("/login/status")
    def status() -> Response:
        """Tell the browser that began a login how far it is; this never logs anybody in."""
        try:
            state = _login_state(parts)
        except LoginRejectedError:
            # The tab that finished a login took the cookie along: the session speaks for it.
            if not _has_session(parts):
                raise
            state = ChallengeState.USED
        answer = {"state": state.value}
        if state is ChallengeState.FAILED and (code := parts.challenges.failure(_rid())):
            answer |= {"code": code.value, **_told(code)}
        return jsonify(answer)

    @pages.get("/callback")
    def callback() -> Response:
        """Open a session for the code with the cookie of the browser that began (step 11)."""
        require_navigation()
        now = parts.clock()
        cookie = login_cookie(parts)
        old_session = session_key(parts)
        pre_hash = None if cookie is None else cookie_hash(cookie)
        try:
            completed = parts.challenges.redeem(_code(), pre_hash, now=now)
        except LoginRejectedError as exc:
            # A reload, the way back or a second tab of one login: its session stands already.
            if exc.reason is ErrorCode.CODE_INVALID and _has_session(parts):
                return see_other(f"{parts.settings.portal.origin}/")
            raise
        session_cookie = open_session(parts, completed, old_session=old_session, now=now)
        arrival = _arrival(_target_url(parts.settings.portal.origin, completed.target))
        return with_session(arrival, session_cookie)

    return pages


def agent_url(port: int, rid: str, origin: str) -> str:
    """Return the link that carries a login to the agent on this computer.

    :param port: one of ``AGENT_PORTS``.
    :param rid: the request id, 22 characters.
    :param origin: the gateway's own, of which the agent is told host and port.

    Source: docs/reference/protocol.md, "Browser to agent".
    """
    return f"http://127.0.0.1:{port}/v1/login?r={rid}&o={urlsplit(origin).netloc}"


def scheme_url(rid: str, origin: str) -> str:
    """Return the link that has the system hand a login over to the agent, wherever it listens.

    :param rid: the request id, 22 characters.
    :param origin: the gateway's own.

    Source: docs/reference/protocol.md, "When the browser does not find the agent".
    """
    return f"cps-login:v1?r={rid}&o={urlsplit(origin).netloc}"


def _arrival(target: str) -> Response:
    """Return the way to *target*: at once, or by a page that first looks for the tab that waits.

    login.js sets the cookie, which decides nothing else; without script there is none.
    """
    if request.cookies.get(WAITING_COOKIE) != "1":
        return see_other(target)
    response = make_response(render_template("arrived.html", target=target))
    response.headers.add("Set-Cookie", f"{WAITING_COOKIE}=; Path={WAITING_PATH}; Max-Age=0")
    return response


def _told(code: ErrorCode) -> dict[str, str]:
    """Return what the waiting page says of a login that failed for *code*."""
    chosen = language()
    return {
        "title": text(f"error_title.{code}", chosen),
        "sentence": text(f"error.{code}", chosen),
        "support": text("login_page.support", chosen, code=code.value),
    }


def _target_url(origin: str, target: str) -> str:
    """Return the address of *target*, absolute: whatever it holds, it cannot name another host."""
    return origin + same_origin_target(target)


def _target_id() -> str | None:
    """Return the id of the page to return to; without a good one the start page serves."""
    value = request.args.get("t", "")
    return value if _TARGET_ID.match(value) else None


def _code() -> str:
    values = request.args.getlist("code")
    if len(values) != 1 or not _CODE.match(values[0]):
        raise LoginRejectedError(ErrorCode.CODE_INVALID, "no code of the right form")
    return values[0]


def _rid() -> str:
    try:
        return require_rid(request.args.get("r", ""))
    except ValueError as exc:
        raise LoginRejectedError(ErrorCode.REQUEST_MALFORMED, str(exc)) from exc


def _login_state(parts: Parts) -> ChallengeState:
    rid = _rid()
    cookie = login_cookie(parts)
    if cookie is None:
        raise LoginRejectedError(ErrorCode.COOKIE_MISSING, "status without the login cookie")
    return parts.challenges.state(rid, cookie_hash(cookie), now=parts.clock())


def _has_session(parts: Parts) -> bool:
    return holder_in(parts) is not None


def _end_told(parts: Parts) -> str | None:
    """Return the text that says why this browser's session ended, where the person may wonder.

    Only the session's own cookie, which nobody can guess, brings it up.
    """
    key = session_key(parts)
    return None if key is None else _TOLD_ENDS.get(parts.sessions.why_ended(key))
