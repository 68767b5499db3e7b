"""What the doctor finds: of a good card, and of each thing that can be in the way of a login."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from cps.atr import CPS3_CONTACTLESS_ATR
from cps.authtoken.catalogue import text
from cps.authtoken.codes import ErrorCode
from cps.card_commands.doctor import Finding, Mark, examine
from cps.card_commands.surroundings import ToolError
from cps.errors import CardError, NoServiceError
from cps.simulator.chip import SoftwareCard
from cps.transport.connection import ReaderState
from tests.support import cards, pki
from tests.support.meddling import MeddledTerminal, each_answer, mute_at, removed_before
from tests.unit.cps.agent.test_texts import CASES
from tests.unit.cps.card.test_certificate import NAMED_IN_BITS, OF_NO_VERSION, Damage
from tests.unit.cps.card_commands.around import EMPTY, FOREIGN, GHOST, READER, Desk, Readers


@pytest.fixture
def desk() -> Desk:
    return Desk()


def findings(desk: Desk, wanted: str | None = None) -> list[Finding]:
    return list(examine(desk.surroundings(), wanted))


def marks(desk: Desk) -> list[Mark]:
    return [finding.mark for finding in findings(desk)]


def certificate_end() -> datetime:
    return cards.certificate_of(cards.image(), "3F000001C002").not_valid_after_utc


@pytest.mark.parametrize("make", [cards.image, cards.cps4_image], ids=["CPS3", "CPS4"])
def test_of_a_good_card_everything_is_good(make: Callable[[], object]) -> None:
    desk = Desk(make(), t0=make is cards.image)  # type: ignore[arg-type]
    found = findings(desk)
    assert {finding.mark for finding in found} == {Mark.GOOD}
    assert all(finding.advice is None for finding in found)
    said = "\n".join(finding.words for finding in found)
    for fact in (READER, cards.SERIAL, "CAMILLE EXEMPLE", "3 tries left", "T="):
        assert fact in said
    assert desk.terminal.verifications == 0


def test_a_line_has_a_mark_and_its_advice_below() -> None:
    bad = Finding(mark=Mark.BAD, words="No.", advice="Do.")
    assert list(bad.lines()) == ["[ X  ] No.", "       → Do."]
    assert list(Finding(mark=Mark.GOOD, words="Yes.").lines()) == ["[ OK ] Yes."]


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_service_that_does_not_run_is_the_only_finding(desk: Desk, language: str) -> None:
    desk.language = language
    desk.readers.fails = NoServiceError("stopped")
    (found,) = findings(desk)
    assert found.mark is Mark.BAD
    assert found.advice == text("error.no_service", language)


def test_a_missing_module_is_said(desk: Desk) -> None:
    desk.readers.fails = ToolError("card_command.no_pcsc")
    (found,) = findings(desk)
    assert (found.mark, found.words) == (Mark.BAD, text("card_command.no_pcsc", "en"))


def readers(*others: ReaderState) -> Readers:
    return Readers(others=others)


@pytest.mark.parametrize(
    ("present", "code"),
    [
        pytest.param(readers(), "no_reader", id="no reader"),
        pytest.param(readers(GHOST), "no_reader", id="a ghost alone"),
        pytest.param(readers(EMPTY), "no_card", id="no card"),
        pytest.param(readers(GHOST, EMPTY), "no_card", id="a ghost beside"),
        pytest.param(readers(FOREIGN), "card_unsupported", id="another card"),
        pytest.param(
            readers(ReaderState(name="CL", present=True, atr=CPS3_CONTACTLESS_ATR, events=1)),
            "card_contactless",
            id="without contact",
        ),
    ],
)
def test_what_is_missing_is_the_last_finding_and_says_what_to_do(
    desk: Desk, present: Readers, code: str
) -> None:
    desk.readers = present
    *before, last = findings(desk)
    assert {finding.mark for finding in before} == {Mark.GOOD}
    assert last.mark is Mark.BAD
    assert last.advice == text(f"error.{code}", "en")


def test_ghosts_are_named(desk: Desk) -> None:
    desk.readers.others = [GHOST]
    said = [finding.words for finding in findings(desk)]
    assert text("card_doctor.ignored", "en", readers=GHOST.name) in said


def test_of_two_cards_one_is_examined_and_the_other_told_of(desk: Desk) -> None:
    second = MeddledTerminal(SoftwareCard(cards.image(serial="28000002")))
    second.inner._name = "Second reader"
    desk.readers = Readers(desk.terminal, second)
    found = findings(desk)
    (odd,) = [finding for finding in found if finding.mark is Mark.ODD]
    assert READER in odd.words
    assert odd.advice
    assert "28000002" in "".join(each.words for each in findings(desk, "second"))


# The card.


@pytest.mark.parametrize(
    ("left", "mark"),
    [
        pytest.param(3, Mark.GOOD, id="three"),
        pytest.param(2, Mark.ODD, id="two"),
        pytest.param(1, Mark.ODD, id="one"),
        pytest.param(0, Mark.BAD, id="none"),
    ],
)
def test_the_tries_left_are_told_and_not_spent(desk: Desk, left: int, mark: Mark) -> None:
    desk.image.reference_data[0].tries_left = left
    found = next(each for each in findings(desk) if "PIN" in each.words)
    assert found.mark is mark
    assert (found.advice is None) == (mark is Mark.GOOD)
    assert desk.tries_left[0] == left


@pytest.mark.parametrize(
    ("before_end", "mark"),
    [
        pytest.param(timedelta(days=300), Mark.GOOD, id="long before"),
        pytest.param(timedelta(days=44), Mark.ODD, id="soon"),
        pytest.param(timedelta(seconds=1), Mark.ODD, id="in a moment"),
        pytest.param(timedelta(seconds=-1), Mark.BAD, id="just ended"),
    ],
)
def test_the_end_of_the_certificate_is_told_in_time(
    desk: Desk, before_end: timedelta, mark: Mark
) -> None:
    desk.now = certificate_end() - before_end
    worst = [finding for finding in findings(desk) if finding.mark is not Mark.GOOD]
    assert [finding.mark for finding in worst] == ([] if mark is Mark.GOOD else [mark])
    assert all(finding.advice for finding in worst)


def test_a_clock_before_the_cards_making_is_wrong(desk: Desk) -> None:
    desk.now = pki.NOW - timedelta(days=3650)
    bad = [finding for finding in findings(desk) if finding.mark is Mark.BAD]
    assert len(bad) == 2
    assert "before the card was made" in bad[-1].words
    assert all("date and time" in str(finding.advice) for finding in bad)


@pytest.mark.parametrize(
    ("meddle", "code"),
    [
        pytest.param(lambda desk: mute_at(1), "card_mute", id="mute at once"),
        pytest.param(lambda desk: mute_at(15), "card_mute", id="mute later"),
        pytest.param(lambda desk: removed_before(desk.terminal, 5), "card_removed", id="removed"),
        pytest.param(
            lambda desk: each_answer(lambda command, said: b"\x69\x82"),
            "card_refused",
            id="refuses",
        ),
        pytest.param(
            lambda desk: each_answer(lambda command, said: b"\x90"), "card_malformed", id="lies"
        ),
    ],
)
def test_a_card_that_fails_is_the_last_finding(
    desk: Desk, meddle: Callable[[Desk], object], code: str
) -> None:
    desk.terminal.meddle = meddle(desk)  # type: ignore[assignment]
    last = findings(desk)[-1]
    assert last.mark is Mark.BAD
    assert last.advice == text(f"error.{code}", "en")


@pytest.mark.parametrize("damage", [OF_NO_VERSION, NAMED_IN_BITS], ids=["version", "name"])
def test_a_certificate_that_cannot_be_read_is_the_last_finding(desk: Desk, damage: Damage) -> None:
    for file in desk.image.files:
        if file.content is not None:
            file.content = file.content.replace(*damage)
    last = findings(desk)[-1]
    assert last.mark is Mark.BAD
    assert last.advice == text("error.card_malformed", "en")


def test_a_cps3_by_another_protocol_is_odd(desk: Desk) -> None:
    connect = desk.terminal.connect

    class Connection:
        t0 = False

        def __init__(self, inner: object) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> object:
            return getattr(self._inner, name)

    desk.terminal.connect = lambda reader: Connection(connect(reader))  # type: ignore[assignment,return-value]
    odd = next(finding for finding in findings(desk) if finding.mark is Mark.ODD)
    assert "T=1" in odd.words


@pytest.mark.parametrize(
    ("exc", "code"), [(exc, code) for exc, code in CASES if isinstance(exc, CardError)]
)
def test_every_error_of_a_card_has_a_sentence(desk: Desk, exc: CardError, code: ErrorCode) -> None:
    desk.readers.fails = exc
    (found,) = findings(desk)
    assert found.advice == text(f"error.{code}", "en")
