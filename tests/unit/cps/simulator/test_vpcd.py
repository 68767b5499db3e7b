"""The card's side of the virtual reader, against a reader made for the purpose."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from cps.errors import CardBusyError, CardMuteError, NoServiceError
from cps.simulator import vpcd
from cps.simulator.chip import SoftwareCard
from cps.simulator.faults import Fault, FaultKind, FaultyCard
from cps.simulator.vpcd import VPCDReader
from tests.support import cards

SECONDS = 5


class Reader:
    """A virtual reader that the test plays, and a card that runs in its own thread."""

    def __init__(self, *faults: Fault) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(SECONDS)
        self.card = FaultyCard(SoftwareCard(cards.image()), faults)
        self.inserted = threading.Event()
        self.failure: Exception | None = None
        self.vpcd = VPCDReader(self.card, port=self.server.getsockname()[1])
        self._thread = threading.Thread(target=self._run)
        self._link: socket.socket | None = None

    def _run(self) -> None:
        try:
            self.vpcd.run(self.inserted.set)
        except (NoServiceError, CardBusyError) as exc:
            self.failure = exc

    def start(self) -> None:
        self._thread.start()
        self._link, _ = self.server.accept()
        self._link.settimeout(SECONDS)

    @property
    def link(self) -> socket.socket:
        assert self._link is not None
        return self._link

    def send(self, message: bytes) -> None:
        self.link.sendall(len(message).to_bytes(2, "big") + message)

    def receive(self) -> bytes:
        return self._exactly(int.from_bytes(self._exactly(2), "big"))

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.link.recv(count - len(data))
            assert part, "the card left"
            data += part
        return data

    def ask(self, message: bytes) -> bytes:
        self.send(message)
        return self.receive()

    def join(self) -> None:
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()

    def close(self) -> None:
        self.vpcd.stop()
        if self._link is not None:
            self._link.close()
        self.server.close()
        if self._thread.ident is not None:
            self.join()


@pytest.fixture
def reader(request: pytest.FixtureRequest) -> Iterator[Reader]:
    reader = Reader(*getattr(request, "param", ()))
    try:
        yield reader
    finally:
        reader.close()


STATUS = bytes.fromhex("00 20 00 01 00")
VERIFY = bytes.fromhex("00 20 00 01 04 31323334")


def test_the_reader_learns_the_atr_and_the_card_that_it_was_seen(reader: Reader) -> None:
    reader.start()
    assert not reader.inserted.is_set()

    assert reader.ask(b"\x04") == reader.card.atr
    assert reader.inserted.wait(SECONDS)


def test_power_and_reset_reach_the_card_without_an_answer(reader: Reader) -> None:
    reader.start()
    reader.send(b"\x01")
    assert reader.ask(STATUS) == b"\x63\xc3"
    assert reader.ask(VERIFY) == b"\x90\x00"
    assert reader.ask(STATUS) == b"\x90\x00"

    reader.send(b"\x02")
    assert reader.ask(STATUS) == b"\x63\xc3"

    reader.ask(VERIFY)
    reader.send(b"\x00")
    reader.send(b"\x01")
    assert reader.ask(STATUS) == b"\x63\xc3"


def test_a_card_without_power_gives_an_empty_answer(reader: Reader) -> None:
    reader.start()

    assert reader.ask(STATUS) == b""
    reader.send(b"\x01")
    assert reader.ask(STATUS) == b"\x63\xc3"


def test_messages_may_come_in_any_pieces(reader: Reader) -> None:
    reader.start()
    for byte in b"\x00\x01\x01" + len(STATUS).to_bytes(2, "big") + STATUS:
        reader.link.sendall(bytes((byte,)))
        time.sleep(0.001)

    assert reader.receive() == b"\x63\xc3"


def test_many_short_exchanges_wait_for_no_delayed_acknowledgement(reader: Reader) -> None:
    reader.start()
    reader.send(b"\x01")
    began = time.monotonic()
    for _ in range(50):
        # As the driver does it: length and data apart.
        reader.link.sendall(len(STATUS).to_bytes(2, "big"))
        reader.link.sendall(STATUS)
        reader.receive()

    assert time.monotonic() - began < 50 * 0.02


def test_stopping_removes_the_card_and_takes_its_power(reader: Reader) -> None:
    reader.start()
    reader.send(b"\x01")
    reader.ask(STATUS)

    reader.vpcd.stop()
    reader.vpcd.stop()
    reader.join()

    assert reader.failure is None
    assert reader.link.recv(1) == b"", "the card closed the connection"
    with pytest.raises(CardMuteError):
        reader.card.execute(STATUS)


def test_stopping_before_the_reader_said_anything_is_as_clean(reader: Reader) -> None:
    reader.start()

    reader.vpcd.stop()
    reader.join()

    assert reader.failure is None
    assert not reader.inserted.is_set()


@pytest.mark.parametrize(
    "reader",
    [[Fault(kind=FaultKind.REMOVED, at=2)], [Fault(kind=FaultKind.REMOVED_DURING, at=2)]],
    ids=["before", "during"],
    indirect=True,
)
def test_a_card_that_is_pulled_out_leaves_without_an_answer(reader: Reader) -> None:
    reader.start()
    reader.send(b"\x01")
    assert reader.ask(STATUS) == b"\x63\xc3"

    reader.send(STATUS)

    assert reader.link.recv(1) == b""
    reader.join()
    assert reader.failure is None


@pytest.mark.parametrize("reader", [[Fault(kind=FaultKind.RESET, at=2)]], indirect=True)
def test_a_reset_by_a_fault_is_not_told_and_what_was_verified_is_lost(reader: Reader) -> None:
    reader.start()
    reader.send(b"\x01")
    assert reader.ask(VERIFY) == b"\x90\x00"

    assert reader.ask(STATUS) == b"\x63\xc3"


@pytest.mark.parametrize("reader", [[Fault(kind=FaultKind.MUTE)]], indirect=True)
def test_a_mute_card_gives_empty_answers(reader: Reader) -> None:
    reader.start()
    reader.send(b"\x01")

    assert reader.ask(STATUS) == b""
    assert reader.ask(b"\x04") == reader.card.atr


class StoppingCard(SoftwareCard):
    """A card that is stopped while it is at work, so that its answer finds nobody."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(cards.image())
        self._reader = reader

    def execute(self, command: bytes) -> bytes:
        self._reader.vpcd.stop()
        return super().execute(command)


