"""Another program's reset, on a PC/SC made for the purpose."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

pytest.importorskip("smartcard", reason="pyscard is not installed")

from cps.errors import NoCardError
from cps.transport.connection import ReaderState
from cps.virtual import rival

NAMES = ("Some Reader 00 00", "Virtual PCD 00 00", "Virtual PCD 00 01")


class Terminal:
    """Readers, some with a card; remembers what was done to them."""

    def __init__(self, *present: str) -> None:
        self.present = present
        self.done: list[str] = []

    def readers(self) -> Sequence[ReaderState]:
        return [
            ReaderState(name=name, present=name in self.present, atr=b"", events=0)
            for name in NAMES
        ]

    def connect(self, reader: str) -> "Terminal":
        self.done.append(reader)
        return self

    @contextmanager
    def transaction(self, *, reset: bool) -> Iterator[None]:
        yield
        self.done.append("reset" if reset else "left")

    def close(self) -> None:
        self.done.append("closed")


@pytest.mark.parametrize("slot", [0, 1])
def test_the_card_in_that_slot_is_reset_and_no_other(
    monkeypatch: pytest.MonkeyPatch, slot: int
) -> None:
    terminal = Terminal(*NAMES)
    monkeypatch.setattr(rival, "PCSCTerminal", lambda: terminal)

    rival.reset_card(slot)

    assert terminal.done == [f"Virtual PCD 00 0{slot}", "reset", "closed"]


def test_without_a_card_there_is_nothing_to_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal("Some Reader 00 00", "Virtual PCD 00 01")
    monkeypatch.setattr(rival, "PCSCTerminal", lambda: terminal)

    with pytest.raises(NoCardError):
        rival.reset_card(0)

    assert terminal.done == []
