"""What every store of login attempts does the same way: sizes, codes and refusals."""

import hashlib
import secrets

from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_decode, b64url_encode
from gateway.errors import LoginRejectedError
from gateway.login.challenge import ChallengeState

CODE_BYTES = 32
TARGET_ID_BYTES = 16
KEEP_SECONDS = 600
"""How long an attempt is still known after its end, so that the answer can name the cause."""


def new_code() -> tuple[str, bytes]:
    """Return a new one-time code, and the hash by which alone a store knows it."""
    code = secrets.token_bytes(CODE_BYTES)
    return b64url_encode(code), hashlib.sha256(code).digest()


def new_target_id() -> str:
    """Return a new random name for a page to return to."""
    return b64url_encode(secrets.token_bytes(TARGET_ID_BYTES))


def code_hash(code: str) -> bytes:
    """Return the hash of a code as the browser brought it.

    :raises LoginRejectedError: CODE_INVALID for what has not the form of a code.
    """
    try:
        return hashlib.sha256(b64url_decode(code, length=CODE_BYTES)).digest()
    except ValueError as exc:
        raise LoginRejectedError(ErrorCode.CODE_INVALID, "not the form of a code") from exc


def unknown_attempt() -> LoginRejectedError:
    """Return the refusal of a request id that the store does not know."""
    return LoginRejectedError(ErrorCode.RID_UNKNOWN, "no such request id")


def step_refusal(rid: str, state: ChallengeState, wanted: ChallengeState) -> LoginRejectedError:
    """Return the refusal of a step that starts from *wanted*, where the attempt is in *state*."""
    detail = f"{rid} is {state} where {wanted} is wanted"
    if state is wanted:
        return LoginRejectedError(ErrorCode.RID_EXPIRED, detail)
    if state is ChallengeState.NEW:
        return LoginRejectedError(ErrorCode.RID_UNKNOWN, detail)
    return LoginRejectedError(ErrorCode.RID_USED, detail)


def unknown_code() -> LoginRejectedError:
    """Return the refusal of a code that is not good, or not good any more."""
    return LoginRejectedError(ErrorCode.CODE_INVALID, "unknown, used or expired")


def wrong_browser(rid: str, pre_hash: bytes | None) -> LoginRejectedError:
    """Return the refusal of a right code from a browser that did not begin the attempt."""
    detail = f"right code of {rid} where its cookie is not"
    if pre_hash is None:
        return LoginRejectedError(ErrorCode.COOKIE_MISSING, detail)
    return LoginRejectedError(ErrorCode.BROWSER_MISMATCH, detail)