def test_stopping_in_the_middle_of_a_command_is_as_clean(reader: Reader) -> None:
    port = reader.server.getsockname()[1]
    reader.vpcd = VPCDReader(StoppingCard(reader), port=port)
    reader.start()
    reader.send(b"\x01")

    reader.send(STATUS)
    reader.join()

    assert reader.failure is None


def test_a_reader_that_goes_away_is_told(reader: Reader) -> None:
    reader.start()
    reader.ask(b"\x04")

    reader.link.close()
    reader.join()

    assert isinstance(reader.failure, NoServiceError)
    assert "went away" in str(reader.failure)


def test_a_reader_that_says_nothing_holds_another_card(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vpcd, "FIRST_MESSAGE_SECONDS", 0.05)
    reader.start()
    reader.join()

    assert isinstance(reader.failure, CardBusyError)
    assert not reader.inserted.is_set()


def test_once_seen_the_card_waits_as_long_as_the_reader_likes(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vpcd, "FIRST_MESSAGE_SECONDS", 0.05)
    reader.start()
    reader.ask(b"\x04")
    time.sleep(0.15)

    assert reader.ask(b"\x04") == reader.card.atr


def test_without_a_reader_there_is_no_service() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    reader = VPCDReader(SoftwareCard(cards.image()), port=port)

    with pytest.raises(NoServiceError, match=f"no virtual reader listens on 127.0.0.1:{port}"):
        reader.run(lambda: None)
