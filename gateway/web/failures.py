"""What a request that fails gets: a page or JSON with one code and an incident number."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

from flask import Flask, Response, g, jsonify, make_response, render_template, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from cps.authtoken.codes import ErrorCode
from gateway.errors import (
    HTTP_STATUS,
    LoginRejectedError,
    SessionRequiredError,
    StoreUnavailableError,
    TooManyRequestsError,
)
from gateway.incident import new_incident
from gateway.web.inbound import client_address
from gateway.web.parts import Parts

_LOG = logging.getLogger(__name__)
DECISIONS: Mapping[str | None, str] = MappingProxyType(
    {
        "agent.claim": "login_refused",
        "agent.begin": "login_refused",
        "agent.token": "login_refused",
        "agent.abort": "abort_refused",
        "login.callback": "login_refused",
        "start.offer": "login_refused",
        "start.answer": "login_refused",
        "agent.lease": "lease_refused",
    }
)
"""The views whose refusals are recorded, and as what; the polls of a waiting page are not."""
_MAX_DETAIL = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What went wrong, as it is answered, logged and recorded."""

    code: ErrorCode
    status: int
    detail: str
    """For the audit log alone."""


def answer_failures(app: Flask, parts: Parts) -> None:
    """Answer every exception of *app*'s views, known or not, here and nowhere else."""

    @app.errorhandler(Exception)
    def _answer(error: Exception) -> Response:
        failure = explain(error)
        g.error_code = failure.code.value
        incident = new_incident()
        if failure.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log_failure(error, failure, incident)
        counted_out = error if isinstance(error, TooManyRequestsError) else None
        event = DECISIONS.get(request.endpoint)
        if event is not None and not (counted_out and counted_out.recorded):
            _record_refusal(parts, event, failure, incident)
        response = _page(failure, incident) if _wants_page() else _json(failure, incident)
        response.status_code = failure.status
        if counted_out is not None:
            response.headers["Retry-After"] = str(counted_out.retry_seconds)
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
        return response


def explain(error: Exception) -> Failure:
    """Return the code, status and detail of *error*; what nobody foresaw is ``internal``."""
    match error:
        case LoginRejectedError():
            return _failure(error.reason, error.detail)
        case SessionRequiredError():
            return _failure(ErrorCode.SESSION_REQUIRED, str(error))
        case StoreUnavailableError():
            return _failure(ErrorCode.STORE_UNAVAILABLE, str(error))
        case RequestEntityTooLarge():
            return _failure(ErrorCode.REQUEST_TOO_LARGE, "the body is larger than allowed")
        case NotFound() | MethodNotAllowed():
            return Failure(
                code=ErrorCode.REQUEST_FORBIDDEN, status=error.code, detail=type(error).__name__
            )
        case HTTPException(code=int(status)) if 400 <= status < 500:
            return Failure(
                code=ErrorCode.REQUEST_MALFORMED, status=status, detail=type(error).__name__
            )
        case _:
            return _failure(ErrorCode.INTERNAL, type(error).__name__)


def _failure(code: ErrorCode, detail: str) -> Failure:
    status = HTTP_STATUS.get(code, HTTP_STATUS[ErrorCode.INTERNAL])
    return Failure(code=code, status=status, detail=detail[:_MAX_DETAIL])


def _log_failure(error: Exception, failure: Failure, incident: str) -> None:
    """Log what fails, without the address that was asked for: its query may hold a code."""
    # A refusal is a decision, and a store that is away is found so by each request: both are said
    # in one line. Anything else is looked for in its trace.
    said, trace = failure.code.value, None
    match error:
        case StoreUnavailableError():
            said = f"{said}: {failure.detail}"
        case LoginRejectedError():
            pass
        case _:
            trace = error
    _LOG.error("incident %s in %s: %s", incident, request.endpoint, said, exc_info=trace)


def _record_refusal(parts: Parts, event: str, failure: Failure, incident: str) -> None:
    try:
        parts.audit.record(
            event,
            rid=g.get("rid"),
            reason=failure.code,
            detail=failure.detail,
            ref=incident,
            client=client_address(),
            # Digests of what was handed in, by which it is known again should it turn up.
            **g.get("evidence", {}),
        )
    except StoreUnavailableError as exc:
        # It is refused all the same; that it could not be recorded stands in the log.
        _LOG.error("incident %s could not be recorded: %s", incident, exc)


def _wants_page() -> bool:
    """Return whether a person looks at the answer, and not a program."""
    mode = request.headers.get("Sec-Fetch-Mode")
    if mode is not None:
        return mode == "navigate"
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"


def _json(failure: Failure, incident: str) -> Response:
    return jsonify({"error": failure.code, "ref": incident})


def _page(failure: Failure, incident: str) -> Response:
    title, sentence = f"error_title.{failure.code}", f"error.{failure.code}"
    if failure.status == HTTPStatus.NOT_FOUND and failure.code is ErrorCode.REQUEST_FORBIDDEN:
        title, sentence = "error_page.not_found_title", "error_page.not_found"
    return make_response(
        render_template(
            "error.html",
            title=title,
            sentence=sentence,
            code=failure.code.value,
            incident=incident,
            offers_login=failure.code is not ErrorCode.REQUEST_FORBIDDEN,
        )
    )
