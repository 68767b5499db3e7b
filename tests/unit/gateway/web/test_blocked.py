from datetime import datetime
from pathlib import Path
from typing import cast

import pytest

from cps.authtoken.codes import ErrorCode
from cps.authtoken.token import AuthToken
from gateway.database import Database
from gateway.errors import LoginRejectedError
from gateway.guard.sqlite import DATABASE_FILE, SCHEMA, SQLiteGuardStore
from gateway.guard.store import Block
from gateway.identity import VerifiedIdentity
from gateway.login.challenge import Challenge
from gateway.web.blocked import UnblockedVerifier
from tests.support.logins import DOCTOR, MOMENT


class GoodCard:
    """Finds every card good."""

    def verify(self, token: AuthToken, challenge: Challenge, *, now: datetime) -> VerifiedIdentity:
        return DOCTOR


def test_a_good_card_does_not_open_to_who_is_blocked(tmp_path: Path) -> None:
    database = Database(tmp_path / DATABASE_FILE, schema=SCHEMA)
    guard = SQLiteGuardStore(database)
    verifier = UnblockedVerifier(GoodCard(), guard)
    token, challenge = cast("AuthToken", None), cast("Challenge", None)
    assert verifier.verify(token, challenge, now=MOMENT) == DOCTOR
    guard.block(Block(identity=DOCTOR.national_id, rule="records", at=MOMENT))
    with pytest.raises(LoginRejectedError) as caught:
        verifier.verify(token, challenge, now=MOMENT)
    assert caught.value.reason == ErrorCode.NOT_AUTHORISED
    guard.clear(DOCTOR.national_id)
    assert verifier.verify(token, challenge, now=MOMENT) == DOCTOR
    database.close()
