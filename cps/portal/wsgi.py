"""Middleware for any WSGI portal: no request comes in without the gateway's signed word."""

import logging
from collections.abc import Iterable
from http import HTTPStatus
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from cps.authtoken.catalogue import best_language, text
from cps.portal.assertion import AssertionVerifier
from cps.portal.errors import AssertionRefusedError, KeysUnavailableError

PROFESSIONAL = "cps.professional"
"""Where the application finds the :class:`~cps.portal.assertion.Professional` in its environ."""
_OUR_HEADERS = "HTTP_X_CPS_"
_log = logging.getLogger(__name__)


class AssertionMiddleware:
    """Lets *application* see only requests with a good assertion.

    The application finds the person under ``cps.professional`` and the national number as
    ``REMOTE_USER``. The other ``X-CPS-`` headers, which nobody signed, do not reach it.

    :param refused: answers in place of the application; default: a short text in the person's
        language. It finds the reason under ``cps.refused``, for the log and not for the person.
    """

    def __init__(
        self,
        application: WSGIApplication,
        verifier: AssertionVerifier,
        *,
        refused: WSGIApplication | None = None,
    ) -> None:
        self._application = application
        self._verifier = verifier
        self._refused = refused or refuse

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        assertion = environ.get("HTTP_X_CPS_ASSERTION")
        for name in [name for name in environ if name.startswith(_OUR_HEADERS)]:
            del environ[name]
        for name in ("REMOTE_USER", PROFESSIONAL):
            environ.pop(name, None)
        try:
            professional = self._verifier.require_professional(assertion)
        except AssertionRefusedError as exc:
            _log.warning("%s", exc)
            environ["cps.refused"] = exc
            return self._refused(environ, start_response)
        environ[PROFESSIONAL] = professional
        environ["REMOTE_USER"] = professional.national_id
        return self._application(environ, start_response)


def refuse(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer 403, or 503 where the gateway's keys cannot be had, with a sentence that helps."""
    status, key = refusal(environ["cps.refused"])
    body = text(key, best_language(environ.get("HTTP_ACCEPT_LANGUAGE"))).encode()
    start_response(
        f"{status.value} {status.phrase}",
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ],
    )
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]


def refusal(error: AssertionRefusedError) -> tuple[HTTPStatus, str]:
    """Return the status and the catalogue's key with which *error* is answered."""
    if isinstance(error, KeysUnavailableError):
        return HTTPStatus.SERVICE_UNAVAILABLE, "portal.keys_unavailable"
    return HTTPStatus.FORBIDDEN, "portal.refused"
