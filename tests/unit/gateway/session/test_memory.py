from gateway.session.cookie import cookie_hash
from gateway.session.memory import MemorySessionStore
from gateway.session.model import EndReason
from gateway.settings import SessionSettings
from tests.support.logins import DOCTOR, MOMENT, agent_key


def test_two_stores_share_nothing() -> None:
    one, two = (MemorySessionStore(SessionSettings()) for _ in range(2))
    key = cookie_hash(one.create(DOCTOR, agent_key(), now=MOMENT))
    assert not two.end(key, EndReason.LOGOUT, now=MOMENT)
    assert one.end(key, EndReason.LOGOUT, now=MOMENT)
