"""A terminal to ask on: hidden is shown nowhere, and what is typed ahead does not count."""

import os
import pty
import select
import termios
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from cps.agent.console import Console
from cps.errors import PINCancelledError

TIMEOUT = 5.0


@dataclass(slots=True, kw_only=True)
class Typist:
    """The person's end of a terminal."""

    descriptor: int
    path: str
    seen: str = ""

    def wait_for(self, words: str) -> None:
        while words not in self.seen:
            assert select.select([self.descriptor], [], [], TIMEOUT)[0], self.seen
            self.seen += os.read(self.descriptor, 4096).decode()

    def answers(self, question: str, line: str, work: Callable[[Console], object]) -> object:
        """Return what *work* returns once *line* is typed after *question*."""
        results: list[object] = []

        def run() -> None:
            with Console(self.path) as console:
                results.append(work(console))

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.wait_for(question)
        os.write(self.descriptor, line.encode())
        thread.join(TIMEOUT)
        assert not thread.is_alive()
        return results.pop()


@pytest.fixture
def typist() -> Iterator[Typist]:
    master, slave = pty.openpty()
    yield Typist(descriptor=master, path=os.ttyname(slave))
    assert termios.tcgetattr(slave)[3] & termios.ECHO, "the terminal shows again what is typed"
    os.close(slave)
    os.close(master)


def test_an_answer_is_a_line(typist: Typist) -> None:
    assert typist.answers("Sure?", "  OUI \n", lambda console: console.ask("Sure?")) == "OUI"


def test_a_hidden_answer_is_not_shown(typist: Typist) -> None:
    answer = typist.answers("PIN:", "4711\n", lambda console: console.ask_hidden("PIN:"))
    assert answer == bytearray(b"4711")
    typist.wait_for("\n")
    assert "4711" not in typist.seen


def test_what_was_typed_before_the_question_does_not_count(typist: Typist) -> None:
    os.write(typist.descriptor, b"OUI\n")
    assert typist.answers("Sure?", "NON\n", lambda console: console.ask("Sure?")) == "NON"


@pytest.mark.parametrize("hidden", [True, False], ids=["hidden", "shown"])
def test_an_answer_that_nobody_wants_is_not_waited_for(typist: Typist, hidden: bool) -> None:
    with Console(typist.path) as console, pytest.raises(PINCancelledError):
        (console.ask_hidden if hidden else console.ask)("PIN:", lambda: False)


def test_a_line_without_end_is_cut(typist: Typist) -> None:
    answer = typist.answers("PIN:", "7" * 300 + "\n", lambda console: console.ask_hidden("PIN:"))
    assert isinstance(answer, bytearray)
    assert len(answer) <= 256


def test_no_terminal_is_an_error() -> None:
    with pytest.raises(OSError, match="No such file"):
        Console("/dev/no-such-terminal")
