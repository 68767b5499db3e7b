"""Readers with software cards, a person who types, and a clock that stands, for `cps card`."""

import argparse
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime

from cps.card_commands.commands import add_commands
from cps.card_commands.surroundings import Console, Surroundings, ToolError
from cps.errors import NoCardError
from cps.simulator.chip import SoftwareCard
from cps.simulator.image import CardImage
from cps.transport.connection import CardConnection, ReaderState
from tests.support import cards, pki
from tests.support.meddling import MeddledTerminal

READER = "Software reader"
GHOST = ReaderState(name="Windows Hello for Business 1", present=True, atr=b"\x3b\x00", events=1)
EMPTY = ReaderState(name="Empty reader", present=False, atr=b"", events=0)
FOREIGN = ReaderState(name="Other reader", present=True, atr=b"\x3b\x65\x00", events=1)


class Readers:
    """Some readers of this computer, one of them with a software card.

    :param others: seen beside it.
    """

    def __init__(self, *terminals: MeddledTerminal, others: Sequence[ReaderState] = ()) -> None:
        self.terminals = terminals
        self.others = others
        self.fails: Exception | None = None
        self._passed_over: Callable[[str], bool] = lambda reader: False

    def without(self, passed_over: Callable[[str], bool]) -> "Readers":
        if self.fails is not None:
            raise self.fails
        self._passed_over = passed_over
        return self

    def readers(self) -> Sequence[ReaderState]:
        every = [*self.others, *(state for each in self.terminals for state in each.readers())]
        return [state for state in every if not self._passed_over(state.name)]

    def wait(self, known: Sequence[ReaderState], timeout: float) -> Sequence[ReaderState]:
        raise AssertionError("no command waits for a card")

    def connect(self, reader: str) -> CardConnection:
        for terminal in self.terminals:
            if any(state.name == reader for state in terminal.readers()):
                return terminal.connect(reader)
        raise NoCardError(reader)


class Typist:
    """A person at the terminal, who gives *answers* in turn."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.shown = ""

    def write(self, words: str) -> None:
        self.shown += words

    def ask(self, question: str) -> str:
        self.shown += f"{question}\n"
        return self.answers.pop(0)

    def ask_hidden(self, question: str) -> bytearray:
        self.shown += f"{question}\n"
        return bytearray(self.answers.pop(0), "utf-8")


class Desk:
    """Everything that a command finds around it.

    :param image: of the card in the reader, a CPS3 where absent.
    """

    def __init__(self, image: CardImage | None = None, *, t0: bool = True) -> None:
        self.image = image or cards.image()
        self.terminal = MeddledTerminal(SoftwareCard(self.image, t0=t0))
        self.readers = Readers(self.terminal)
        self.typist: Typist | None = Typist()
        self.now = pki.NOW
        self.language = "en"

    @property
    def tries_left(self) -> list[int]:
        """What is left of the tries of PIN and PUK."""
        return [entry.tries_left for entry in self.image.reference_data]

    def run(self, *arguments: str) -> int:
        """Run one command and return its exit code."""
        parser = argparse.ArgumentParser(prog="cps")
        add_commands(parser.add_subparsers(), self.surroundings)
        options = parser.parse_args(["card", *arguments])
        code: int = options.run(options)
        return code

    def surroundings(self) -> Surroundings:
        return Surroundings(
            terminal=self.readers.without,
            console=self._console,
            clock=lambda: self.now,
            language=self.language,
        )

    def _console(self) -> AbstractContextManager[Console]:
        if self.typist is None:
            raise ToolError("card_command.no_terminal")
        return nullcontext(self.typist)


def moment(year: int, month: int = 1, day: int = 1) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)
