"""The question at a portal's first use: nothing is exchanged before the answer."""

from pathlib import Path

import pytest

from cps.agent.consent import Consent
from cps.agent.errors import SignInError
from cps.agent.file import UnattendedPINEntry
from cps.agent.origins import AllowList
from cps.agent.portals import Portals
from cps.authtoken.codes import ErrorCode
from tests.unit.cps.agent.fakes import FakePerson, login_request
from tests.unit.cps.agent.loopback import Recorder, running_agent

NEW = "https://new.example"


def wanted() -> bool:
    return True


@pytest.fixture
def portals(tmp_path: Path) -> Portals:
    listed = AllowList.of(["https://portal.example"], (), development=False)
    return Portals(listed, tmp_path / "confirmed.toml")


def test_a_portal_that_was_named_needs_no_answer(portals: Portals) -> None:
    person = FakePerson()
    Consent(portals, person)(login_request("https://portal.example"), wanted)
    assert person.asked_about == []


def test_a_yes_is_asked_for_once(portals: Portals) -> None:
    person = FakePerson()
    for _ in range(2):
        Consent(portals, person)(login_request(NEW), wanted)
    assert person.asked_about == [NEW]


def test_a_no_is_kept_nowhere(portals: Portals) -> None:
    person = FakePerson()
    person.says_yes = False
    for _ in range(2):
        with pytest.raises(SignInError) as caught:
            Consent(portals, person)(login_request(NEW), wanted)
        assert caught.value.code is ErrorCode.ORIGIN_DENIED
    assert person.asked_about == [NEW, NEW]
    assert not portals.allows(NEW)


def test_where_nobody_is_there_the_answer_is_no(portals: Portals) -> None:
    entry = UnattendedPINEntry(lambda: bytearray(b"1234"), lambda: None)
    with pytest.raises(SignInError):
        Consent(portals, entry)(login_request(NEW), wanted)


def test_a_host_that_is_no_origin_is_not_even_asked_about(tmp_path: Path) -> None:
    done = Recorder()
    with running_agent(done, confirmed=tmp_path / "confirmed.toml") as browser:
        for host in ("new.example:443", "a..b", "-", "new.example:0"):
            assert browser.request(target=f"/v1/login?r={'A' * 22}&o={host}").status in (403, 429)
    assert done.seen == []
