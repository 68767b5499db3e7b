import pytest

from cps.agent.checks import Refusal, RefusedRequestError
from cps.agent.handover import KEY_BYTES, KEY_SECONDS, Handover
from cps.authtoken.encoding import b64url_decode
from tests.unit.cps.agent.fakes import FakeClock

ADDRESS = "https://portal.example/_cps/start#CODE"


def key_of(path: str) -> str:
    before, _, key = path.partition("/v1/start?k=")
    assert before == ""
    assert len(b64url_decode(key)) == KEY_BYTES
    return key


def refused(handover: Handover, key: str) -> bool:
    with pytest.raises(RefusedRequestError) as caught:
        handover.take(key)
    return caught.value.refusal is Refusal.START_KEY


def test_an_address_is_given_out_once() -> None:
    handover = Handover()
    key = key_of(handover.keep(ADDRESS))
    assert handover.waits()
    assert handover.take(key) == ADDRESS
    assert not handover.waits()
    assert refused(handover, key)


def test_the_way_there_does_not_tell_the_address() -> None:
    handover = Handover()
    path = handover.keep(ADDRESS)
    assert "CODE" not in path
    assert handover.keep(ADDRESS) != path
    assert "CODE" not in repr(vars(handover))


@pytest.mark.parametrize("key", ["", "A" * 43, "A" * 42], ids=["empty", "guessed", "short"])
def test_a_wrong_key_is_refused_and_uses_nothing_up(key: str) -> None:
    handover = Handover()
    right = key_of(handover.keep(ADDRESS))
    assert refused(handover, key)
    assert handover.take(right) == ADDRESS


def test_a_key_has_its_time() -> None:
    clock = FakeClock()
    handover = Handover(clock)
    key = key_of(handover.keep(ADDRESS))
    clock.pass_by(KEY_SECONDS)
    assert refused(handover, key)
    assert not handover.waits()
    clock.now = 0
    assert refused(handover, key), "what was over stays over"


def test_a_new_login_takes_the_place_of_the_last() -> None:
    handover = Handover()
    first = key_of(handover.keep(ADDRESS))
    second = key_of(handover.keep("https://other.example/_cps/start#CODE"))
    assert refused(handover, first)
    assert handover.take(second) == "https://other.example/_cps/start#CODE"


def test_without_a_login_no_key_is_right() -> None:
    assert refused(Handover(), "A" * 43)
