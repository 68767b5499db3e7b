"""The PIN from the terminal that the agent was started in, without echo."""

import termios

from cps.agent.console import Console
from cps.agent.pin_entry import PINRequest, Wanted
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
        try:
            console = Console(self._path)
        except OSError as exc:
            raise PINCancelledError("no terminal to ask on") from exc
        try:
            with console:
                return _ask(console, request, wanted)
        except (OSError, termios.error) as exc:
            raise PINCancelledError("the terminal went away") from exc

    def rejected(self) -> None:
        """Nothing to do: the person reads it in the next question."""

    def close(self) -> None:
        """Nothing is held between two questions."""


def _ask(console: Console, request: PINRequest, wanted: Wanted) -> PIN:
    language = request.language
    console.write("\n" + "\n".join(request.lines()) + "\n")
    if request.tries_left == 1:
        word = text("agent_pin.confirm_word", language)
        answer = console.ask(text("agent_pin.last_try", language, word=word), wanted)
        if answer.casefold() != word.casefold():
            raise PINCancelledError("the last try was not confirmed")
    while True:
        digits = console.ask_hidden(text("agent_pin.prompt", language), wanted)
        if not digits:
            raise PINCancelledError("an empty line was typed")
        try:
            return PIN(digits)
        except ValueError:
            console.write(text("agent_pin.form", language) + "\n")
