"""What every store of login attempts does the same way: sizes, codes and refusals."""

import hashlib
import secrets
from datetime import datetime, timedelta

from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_decode, b64url_encode
from cps.authtoken.frame import NONCE_BYTES, RID_BYTES
from cps.authtoken.jwk import AgentKey
from gateway.errors import LoginRejectedError
from gateway.login.challenge import Challenge, ChallengeState, Nonce
from gateway.settings import LoginSettings

CODE_BYTES = 32
TARGET_ID_BYTES = 16
START_CODE_SECONDS = 15
"""Longest life of the code of a login that an agent began: until it is offered, it is tied to no
browser."""
ANSWER_SECONDS = 40
"""How long a person may think about going on with it. A lease without a session is over soon after:
see :mod:`gateway.session.lease`."""
KEEP_SECONDS = 600
"""How long an attempt is still known after its end, so that the answer can name the cause."""


def new_challenge(
    target: str, agent_key: AgentKey | None, settings: LoginSettings, *, now: datetime
) -> Challenge:
    """Return a new attempt, which no store knows yet.

    :param target: a path of the same origin.
    :param agent_key: of the agent that begins it, ``None`` where a browser does.
    """
    return Challenge(
        rid=b64url_encode(secrets.token_bytes(RID_BYTES)),
        nonce=Nonce(secrets.token_bytes(NONCE_BYTES)),
        target=target,
        agent_key=agent_key,
        expires_at=now + timedelta(seconds=settings.challenge_seconds),
    )


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


def code_ends(settings: LoginSettings, *, now: datetime) -> tuple[datetime, datetime]:
    """Return until when a code given *now* is good: of an agent's login, of a browser's."""
    usual = settings.code_seconds
    shortest = min(START_CODE_SECONDS, usual)
    return now + timedelta(seconds=shortest), now + timedelta(seconds=usual)


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


def code_of_a_browser(rid: str) -> LoginRejectedError:
    """Return the refusal to offer what a browser began: its code belongs in that one."""
    return LoginRejectedError(ErrorCode.CODE_INVALID, f"right code of {rid}, begun by a browser")


def wrong_browser(rid: str, pre_hash: bytes | None) -> LoginRejectedError:
    """Return the refusal of a right code from a browser that did not begin the attempt."""
    detail = f"right code of {rid} where its cookie is not"
    if pre_hash is None:
        return LoginRejectedError(ErrorCode.COOKIE_MISSING, detail)
    return LoginRejectedError(ErrorCode.BROWSER_MISMATCH, detail)
