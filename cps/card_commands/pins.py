"""What `cps card` asks a person before a code goes to the card, and what it does with the answers.

A code is asked for on the terminal alone, shown nowhere, sent once, and overwritten.
"""

import hmac
from contextlib import ExitStack

from cps.agent.holder import read_holder
from cps.authtoken.catalogue import text
from cps.card.contact import ContactCard
from cps.card_commands.surroundings import Console, ToolError
from cps.errors import PINLengthError, PINRejectedError
from cps.pin import PIN

SHOWN_CARD_DIGITS = 4


class PINDialogue:
    """One person at one card.

    :param language: ``fr`` or ``en``.
    """

    def __init__(self, card: ContactCard, console: Console, language: str) -> None:
        self._card = card
        self._console = console
        self._language = language

    def change(self) -> None:
        """Ask for the PIN and for a new one, and change it.

        :raises ToolError: where the person says no, or the codes do not do.
        :raises CardError: where the card ends it.
        """
        tries = self._tries_left()
        self._confirm("card_pin.confirm_change")
        self._confirm_last(tries)
        with self._code("card_pin.old") as old, self._new_pin() as new:
            try:
                self._card.change_pin(old, new)
            except PINRejectedError as exc:
                raise _rejected("card_pin.wrong", "card_pin.blocked", exc) from exc
            except PINLengthError as exc:
                raise _length(exc) from exc
        self._say("card_pin.changed")

    def unblock(self) -> None:
        """Ask for the unblocking code and for a new PIN, and set it.

        :raises ToolError: where the person says no, or the codes do not do.
        :raises CardError: where the card ends it.
        """
        tries, puk_tries = self._card.tries_left(), self._card.puk_tries_left()
        self._show_card()
        self._say("agent_pin.tries", tries=tries)
        self._say("card_pin.puk_tries", tries=puk_tries)
        if puk_tries == 0:
            raise ToolError("card_pin.puk_blocked")
        self._confirm("card_pin.confirm_unblock")
        if puk_tries == 1:
            self._confirm("card_pin.last_puk")
        with self._code("card_pin.puk") as puk, self._new_pin() as new:
            try:
                self._card.unblock_pin(puk, new)
            except PINRejectedError as exc:
                raise _rejected("card_pin.wrong_puk", "card_pin.puk_blocked", exc) from exc
            except PINLengthError as exc:
                raise _length(exc) from exc
        self._say("card_pin.unblocked")

    def sign(self, message: bytes) -> None:
        """Ask for the PIN and have the card sign *message*; the signature is right, or this raises.

        :raises ToolError: where the person says no, or the code does not do.
        :raises CardError: where the card ends it.
        """
        self._confirm_last(self._tries_left())
        with self._code("card_trace.prompt") as pin:
            try:
                self._card.sign(pin, lambda certificate: message)
            except PINRejectedError as exc:
                raise _rejected("card_pin.wrong", "card_pin.blocked", exc) from exc
            except PINLengthError as exc:
                raise _length(exc) from exc

    def _tries_left(self) -> int:
        """Show whose card it is and the tries left of its PIN, and return them, at least 1."""
        tries = self._card.tries_left()
        self._show_card()
        self._say("agent_pin.tries", tries=tries)
        if tries == 0:
            raise ToolError("card_pin.blocked")
        return tries

    def _confirm_last(self, tries: int) -> None:
        if tries == 1:
            self._confirm("agent_pin.last_try")

    def _show_card(self) -> None:
        holder = read_holder(self._card.authentication_certificate())
        self._say("agent_pin.card", holder=holder, digits=self._card.serial[-SHOWN_CARD_DIGITS:])

    def _confirm(self, key: str) -> None:
        word = text("agent_pin.confirm_word", self._language)
        answer = self._console.ask(text(key, self._language, word=word))
        if answer.casefold() != word.casefold():
            raise ToolError("card_pin.cancelled")

    def _new_pin(self) -> PIN:
        with ExitStack() as failed:
            new = self._code("card_pin.new")
            failed.callback(new.wipe)
            with self._code("card_pin.again") as again:
                _require_same(new, again)
            failed.pop_all()
            return new

    def _code(self, key: str) -> PIN:
        typed = self._console.ask_hidden(text(key, self._language))
        if not typed:
            raise ToolError("card_pin.cancelled")
        try:
            return PIN(typed)
        except ValueError as exc:
            raise ToolError("card_pin.form") from exc

    def _say(self, key: str, **values: object) -> None:
        self._console.write(text(key, self._language, **values) + "\n")


def _require_same(new: PIN, again: PIN) -> None:
    if not hmac.compare_digest(new.digits(), again.digits()):
        raise ToolError("card_pin.different")


def _rejected(wrong: str, blocked: str, exc: PINRejectedError) -> ToolError:
    if exc.tries_left == 0:
        return ToolError(blocked)
    return ToolError(wrong, tries=exc.tries_left)


def _length(exc: PINLengthError) -> ToolError:
    digits = "–".join(str(count) for count in sorted({exc.shortest, exc.longest}))
    return ToolError("card_pin.length", digits=digits)
