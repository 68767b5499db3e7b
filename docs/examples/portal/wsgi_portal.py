"""Any WSGI portal behind the gateway (Django, Pyramid, ...): `pip install cps-gateway[portal]`."""

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from cps.portal.assertion import AssertionVerifier
from cps.portal.wsgi import PROFESSIONAL, AssertionMiddleware


def portal(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer as your own application does."""
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"Bonjour {environ[PROFESSIONAL].given_name}".encode()]


def create_app(verifier: AssertionVerifier) -> WSGIApplication:
    """Return the portal, which sees only requests with an assertion."""
    return AssertionMiddleware(portal, verifier)
