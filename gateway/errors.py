"""What can go wrong on the gateway's side.

GatewayError
├── ConfigurationError     refuse to start: file, key and reason
├── LoginRejectedError     one ErrorCode; the detail is for the log alone
│   └── TooManyRequestsError   when to come back
├── SessionRequiredError   no valid session for this request
├── StoreUnavailableError  sessions or challenges cannot be read: nobody is let in
│   └── StoreReplacedError   every session known so far is over
└── UpstreamError          the portal behind did not answer
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from cps.authtoken.codes import ErrorCode


class GatewayError(Exception):
    """The root of the gateway's own errors."""


class ConfigurationError(GatewayError):
    """A setting is wrong; the gateway does not start."""

    def __init__(
        self, file: str, key: str, reason: str, others: Sequence["ConfigurationError"] = ()
    ) -> None:
        super().__init__("\n".join([f"{file}: {key}: {reason}", *map(str, others)]))
        self.file = file
        self.key = key
        self.reason = reason
        self.others = tuple(others)
        """Faults found at the same time; the text has a line for each."""


class LoginRejectedError(GatewayError):
    """A login was refused."""

    def __init__(self, reason: ErrorCode, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        """For the log: never shown to the browser, never a secret."""


class TooManyRequestsError(LoginRejectedError):
    """An address or a person asked too often."""

    def __init__(self, detail: str, retry_seconds: int, *, recorded: bool) -> None:
        super().__init__(ErrorCode.TOO_MANY_REQUESTS, detail)
        self.retry_seconds = retry_seconds
        """When the next request can succeed, whole seconds from now, at least 1."""
        self.recorded = recorded
        """Whether the audit log knows of it: of a flood not every request gets a line."""


class SessionRequiredError(GatewayError):
    """The request carries no session that is valid now."""


class StoreUnavailableError(GatewayError):
    """The store of sessions or challenges did not answer."""


class StoreReplacedError(StoreUnavailableError):
    """The store was emptied, exchanged or set back: every session known so far is over."""

    def __init__(self, cursor: int) -> None:
        super().__init__("the store was emptied, exchanged or set back; every session is over")
        self.cursor = cursor
        """Where to go on asking for ended sessions, once what was known is forgotten."""


class UpstreamError(GatewayError):
    """The portal behind the gateway did not answer as a web server does."""

    def __init__(self, reason: ErrorCode, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


HTTP_STATUS: Mapping[ErrorCode, int] = MappingProxyType(
    {
        ErrorCode.CARD_CONTACTLESS: 403,
        ErrorCode.CARD_REMOVED: 403,
        ErrorCode.CERT_MALFORMED: 400,
        ErrorCode.CERT_EXPIRED: 403,
        ErrorCode.CERT_NOT_YET: 403,
        ErrorCode.CERT_UNTRUSTED: 403,
        ErrorCode.CERT_PURPOSE: 403,
        ErrorCode.CERT_POLICY: 403,
        ErrorCode.CERT_TYPE: 403,
        ErrorCode.CERT_REVOKED: 403,
        ErrorCode.REVOCATION_UNAVAILABLE: 503,
        ErrorCode.TOKEN_MALFORMED: 400,
        ErrorCode.SIG_INVALID: 403,
        ErrorCode.RID_UNKNOWN: 404,
        ErrorCode.RID_EXPIRED: 410,
        ErrorCode.RID_USED: 409,
        ErrorCode.CODE_INVALID: 403,
        ErrorCode.BROWSER_MISMATCH: 403,
        ErrorCode.COOKIE_MISSING: 400,
        ErrorCode.AGENT_TOO_OLD: 426,
        ErrorCode.NOT_AUTHORISED: 403,
        ErrorCode.REQUEST_MALFORMED: 400,
        ErrorCode.REQUEST_FORBIDDEN: 403,
        ErrorCode.REQUEST_TOO_LARGE: 413,
        ErrorCode.TOO_MANY_REQUESTS: 429,
        ErrorCode.SESSION_REQUIRED: 401,
        ErrorCode.STEP_UP_REQUIRED: 401,
        ErrorCode.STORE_UNAVAILABLE: 503,
        ErrorCode.UPSTREAM_UNAVAILABLE: 502,
        ErrorCode.UPSTREAM_TIMEOUT: 504,
        ErrorCode.INTERNAL: 500,
    }
)
"""The HTTP status with which the gateway answers each code it can give."""
