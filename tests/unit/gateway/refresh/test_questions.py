import asyncio
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gateway.refresh import questions as module
from gateway.refresh.memory import AnswerTable
from gateway.refresh.questions import KNOWN_FOR, RENEW_BEFORE, Certificate, Questions
from gateway.refresh.responders import Inquiry, Responders
from gateway.trust.ask import Ask
from gateway.trust.revocation_memory import KeptAnswer, owner_of
from tests.support import pki

OURS = owner_of(pki.hierarchy().intermediate.certificate)
ROOT = owner_of(pki.hierarchy().root.certificate)
STRANGER = "ab" * 32
HOUR = timedelta(hours=1)


class FakeInquiry(Inquiry):
    """Knows everything, and remembers who asked."""

    def __init__(self) -> None:
        self.asked: list[Certificate] = []
        self.problem: OSError | None = None

    async def ask(self, responders: Responders, serial: int) -> bool:
        if self.problem is not None:
            raise self.problem
        self.asked.append((responders.owner, serial))
        return True


class Setting:
    """Questions of a gateway with responders for cards and authorities."""

    def __init__(
        self, path: Path, runner: asyncio.Runner, *, always: Sequence[Certificate] = ()
    ) -> None:
        self.runner = runner
        self.now = pki.NOW
        self.weak = False
        self.inquiry = FakeInquiry()
        self.path = path
        self.answers = AnswerTable(path)
        self.always = always
        self.restart()

    def restart(self) -> None:
        ours = pki.hierarchy()
        self.questions = Questions(
            self.inquiry,
            {
                owner: Responders(owner=owner, issuer=issuer.certificate, responders=())
                for owner, issuer in ((OURS, ours.intermediate), (ROOT, ours.root))
            },
            answers=self.answers,
            always=self.always,
            is_weak=lambda _: self.weak,
            clock=self.clock,
        )

    def clock(self) -> datetime:
        return self.now

    def hear(self, serial: int, *, urgent: bool, owner: str = OURS) -> None:
        self.questions.hear(Ask(owner=owner, serial=serial, urgent=urgent).encode())

    def keep(self, serial: int, *, held: bool = False, left: timedelta = HOUR) -> None:
        answer = KeptAnswer(held=held, this_update=self.now, expires=self.now + left)
        self.answers.keep(OURS, serial, answer)

    def work(self) -> list[int]:
        """Return what is asked until nothing waits."""
        self.inquiry.asked.clear()

        async def run() -> None:
            try:
                async with asyncio.timeout(0.05):
                    await self.questions.work()
            except TimeoutError:
                return

        self.runner.run(run())
        return [serial for _, serial in self.inquiry.asked]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACE_SECONDS", 0)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def setting(tmp_path: Path, runner: asyncio.Runner) -> Setting:
    return Setting(tmp_path / "answers.table", runner)


def test_an_urgent_card_is_asked_about_once(setting: Setting) -> None:
    setting.hear(5, urgent=True)
    setting.hear(5, urgent=True)
    setting.hear(6, urgent=True)
    assert setting.work() == [5, 6]
    setting.hear(5, urgent=True)
    assert setting.work() == [5]


def test_a_card_is_not_asked_about_where_the_list_will_do(setting: Setting) -> None:
    setting.hear(5, urgent=False)
    setting.questions.renew()
    assert setting.work() == []


def test_known_cards_are_asked_about_when_the_list_grows_old(setting: Setting) -> None:
    setting.hear(5, urgent=False)
    setting.hear(6, urgent=False)
    setting.weak = True
    setting.questions.renew()
    assert setting.work() == [5, 6]


def test_an_answer_is_renewed_before_it_ends(setting: Setting) -> None:
    setting.weak = True
    for serial, left in ((5, RENEW_BEFORE), (6, RENEW_BEFORE - timedelta(seconds=1))):
        setting.hear(serial, urgent=False)
        setting.keep(serial, left=left)
    setting.questions.renew()
    assert setting.work() == [6]


def test_after_a_hold_it_is_asked_again(setting: Setting) -> None:
    setting.weak = True
    setting.hear(5, urgent=False)
    setting.keep(5, held=True)
    setting.questions.renew()
    assert setting.work() == [5]


def test_a_card_is_forgotten_a_week_after_its_last_login(setting: Setting) -> None:
    setting.hear(5, urgent=False)
    setting.weak = True
    setting.now += KNOWN_FOR
    setting.hear(6, urgent=False)
    setting.questions.renew()
    assert setting.work() == [5, 6]
    setting.now += timedelta(seconds=1)
    setting.questions.renew()
    assert setting.work() == [6]


def test_of_too_many_cards_the_last_are_known(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_KNOWN", 2)
    for serial in (5, 6, 5, 7):
        setting.hear(serial, urgent=False)
    setting.weak = True
    setting.questions.renew()
    assert setting.work() == [5, 7]


def test_after_a_restart_cards_with_answers_are_known(setting: Setting) -> None:
    setting.keep(5, left=timedelta(minutes=1))
    setting.answers.write(setting.now)
    setting.restart()
    setting.weak = True
    setting.questions.renew()
    assert setting.work() == [5]


def test_authorities_are_asked_about_all_the_time(tmp_path: Path, runner: asyncio.Runner) -> None:
    setting = Setting(tmp_path / "a", runner, always=[(ROOT, 9), (STRANGER, 8)])
    setting.questions.renew()
    setting.work()
    assert setting.inquiry.asked == [(ROOT, 9)]


def test_the_card_of_an_authority_without_responder_is_nobodys_business(setting: Setting) -> None:
    setting.hear(5, urgent=True, owner=STRANGER)
    assert setting.work() == []


@pytest.mark.parametrize("message", [b"", b"x", b"\xff" * 300], ids=["empty", "short", "long"])
def test_a_message_that_is_not_understood_does_no_harm(
    setting: Setting, message: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    setting.questions.hear(message)
    assert "not understood" in caplog.text
    assert setting.work() == []


def test_a_flood_of_questions_is_cut(
    tmp_path: Path,
    runner: asyncio.Runner,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    setting = Setting(tmp_path / "a", runner)
    with caplog.at_level(logging.WARNING):
        for serial in (5, 6, 7):
            setting.hear(serial, urgent=True)
    assert "too many questions" in caplog.text
    assert setting.work() == [5, 6]
    setting.hear(7, urgent=True)
    assert setting.work() == [7]


def test_answers_are_written_as_they_come(setting: Setting) -> None:
    setting.keep(5)
    setting.hear(6, urgent=True)
    setting.work()
    assert AnswerTable(setting.path).known() == ((OURS, 5),)


def test_a_question_that_fails_can_be_asked_again(setting: Setting) -> None:
    setting.inquiry.problem = OSError("disk full")
    setting.hear(5, urgent=True)
    with pytest.raises(OSError, match="disk full"):
        setting.work()
    setting.inquiry.problem = None
    setting.hear(5, urgent=True)
    assert setting.work() == [5]
