"""The PIN from the terminal that the agent was started in, without echo."""

import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cps.agent.console import Console
from cps.agent.pin_entry import PINRequest, Wanted, new_portal_lines
from cps.authtoken.catalogue import text
from cps.errors import PINCancelledError
from cps.pin import PIN


class TerminalPINEntry:
    """Asks on the controlling terminal, whatever standard input and output are.

    :param path: the terminal's device.
    """

    interactive = True

    def __init__(self, path: str = "/dev/tty") -> None:
        self._path = path

    def usable(self) -> bool:
        """Return whether there is a terminal to ask on."""
        try:
            with Console(self._path):
                return True
        except OSError:
            return False

    def ask(self, request: PINRequest, wanted: Wanted) -> PIN:
        with self._console() as console:
            return _ask(console, request, wanted)

    @contextmanager
    def at_keypad(self, request: PINRequest, wanted: Wanted) -> Iterator[None]:
        with self._console() as console:
            _show(console, request)
            _confirm(console, request, wanted)
            console.write(text("agent_pin.at_keypad", request.language) + "\n")
        yield

    def confirms(self, origin: str, language: str, wanted: Wanted) -> bool:
        word = text("agent_pin.confirm_word", language)
        question = text("agent_pin.new_portal_type", language, word=word)
        with self._console() as console:
            console.write("\n" + "\n".join(new_portal_lines(origin, language)) + "\n")
            return console.ask(question, wanted).casefold() == word.casefold()

    def tell_blocked(self, request: PINRequest) -> None:
        with suppress(PINCancelledError), self._console() as console:
            console.write("\n" + "\n".join(request.blocked_lines()) + "\n")

    def rejected(self) -> None:
        """Nothing to do: the person reads it in the next question."""

    def close(self) -> None:
        """Nothing is held between two questions."""

    @contextmanager
    def _console(self) -> Iterator[Console]:
        try:
            console = Console(self._path)
        except OSError as exc:
            raise PINCancelledError("no terminal to ask on") from exc
        try:
            with console:
                yield console
        except (OSError, termios.error) as exc:
            raise PINCancelledError("the terminal went away") from exc


def _ask(console: Console, request: PINRequest, wanted: Wanted) -> PIN:
    _show(console, request)
    _confirm(console, request, wanted)
    while True:
        digits = console.ask_hidden(text("agent_pin.prompt", request.language), wanted)
        if not digits:
            raise PINCancelledError("an empty line was typed")
        try:
            return PIN(digits)
        except ValueError:
            console.write(text("agent_pin.form", request.language) + "\n")


def _show(console: Console, request: PINRequest) -> None:
    console.write("\n" + "\n".join(request.plain_lines()) + "\n")


def _confirm(console: Console, request: PINRequest, wanted: Wanted) -> None:
    """Have the last try confirmed."""
    if request.tries_left != 1:
        return
    word = text("agent_pin.confirm_word", request.language)
    answer = console.ask(text("agent_pin.last_try", request.language, word=word), wanted)
    if answer.casefold() != word.casefold():
        raise PINCancelledError("the last try was not confirmed")
