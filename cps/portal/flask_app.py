"""The same for Flask: a check before each request, and the person in ``flask.g``."""

from collections.abc import Callable

from flask import Flask, Response, g, request
from flask.typing import ResponseReturnValue

from cps.authtoken.catalogue import best_language, text
from cps.portal.assertion import ASSERTION_HEADER, AssertionVerifier
from cps.portal.errors import AssertionRefusedError
from cps.portal.wsgi import refusal

Refused = Callable[[AssertionRefusedError], ResponseReturnValue]


def require_assertion(
    app: Flask, verifier: AssertionVerifier, *, refused: Refused | None = None
) -> None:
    """Let *app* answer only requests with a good assertion, whatever their path.

    Views find the :class:`~cps.portal.assertion.Professional` in ``flask.g.professional``. Call it
    before any other ``before_request``.

    :param refused: makes the answer to all others; default: a short text, 403 or 503.
    """

    @app.before_request
    def check() -> ResponseReturnValue | None:
        try:
            g.professional = verifier.require_professional(request.headers.get(ASSERTION_HEADER))
        except AssertionRefusedError as exc:
            app.logger.warning("%s", exc)
            return (refused or _refuse)(exc)
        return None


def _refuse(error: AssertionRefusedError) -> Response:
    status, key = refusal(error)
    sentence = text(key, best_language(request.headers.get("Accept-Language")))
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(sentence, status, headers, mimetype="text/plain")
