import threading
from pathlib import Path

import pytest

from gateway.errors import ConfigurationError
from gateway.notify import notifier
from gateway.notify.notice import LoginNotice, NotSentError
from gateway.notify.notifier import Notifier, ways_of
from gateway.settings_notify import NotifySettings
from tests.support.gateway_fakes import make_settings
from tests.unit.gateway.notify.notices import NOTICE


class FakeWay:
    """Takes notices once it may, and fails as it is told to."""

    def __init__(self, name: str, *failures: Exception) -> None:
        self.name = name
        self.may_go_on = threading.Event()
        self.has_tried = threading.Semaphore(0)
        self.reached = True
        self._failures = list(failures)

    def reaches(self, notice: LoginNotice) -> bool:
        return self.reached

    def send(self, notice: LoginNotice) -> None:
        assert self.may_go_on.wait(5)
        self.has_tried.release()
        if self._failures:
            raise self._failures.pop(0)


class Results:
    """Counts, and lets the test wait for a number of them."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self._changed = threading.Condition()

    def __call__(self, way: str, result: str) -> None:
        with self._changed:
            self.seen.append((way, result))
            self._changed.notify_all()

    def wait(self, number: int) -> list[tuple[str, str]]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.seen) >= number, 5)
        return sorted(self.seen)


def test_every_way_is_told(caplog: pytest.LogCaptureFixture) -> None:
    one, other, results = FakeWay("one"), FakeWay("other"), Results()
    notifying = Notifier([one, other], results)
    notifying.start()
    for each in (one, other):
        each.may_go_on.set()
    notifying.tell(NOTICE)
    assert results.wait(2) == [("one", "sent"), ("other", "sent")]


def test_a_way_that_hangs_holds_up_neither_logins_nor_the_other_way(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notifier, "MAX_WAITING", 2)
    stuck, other, results = FakeWay("stuck"), FakeWay("other"), Results()
    other.may_go_on.set()
    notifying = Notifier([stuck, other], results)
    # Before the threads run, so that what waits is exact.
    for _ in range(5):
        notifying.tell(NOTICE)
    assert sorted(results.seen) == [("other", "dropped")] * 3 + [("stuck", "dropped")] * 3
    assert "too many wait" in caplog.text
    notifying.start()
    assert results.wait(8)[3:5] == [("other", "sent")] * 2
    stuck.may_go_on.set()
    assert results.wait(10)[-2:] == [("stuck", "sent")] * 2


@pytest.mark.parametrize(
    "failure",
    [NotSentError("answer 500"), RuntimeError("a defect")],
    ids=["not taken", "a defect"],
)
def test_a_failure_is_counted_and_logged_and_the_next_goes_out(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    way, results = FakeWay("way", failure), Results()
    way.may_go_on.set()
    notifying = Notifier([way], results)
    notifying.start()
    notifying.tell(NOTICE)
    notifying.tell(NOTICE)
    assert results.wait(2) == [("way", "failed"), ("way", "sent")]
    assert f"notice of session {NOTICE.session} by way failed" in caplog.text
    assert NOTICE.identity.national_id not in caplog.text


def test_whom_a_way_does_not_reach_is_not_queued() -> None:
    way, results = FakeWay("way"), Results()
    way.may_go_on.set()
    notifying = Notifier([way], results)
    notifying.start()
    way.reached = False
    notifying.tell(NOTICE)
    way.reached = True
    notifying.tell(NOTICE)
    assert results.wait(1) == [("way", "sent")]
    assert way.has_tried.acquire(timeout=5)
    assert not way.has_tried.acquire(blocking=False)


def notify_settings(folder: Path) -> NotifySettings:
    (folder / "secret").write_text("x" * 32)
    (folder / "addresses").touch()
    return NotifySettings(
        webhook_url="https://hook.example",
        webhook_secret_file=folder / "secret",
        smtp_host="mail.example",
        smtp_user="cps",
        smtp_password_file=folder / "secret",
        mail_from="a@b.example",
        addresses=folder / "addresses",
    )


def test_the_settings_name_the_ways(tmp_path: Path) -> None:
    portal = make_settings(tmp_path).portal
    ways = ways_of(notify_settings(tmp_path), portal)
    assert [each.name for each in ways] == ["webhook", "mail"]
    assert ways_of(NotifySettings(), portal) == []


@pytest.mark.parametrize(
    ("name", "content", "key"),
    [
        ("secret", "x" * 31, "notify.webhook_secret_file"),
        ("addresses", "no", "notify.addresses"),
    ],
    ids=["short secret", "addresses"],
)
def test_a_file_that_cannot_be_used_stops_the_start(
    tmp_path: Path, name: str, content: str, key: str
) -> None:
    settings = notify_settings(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigurationError) as caught:
        ways_of(settings, make_settings(tmp_path).portal)
    assert caught.value.key == key
