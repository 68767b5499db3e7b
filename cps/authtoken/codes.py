"""The error codes that agent and gateway share; each has one French and one English sentence."""

from enum import StrEnum, unique


@unique
class ErrorCode(StrEnum):
    """Name one cause for which a login, or a request, is refused.

    The value is what travels on the wire, stands in the audit log and is the catalogue's key.

    Source: docs/reference/protocol.md, "Error codes".
    """

    # Card and reader, found on the workstation.
    NO_SERVICE = "no_service"
    NO_READER = "no_reader"
    NO_CARD = "no_card"
    CARD_UNSUPPORTED = "card_unsupported"
    CARD_CONTACTLESS = "card_contactless"
    CARD_MUTE = "card_mute"
    CARD_BUSY = "card_busy"
    CARD_REMOVED = "card_removed"
    CARD_MALFORMED = "card_malformed"
    CARD_REFUSED = "card_refused"
    PIN_WRONG = "pin_wrong"
    PIN_BLOCKED = "pin_blocked"
    PIN_CANCELLED = "pin_cancelled"
    PINPAD_FAILED = "pinpad_failed"

    # The certificate of the card.
    CERT_MISSING = "cert_missing"
    CERT_MALFORMED = "cert_malformed"
    CERT_EXPIRED = "cert_expired"
    CERT_NOT_YET = "cert_not_yet"
    CERT_UNTRUSTED = "cert_untrusted"
    CERT_PURPOSE = "cert_purpose"
    CERT_POLICY = "cert_policy"
    CERT_TYPE = "cert_type"
    CERT_REVOKED = "cert_revoked"
    REVOCATION_UNAVAILABLE = "revocation_unavailable"

    # The exchange between browser, agent and gateway.
    TOKEN_MALFORMED = "token_malformed"  # noqa: S105 - a code, no secret
    SIG_INVALID = "sig_invalid"
    RID_UNKNOWN = "rid_unknown"
    RID_EXPIRED = "rid_expired"
    RID_USED = "rid_used"
    CODE_INVALID = "code_invalid"
    BROWSER_MISMATCH = "browser_mismatch"
    COOKIE_MISSING = "cookie_missing"
    ORIGIN_DENIED = "origin_denied"
    AGENT_TOO_OLD = "agent_too_old"
    TLS_ERROR = "tls_error"
    PROXY_ERROR = "proxy_error"
    GATEWAY_UNREACHABLE = "gateway_unreachable"
    NOT_AUTHORISED = "not_authorised"
    BUSY = "busy"
    PORT_IN_USE = "port_in_use"

    # Any request.
    REQUEST_MALFORMED = "request_malformed"
    REQUEST_FORBIDDEN = "request_forbidden"
    REQUEST_TOO_LARGE = "request_too_large"
    TOO_MANY_REQUESTS = "too_many_requests"
    SESSION_REQUIRED = "session_required"
    STEP_UP_REQUIRED = "step_up_required"
    STORE_UNAVAILABLE = "store_unavailable"
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    INTERNAL = "internal"
