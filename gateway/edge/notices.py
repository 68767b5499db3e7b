"""What the relay itself says to a browser, and the refusal that makes it say so."""

from dataclasses import dataclass
from http import HTTPStatus

from cps.authtoken.codes import ErrorCode
from gateway.errors import GatewayError


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One answer of the relay's own."""

    status: HTTPStatus
    code: ErrorCode
    """What a program reads in the JSON form."""
    title: str
    """The catalogue's key of a few words."""
    text: str
    """The catalogue's key of the sentence that says what to do."""


def _of_code(status: HTTPStatus, code: ErrorCode) -> Notice:
    return Notice(status=status, code=code, title=f"error_title.{code}", text=f"error.{code}")


def _of_edge(status: HTTPStatus, code: ErrorCode, name: str) -> Notice:
    return Notice(status=status, code=code, title=f"edge_title.{name}", text=f"edge.{name}")


MALFORMED = _of_code(HTTPStatus.BAD_REQUEST, ErrorCode.REQUEST_MALFORMED)
SESSION_REQUIRED = _of_code(HTTPStatus.UNAUTHORIZED, ErrorCode.SESSION_REQUIRED)
STEP_UP = _of_code(HTTPStatus.UNAUTHORIZED, ErrorCode.STEP_UP_REQUIRED)
GUARD_ENDED = _of_edge(HTTPStatus.UNAUTHORIZED, ErrorCode.SESSION_REQUIRED, "guard_ended")
GUARD_BLOCKED = _of_edge(HTTPStatus.FORBIDDEN, ErrorCode.NOT_AUTHORISED, "guard_blocked")
GUARD_TOO_MANY = _of_edge(
    HTTPStatus.TOO_MANY_REQUESTS, ErrorCode.TOO_MANY_REQUESTS, "guard_too_many"
)
FORM_NOT_SENT = _of_edge(HTTPStatus.UNAUTHORIZED, ErrorCode.SESSION_REQUIRED, "form_not_sent")
FORBIDDEN = _of_code(HTTPStatus.FORBIDDEN, ErrorCode.REQUEST_FORBIDDEN)
NOT_FOUND = _of_edge(HTTPStatus.NOT_FOUND, ErrorCode.REQUEST_FORBIDDEN, "not_found")
METHOD_NOT_ALLOWED = _of_code(HTTPStatus.METHOD_NOT_ALLOWED, ErrorCode.REQUEST_FORBIDDEN)
BODY_TOO_SLOW = _of_code(HTTPStatus.REQUEST_TIMEOUT, ErrorCode.REQUEST_MALFORMED)
BODY_TOO_LARGE = _of_code(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, ErrorCode.REQUEST_TOO_LARGE)
EXPECTATION_FAILED = _of_code(HTTPStatus.EXPECTATION_FAILED, ErrorCode.REQUEST_MALFORMED)
WRONG_HOST = _of_edge(HTTPStatus.MISDIRECTED_REQUEST, ErrorCode.REQUEST_FORBIDDEN, "wrong_host")
HEAD_TOO_LARGE = _of_edge(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, ErrorCode.REQUEST_TOO_LARGE, "head_too_large"
)
INTERNAL = _of_code(HTTPStatus.INTERNAL_SERVER_ERROR, ErrorCode.INTERNAL)
PORTAL_UNAVAILABLE = _of_code(HTTPStatus.BAD_GATEWAY, ErrorCode.UPSTREAM_UNAVAILABLE)
LOGIN_UNAVAILABLE = _of_code(HTTPStatus.SERVICE_UNAVAILABLE, ErrorCode.STORE_UNAVAILABLE)
NOT_RECORDED = _of_edge(HTTPStatus.SERVICE_UNAVAILABLE, ErrorCode.STORE_UNAVAILABLE, "not_recorded")
PORTAL_TIMEOUT = _of_code(HTTPStatus.GATEWAY_TIMEOUT, ErrorCode.UPSTREAM_TIMEOUT)
OLD_VERSION = _of_code(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, ErrorCode.REQUEST_MALFORMED)


class RefusedRequestError(GatewayError):
    """The relay answers a request itself instead of passing it on."""

    def __init__(self, notice: Notice, detail: str) -> None:
        super().__init__(f"{notice.status:d} {notice.code}: {detail}")
        self.notice = notice
        self.detail = detail
        """For the log: fixed words, nothing that the request contained."""
