"""The PIN typed in a terminal: a real pseudo-terminal, with a person at the other end."""

import os
import pty
import select
import termios
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from cps.agent.pin_entry import PINRequest
from cps.agent.terminal import TerminalPINEntry
from cps.errors import PINCancelledError
from cps.pin import PIN
from tests.unit.cps.agent.test_pin_entry import pin_request

TIMEOUT = 5.0


@dataclass(slots=True, kw_only=True)
class Typist:
    """The person's end of the terminal."""

    descriptor: int
    path: str
    seen: str = ""
    result: list[bytes | Exception] = field(default_factory=list)
    wanted: bool = True

    def ask(self, request: PINRequest) -> threading.Thread:
        def work() -> None:
            try:
                with TerminalPINEntry(self.path).ask(request, lambda: self.wanted) as pin:
                    self.result.append(pin.digits())
            except PINCancelledError as exc:
                self.result.append(exc)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread

    def wait_for(self, words: str) -> None:
        while words not in self.seen:
            assert select.select([self.descriptor], [], [], TIMEOUT)[0], self.seen
            self.seen += os.read(self.descriptor, 4096).decode()

    def type(self, line: str) -> None:
        os.write(self.descriptor, line.encode())

    def finish(self, thread: threading.Thread) -> bytes | Exception:
        thread.join(TIMEOUT)
        assert not thread.is_alive()
        while select.select([self.descriptor], [], [], 0)[0]:
            self.seen += os.read(self.descriptor, 4096).decode()
        (result,) = self.result
        return result


@pytest.fixture
def typist() -> Iterator[Typist]:
    master, slave = pty.openpty()
    yield Typist(descriptor=master, path=os.ttyname(slave))
    assert termios.tcgetattr(slave)[3] & termios.ECHO, "the terminal shows again what is typed"
    os.close(slave)
    os.close(master)


def test_the_pin_is_read_and_never_shown(typist: Typist) -> None:
    thread = typist.ask(pin_request())
    typist.wait_for("Code PIN (")
    typist.wait_for("annule)")
    typist.wait_for(": ")
    typist.type("4711\n")
    assert typist.finish(thread) == b"4711"
    assert "4711" not in typist.seen
    assert "CAMILLE EXEMPLE" in typist.seen


@pytest.mark.parametrize("typed", ["\n", "\x04"], ids=["empty-line", "end-of-file"])
def test_nothing_typed_cancels(typist: Typist, typed: str) -> None:
    thread = typist.ask(pin_request())
    typist.wait_for("annule)")
    typist.wait_for(": ")
    typist.type(typed)
    assert isinstance(typist.finish(thread), PINCancelledError)


@pytest.mark.parametrize("typed", ["123", "123456789", "12a4", "x" * 300])
def test_what_is_no_pin_is_asked_again(typist: Typist, typed: str) -> None:
    thread = typist.ask(pin_request())
    typist.wait_for("annule)")
    typist.type(f"{typed}\n")
    typist.wait_for("4 à 8 chiffres")
    typist.seen = typist.seen.partition("chiffres")[2]
    typist.wait_for("annule)")
    typist.type("4711\n")
    assert typist.finish(thread) == b"4711"
    assert typed not in typist.seen


@pytest.mark.parametrize(("language", "word"), [("fr", "oui"), ("en", "YES")])
def test_the_last_try_wants_a_word_first(typist: Typist, language: str, word: str) -> None:
    thread = typist.ask(pin_request(tries_left=1, language=language))
    typist.wait_for(f"{'tapez OUI' if language == 'fr' else 'type YES'}")
    typist.type(f"{word}\n")
    typist.wait_for("PIN (")
    typist.wait_for("annule)" if language == "fr" else "cancels)")
    typist.type("4711\n")
    assert typist.finish(thread) == b"4711"


@pytest.mark.parametrize("typed", ["\n", "non\n", "4711\n"])
def test_the_last_try_is_not_spent_without_the_word(typist: Typist, typed: str) -> None:
    thread = typist.ask(pin_request(tries_left=1))
    typist.wait_for("tapez OUI")
    typist.wait_for(": ")
    typist.type(typed)
    assert isinstance(typist.finish(thread), PINCancelledError)


def test_the_question_ends_when_nobody_waits_and_half_a_pin_goes_nowhere(typist: Typist) -> None:
    thread = typist.ask(pin_request())
    typist.wait_for("annule)")
    typist.type("47")
    typist.wanted = False
    assert isinstance(typist.finish(thread), PINCancelledError)
    with open(typist.path, "rb", buffering=0) as shell:  # noqa: PTH123 - a device
        assert not select.select([shell], [], [], 0)[0]


def test_a_terminal_that_goes_away_cancels() -> None:
    master, slave = pty.openpty()
    typist = Typist(descriptor=master, path=os.ttyname(slave))
    thread = typist.ask(pin_request())
    typist.wait_for("annule)")
    os.close(master)
    os.close(slave)
    thread.join(TIMEOUT)
    assert isinstance(typist.result[0], PINCancelledError)


def test_without_a_terminal_nobody_is_asked() -> None:
    entry = TerminalPINEntry("/nonexistent/tty")
    assert not entry.usable()
    ask: Callable[[], PIN] = lambda: entry.ask(pin_request(), lambda: True)  # noqa: E731
    with pytest.raises(PINCancelledError, match="no terminal"):
        ask()


def test_a_terminal_is_usable(typist: Typist) -> None:
    assert TerminalPINEntry(typist.path).usable()
