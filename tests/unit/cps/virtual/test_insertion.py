"""A process that holds a card in a reader, and what it does when it is told something."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cps.atr import CPS3_CONTACT_ATR, CPS4_ATR
from cps.errors import CardBusyError, NoServiceError
from cps.simulator import vpcd
from cps.simulator.chip import SoftwareCard
from cps.simulator.faults import Fault, FaultKind, FaultyCard
from cps.simulator.image import CardImage
from cps.virtual import insertion
from cps.virtual.control import ask
from cps.virtual.errors import VirtualCardError
from cps.virtual.insertion import REMOVE, STATUS, SWAP, Insertion
from cps.virtual.store import VirtualCards
from tests.support import cards
from tests.support.virtual_reader import LoneReader, lone_reader

SECONDS = 5.0
WRONG_PIN = bytes.fromhex("00 20 00 01 04 39393939")


@pytest.fixture(autouse=True)
def quick_swap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(insertion, "SWAP_SECONDS", 0.0)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    cards.image().write(tmp_path / "first.json")
    cards.cps4_image().write(tmp_path / "second.json")
    return tmp_path


@pytest.fixture
def reader() -> Iterator[LoneReader]:
    with lone_reader() as reader:
        yield reader


class Running:
    """An insertion in a thread of its own."""

    def __init__(
        self,
        home: Path,
        port: int,
        make: Callable[[CardImage], SoftwareCard | FaultyCard] = SoftwareCard,
    ) -> None:
        self.said: list[str] = []
        self.failures: list[Exception] = []
        self.insertion = Insertion(VirtualCards(home), port=port, make=make, say=self.said.append)
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.insertion.run("first")
        except (VirtualCardError, CardBusyError, NoServiceError) as exc:
            self.failures.append(exc)

    def join(self) -> None:
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()


@pytest.fixture
def running(home: Path, reader: LoneReader) -> Iterator[Running]:
    running = Running(home, reader.port)
    running.thread.start()
    reader.await_cards(1)
    yield running
    running.insertion.stop()
    running.join()


def is_free(path: Path) -> bool:
    try:
        CardImage.open(path).close()
    except CardBusyError:
        return False
    return True


def test_it_tells_which_card_it_holds(home: Path, reader: LoneReader, running: Running) -> None:
    assert ask(home, reader.port, STATUS) == "first"
    assert not is_free(home / "first.json")
    assert reader.atrs == [CPS3_CONTACT_ATR]


def test_told_to_remove_the_card_it_has_let_it_go_when_it_answers(
    home: Path, reader: LoneReader, running: Running
) -> None:
    reader.ask(WRONG_PIN)

    assert ask(home, reader.port, REMOVE) == "first"

    assert is_free(home / "first.json")
    running.join()
    assert running.said == ["inserted first", "removed first"]
    assert running.failures == []
    assert ask(home, reader.port, STATUS) is None
    assert CardImage.read(home / "first.json").reference_data[0].tries_left == 2


def test_told_to_swap_it_has_the_other_card_in_the_reader_when_it_answers(
    home: Path, reader: LoneReader, running: Running
) -> None:
    assert ask(home, reader.port, SWAP, "second") == "first"

    reader.await_cards(2)
    assert reader.atrs == [CPS3_CONTACT_ATR, CPS4_ATR]
    assert ask(home, reader.port, STATUS) == "second"
    assert is_free(home / "first.json")
    assert not is_free(home / "second.json")
    assert running.said == ["inserted first", "removed first", "inserted second"]

    assert ask(home, reader.port, SWAP, "first") == "second"
    assert ask(home, reader.port, REMOVE) == "first"
    assert is_free(home / "second.json")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((SWAP, "nobody"), "no card 'nobody'"),
        ((SWAP, "../first"), "no card '../first'"),
        ((SWAP, "first"), "in the virtual reader already"),
        ((SWAP,), "nothing is known by that word"),
        (("shout",), "nothing is known by that word"),
    ],
    ids=["unknown card", "path", "same card", "no card", "unknown word"],
)
def test_what_it_cannot_do_is_told_and_the_card_stays(
    home: Path, reader: LoneReader, running: Running, words: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(VirtualCardError, match=reason):
        ask(home, reader.port, *words)

    assert ask(home, reader.port, STATUS) == "first"
    assert reader.ask(WRONG_PIN) == b"\x63\xc2"


def test_a_card_that_another_process_runs_is_not_swapped_in(
    home: Path, reader: LoneReader, running: Running
) -> None:
    with (
        CardImage.open(home / "second.json"),
        pytest.raises(VirtualCardError, match="another process runs this card"),
    ):
        ask(home, reader.port, SWAP, "second")

    assert ask(home, reader.port, STATUS) == "first"


def test_a_second_process_is_told_which_card_is_in_the_way(
    home: Path, reader: LoneReader, running: Running
) -> None:
    second = Insertion(
        VirtualCards(home), port=reader.port, make=SoftwareCard, say=running.said.append
    )

    with pytest.raises(CardBusyError, match=r"first is in the virtual reader: .*swap second"):
        second.run("second")

    assert is_free(home / "second.json")
    assert ask(home, reader.port, STATUS) == "first"


def test_where_the_other_card_cannot_come_in_both_are_out_and_who_asked_is_told(
    home: Path, reader: LoneReader, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: vpcd.VPCDReader, inserted: Callable[[], None]) -> None:
        raise NoServiceError("the virtual reader went away")

    monkeypatch.setattr(vpcd.VPCDReader, "run", refuse)

    with pytest.raises(VirtualCardError, match="first was removed, second could not be inserted"):
        ask(home, reader.port, SWAP, "second")

    running.join()
    assert [str(exc) for exc in running.failures] == ["the virtual reader went away"]
    assert is_free(home / "first.json")
    assert is_free(home / "second.json")


def test_a_card_that_cannot_be_made_so_is_refused_and_let_go(
    home: Path, reader: LoneReader
) -> None:
    def by_radio(image: CardImage) -> SoftwareCard:
        return SoftwareCard(image, contactless=True)

    running = Running(home, reader.port, make=by_radio)
    running.thread.start()
    reader.await_cards(1)
    with pytest.raises(VirtualCardError, match="second: a CPS4 is read by contact alone"):
        ask(home, reader.port, SWAP, "second")
    assert is_free(home / "second.json")
    running.insertion.stop()
    running.join()


def test_a_card_pulled_out_by_a_fault_ends_it(home: Path, reader: LoneReader) -> None:
    def pulled(image: CardImage) -> FaultyCard:
        return FaultyCard(SoftwareCard(image), [Fault(kind=FaultKind.REMOVED_DURING, at=2)])

    running = Running(home, reader.port, make=pulled)
    running.thread.start()
    reader.await_cards(1)
    assert reader.ask(WRONG_PIN) == b"\x63\xc2"
    assert reader.ask(WRONG_PIN) == b""
    running.join()

    assert running.said == ["inserted first", "removed first"]
    assert CardImage.read(home / "first.json").reference_data[0].tries_left == 1


def test_without_a_reader_nothing_stays_behind(home: Path) -> None:
    with lone_reader() as reader:
        port = reader.port
    running = Running(home, port)
    running.thread.start()
    running.join()

    assert [type(exc) for exc in running.failures] == [NoServiceError]
    assert is_free(home / "first.json")
    assert ask(home, port, STATUS) is None


def test_stopped_before_it_began_it_inserts_nothing(home: Path, reader: LoneReader) -> None:
    running = Running(home, reader.port)
    running.insertion.stop()
    running.thread.start()
    running.join()

    assert running.said == []
    assert is_free(home / "first.json")
