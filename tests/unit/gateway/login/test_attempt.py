import hashlib

import pytest

from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_decode
from gateway.errors import LoginRejectedError
from gateway.login.attempt import (
    CODE_BYTES,
    TARGET_ID_BYTES,
    code_hash,
    new_code,
    new_target_id,
    step_refusal,
    wrong_browser,
)
from gateway.login.challenge import ChallengeState


def test_a_code_is_known_by_its_hash() -> None:
    code, hashed = new_code()
    assert hashed == hashlib.sha256(b64url_decode(code, length=CODE_BYTES)).digest()
    assert code_hash(code) == hashed
    assert new_code() != (code, hashed)


def test_a_page_has_a_random_name() -> None:
    assert len({new_target_id() for _ in range(20)}) == 20
    assert len(b64url_decode(new_target_id())) == TARGET_ID_BYTES


@pytest.mark.parametrize("code", ["", "A" * 42, "A" * 42 + "=", "é" * 43], ids=repr)
def test_what_is_no_code_is_refused(code: str) -> None:
    with pytest.raises(LoginRejectedError) as caught:
        code_hash(code)
    assert caught.value.reason is ErrorCode.CODE_INVALID


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (ChallengeState.NEW, ErrorCode.RID_UNKNOWN),
        (ChallengeState.CLAIMED, ErrorCode.RID_EXPIRED),
        (ChallengeState.TAKEN, ErrorCode.RID_USED),
        (ChallengeState.FAILED, ErrorCode.RID_USED),
    ],
)
def test_a_step_is_refused_for_the_state_it_met(state: ChallengeState, reason: ErrorCode) -> None:
    assert step_refusal("rid", state, ChallengeState.CLAIMED).reason is reason


@pytest.mark.parametrize(
    ("pre_hash", "reason"),
    [(None, ErrorCode.COOKIE_MISSING), (b"x", ErrorCode.BROWSER_MISMATCH)],
    ids=["no cookie", "another cookie"],
)
def test_a_code_seen_elsewhere_is_told_with_its_attempt(
    pre_hash: bytes | None, reason: ErrorCode
) -> None:
    refusal = wrong_browser("the-rid", pre_hash)
    assert refusal.reason is reason
    assert "the-rid" in refusal.detail
