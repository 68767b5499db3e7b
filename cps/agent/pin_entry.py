"""How the person is asked for the PIN: one question, several ways to put it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from cps.authtoken.catalogue import text
from cps.pin import PIN

Wanted = Callable[[], bool]
"""Whether the answer is still of use; asked a few times a second while a person thinks."""

POLL_SECONDS = 0.2
"""How long an entry may go without asking :data:`Wanted`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PINRequest:
    """What the person must see before typing the PIN."""

    origin: str
    """Of the portal, as it stands in what the card will sign."""
    label: str
    """The portal's name as the gateway gives it: printable, at most 64 characters."""
    holder: str
    """From the card's certificate, printable."""
    card_digits: str
    """The last digits of the card's serial number."""
    tries_left: int
    """1 to 15; with 1 a second confirmation is asked."""
    was_wrong: bool
    """Whether the PIN just typed was wrong."""
    length: tuple[int, int] | None
    """The fewest and most digits of this card's PIN, where another count was just typed."""
    plain_http: bool
    """Whether the portal is reached without encryption, on this machine, which must be seen."""
    language: str
    """``fr`` or ``en``."""

    def lines(self) -> list[str]:
        """Return what to show above the question, most important first."""
        return [
            text("agent_pin.portal", self.language, label=self.label),
            text("agent_pin.origin", self.language, origin=self.origin),
            text("agent_pin.card", self.language, holder=self.holder, digits=self.card_digits),
            text("agent_pin.tries", self.language, tries=self.tries_left),
        ]

    def warnings(self) -> list[str]:
        """Return what happened to the last answer, to show beside the question."""
        warnings = []
        if self.was_wrong:
            warnings.append(text("agent_pin.wrong", self.language))
        if self.length is not None:
            digits = "–".join(str(count) for count in sorted(set(self.length)))
            warnings.append(text("agent_pin.length", self.language, digits=digits))
        return warnings

    def plain_lines(self) -> list[str]:
        """Return everything that a program shows which has lines alone."""
        alert = [text("agent_pin.plain_http", self.language)] if self.plain_http else []
        return [*alert, *self.lines(), *self.warnings()]

    def blocked_lines(self) -> list[str]:
        """Return what to show where the card is blocked, most important first."""
        card = text("agent_pin.card", self.language, holder=self.holder, digits=self.card_digits)
        return [
            text("agent_pin.blocked", self.language),
            card,
            text("agent_pin.puk", self.language),
        ]


def new_portal_lines(origin: str, language: str) -> list[str]:
    """Return what to show where a portal is new to this agent, most important first."""
    return [
        text("agent_pin.new_portal", language, origin=origin),
        text("agent_pin.new_portal_why", language),
    ]


class PINEntry(Protocol):
    """A way to get the PIN."""

    @property
    def interactive(self) -> bool:
        """Return whether a person answers, who may be asked again after a wrong PIN."""

    def ask(self, request: PINRequest, wanted: Wanted) -> PIN:
        """Return the PIN; the caller overwrites it after use.

        :raises cps.errors.PINCancelledError: where the person says no, nobody can be asked, or
            the answer is not wanted any more.
        """

    def at_keypad(self, request: PINRequest, wanted: Wanted) -> AbstractContextManager[None]:
        """Show the question while the PIN is typed at the reader's keypad.

        With one try left a confirmation is asked for before.

        :raises cps.errors.PINCancelledError: where the person says no, or nobody can be asked.
        """

    def confirms(self, origin: str, language: str, wanted: Wanted) -> bool:
        """Return whether the person says yes to a portal that is new to this agent.

        :raises cps.errors.PINCancelledError: where the answer is not wanted any more.
        """

    def tell_blocked(self, request: PINRequest) -> None:
        """Tell that the card takes no PIN any more, and what to do; does not wait."""

    def rejected(self) -> None:
        """Be told that the card called the PIN of the last answer wrong."""

    def close(self) -> None:
        """Forget everything; safe to call twice."""
