"""A person at the agent's PIN window."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from cps.agent.pin_entry import PINRequest, Wanted
from cps.errors import PINCancelledError
from cps.pin import PIN
from tests.support import cards

CANCEL = None


class Person:
    """Types what it was told to, in turn; the last answer serves for ever.

    :param answers: PINs, or :data:`CANCEL` for closing the window; the right PIN where absent.
    :param meanwhile: done before each answer.
    """

    interactive = True

    def __init__(
        self, *answers: bytes | None, meanwhile: Callable[[], object] = lambda: None
    ) -> None:
        self._answers = list(answers) or [cards.PIN]
        self._meanwhile = meanwhile
        self.asked: list[PINRequest] = []

    def ask(self, request: PINRequest, wanted: Wanted) -> PIN:
        self.asked.append(request)
        self._meanwhile()
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is CANCEL or not wanted():
            raise PINCancelledError("the window was closed")
        return PIN(bytearray(answer))

    def at_keypad(self, request: PINRequest, wanted: Wanted) -> AbstractContextManager[None]:
        raise AssertionError("the readers of these tests have no keypad")

    def confirms(self, origin: str, language: str, wanted: Wanted) -> bool:
        raise AssertionError("every portal of these tests is listed")

    def tell_blocked(self, request: PINRequest) -> None:
        """Nothing to do: the page says it too."""

    def rejected(self) -> None:
        """Nothing to do: the next question says it."""

    def close(self) -> None:
        """Nothing is held."""
