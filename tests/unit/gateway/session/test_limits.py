from datetime import timedelta

import pytest

from gateway.session.limits import CLOCK_STEP, SessionLimits
from gateway.session.model import EndReason
from gateway.settings import SessionSettings
from tests.support.logins import MOMENT

LIMITS = SessionLimits.of(
    SessionSettings(idle_seconds=100, absolute_seconds=1000, touch_seconds=10)
)
SECOND = timedelta(seconds=1)
INSTANT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("age", "pause", "reason"),
    [
        pytest.param(0, 0, None, id="new"),
        pytest.param(999, 99, None, id="just inside both"),
        pytest.param(200, 100, EndReason.IDLE, id="idle"),
        pytest.param(1000, 0, EndReason.ABSOLUTE, id="old though in use"),
        pytest.param(1000, 100, EndReason.ABSOLUTE, id="both"),
        pytest.param(-60, -60, None, id="clock a little back"),
        pytest.param(-61, -61, EndReason.ABSOLUTE, id="clock far back"),
    ],
)
def test_a_session_ends_at_its_limits(age: int, pause: int, reason: EndReason | None) -> None:
    created = MOMENT - age * SECOND
    seen = MOMENT - pause * SECOND
    found = LIMITS.end_reason(created_at=created, seen_at=seen, now=MOMENT, present_until=None)
    assert found is reason


def test_a_limit_is_exact_to_the_microsecond() -> None:
    def reason(pause: timedelta) -> EndReason | None:
        begun = MOMENT - pause
        return LIMITS.end_reason(created_at=begun, seen_at=begun, now=MOMENT, present_until=None)

    assert reason(LIMITS.idle) is EndReason.IDLE
    assert reason(LIMITS.idle - INSTANT) is None


@pytest.mark.parametrize(
    ("left", "pause", "reason"),
    [
        pytest.param(INSTANT, 0, None, id="just inside"),
        pytest.param(0 * SECOND, 0, EndReason.PRESENCE_LOST, id="at its end"),
        pytest.param(-SECOND, 0, EndReason.PRESENCE_LOST, id="past its end"),
        pytest.param(-SECOND, 2000, EndReason.PRESENCE_LOST, id="past every limit"),
        pytest.param(SECOND, 100, EndReason.IDLE, id="idle beside the card"),
    ],
)
def test_a_session_ends_with_its_lease(
    left: timedelta, pause: int, reason: EndReason | None
) -> None:
    begun = MOMENT - pause * SECOND
    found = LIMITS.end_reason(
        created_at=begun, seen_at=begun, now=MOMENT, present_until=MOMENT + left
    )
    assert found is reason


@pytest.mark.parametrize(
    ("pause", "due"),
    [
        pytest.param(10, True, id="interval over"),
        pytest.param(9, False, id="within"),
        pytest.param(-5, False, id="clock back"),
    ],
)
def test_use_is_noted_once_an_interval(pause: int, due: bool) -> None:
    assert LIMITS.is_touch_due(seen_at=MOMENT - pause * SECOND, now=MOMENT) is due


def test_an_end_is_told_until_every_copy_of_the_session_is_too_old() -> None:
    assert LIMITS.forget_before(MOMENT) == MOMENT - LIMITS.absolute - CLOCK_STEP
