"""The administrators' page: who is in, the end of sessions, and the end of the guard's blocks.

It does what ``cps-gateway sessions`` and ``cps-gateway guard`` do, for this portal alone. Nothing
happens by GET, and nothing before its line is in the audit log.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus

from flask import Blueprint, Response, abort, make_response, render_template, request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import MethodNotAllowed

from cps.authtoken.codes import ErrorCode
from gateway.errors import LoginRejectedError
from gateway.guard.store import GuardStore
from gateway.login.target import ADMIN_PAGES
from gateway.session.model import EndReason, Session
from gateway.session.recorder import session_name
from gateway.session.selection import Found, Selection, find
from gateway.web.admin_access import (
    SEAL_FIELD,
    administrator,
    admit,
    form_seal,
    record_act,
)
from gateway.web.inbound import client_address
from gateway.web.pages import language
from gateway.web.parts import Parts
from gateway.web.session_pages import profession_label

PAGE_ROWS = 50
"""Sessions, or blocks, on one page."""
MAX_PAGES = 1000
MAX_ENDED = 1000
"""Sessions that one act ends; the store is written to for each."""
SHOWN_BEFORE_ASKING = 20
"""Sessions shown with the question whether they are to be ended; of more only the number."""
MAX_FIELD_CHARS = 64
"""Longest value of a field: a national number, a card's, the name of a session, a seal."""


def admin(parts: Parts) -> Blueprint:
    """Return the administrators' page, behind the rule of :func:`admit`."""
    pages = Blueprint("admin", __name__, url_prefix=ADMIN_PAGES)
    pages.before_app_request(_hide_wrong_methods)
    pages.before_request(partial(admit, parts))

    @pages.context_processor
    def _common() -> dict[str, object]:
        return {
            "name_of": session_name,
            "is_own": lambda session: session.key == administrator().key,
            "seal": lambda: (SEAL_FIELD, form_seal(administrator().key)),
            "has_guard": parts.guard is not None,
        }

    @pages.get("")
    def sessions() -> str:
        """List who is in, or those of one person or card."""
        given = _given(request.args, "identity", "card", "page")
        page = _page_number(given)
        selection = Selection(identity=given.get("identity"), card=given.get("card"))
        found = _find(parts, selection, first=(page - 1) * PAGE_ROWS, most=PAGE_ROWS)
        return render_template(
            "admin.html",
            found=found,
            selection=selection,
            page=page,
            has_more=_has_more(page, found.count),
        )

    @pages.get("/session/<name>")
    def show(name: str) -> Response:
        """Show all about one session."""
        found = _find(parts, Selection(name=name), most=1)
        if not found.sessions:
            return _done("gone", status=HTTPStatus.NOT_FOUND)
        session = found.sessions[0]
        return make_response(
            render_template(
                "admin_session.html",
                session=session,
                profession=profession_label(session.identity, language()),
                ends_at=_ends_at(parts, session),
            )
        )

    @pages.post("/end")
    def end() -> Response:
        """End what is chosen; more than one session only after a question."""
        given = _given(request.form, SEAL_FIELD, "session", "identity", "card", "all", "confirmed")
        selection = Selection(
            name=given.get("session"), identity=given.get("identity"), card=given.get("card")
        )
        # An empty form means nothing, and never all.
        if selection.is_everything != ("all" in given):
            raise LoginRejectedError(ErrorCode.REQUEST_MALFORMED, "some sessions, or all of them")
        found = _find(parts, selection, most=MAX_ENDED)
        if not found.sessions:
            return _done("gone")
        if found.count > 1 and "confirmed" not in given:
            return make_response(
                render_template(
                    "admin_confirm.html",
                    found=found,
                    shown=found.sessions[:SHOWN_BEFORE_ASKING],
                    at_once=len(found.sessions),
                    selection=selection,
                    ends_own=any(each.key == administrator().key for each in found.sessions),
                )
            )
        ended = _end(parts, found)
        return _done("ended", count=ended, left=found.count - len(found.sessions))

    @pages.get("/blocked")
    def blocked() -> str:
        """List whom the guard keeps out."""
        page = _page_number(_given(request.args, "page"))
        blocks = _require_guard(parts).blocks()
        first = (page - 1) * PAGE_ROWS
        return render_template(
            "admin_blocked.html",
            blocks=blocks[first : first + PAGE_ROWS],
            count=len(blocks),
            page=page,
            has_more=_has_more(page, len(blocks)),
        )

    @pages.post("/clear")
    def clear() -> Response:
        """Let one person in again."""
        identity = _given(request.form, SEAL_FIELD, "identity").get("identity", "")
        guard = _require_guard(parts)
        if not guard.is_blocked(identity):
            return _done("not_blocked")
        record_act(parts, "guard_cleared", national_id=identity)
        guard.clear(identity)
        return _done("cleared", identity=identity)

    return pages


def _hide_wrong_methods() -> None:
    """Answer a method that a page does not take as if no page were there.

    Whoever asks is not looked at before a page fits, and the answer must not name methods to all.

    :raises NotFound: for such a request.
    """
    is_ours = request.path == ADMIN_PAGES or request.path.startswith(f"{ADMIN_PAGES}/")
    if is_ours and isinstance(request.routing_exception, MethodNotAllowed):
        abort(404)


def _find(parts: Parts, selection: Selection, *, first: int = 0, most: int) -> Found:
    return find(parts.sessions, selection, now=parts.clock(), first=first, most=most)


def _end(parts: Parts, found: Found) -> int:
    """End the sessions and return how many were alive until now."""
    # Before the first is ended: what cannot be recorded is not done.
    record_act(
        parts,
        "sessions_ended_by_administrator",
        count=len(found.sessions),
        sessions=[session_name(each.key) for each in found.sessions],
    )
    now, client = parts.clock(), client_address()
    return sum(
        parts.sessions.end(each.key, EndReason.ADMINISTRATOR, now=now, client=client)
        for each in found.sessions
    )


def _given(sent: MultiDict[str, str], *names: str) -> Mapping[str, str]:
    """Return the fields that are filled in.

    :raises LoginRejectedError: REQUEST_MALFORMED for another field, or one that comes twice, or
        with more text than any value has.
    """
    for name, values in sent.lists():
        if name not in names or len(values) != 1 or len(values[0]) > MAX_FIELD_CHARS:
            raise LoginRejectedError(ErrorCode.REQUEST_MALFORMED, "fields of another form")
    return {name: value.strip() for name, value in sent.items() if value.strip()}


def _page_number(given: Mapping[str, str]) -> int:
    value = given.get("page", "1")
    if not (value.isascii() and value.isdecimal() and 1 <= int(value) <= MAX_PAGES):
        raise LoginRejectedError(ErrorCode.REQUEST_MALFORMED, "no page has such a number")
    return int(value)


def _has_more(page: int, count: int) -> bool:
    return count > page * PAGE_ROWS and page < MAX_PAGES


def _ends_at(parts: Parts, session: Session) -> datetime:
    limits = parts.settings.session
    absolute = session.created_at + timedelta(seconds=limits.absolute_seconds)
    return min(session.seen_at + timedelta(seconds=limits.idle_seconds), absolute)


def _require_guard(parts: Parts) -> GuardStore:
    """Return who is kept out.

    :raises NotFound: where no route is sensitive.
    """
    if parts.guard is None:
        abort(404)
    return parts.guard


def _done(what: str, *, status: HTTPStatus = HTTPStatus.OK, **facts: object) -> Response:
    """Return the page that says how it went.

    :param what: the last part of the text's key.
    """
    return make_response(render_template("admin_done.html", what=what, facts=facts), status)
