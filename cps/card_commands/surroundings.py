"""What a command finds around it: readers, a person at a terminal, the time, a language."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from cps.authtoken.catalogue import language_of, text
from cps.transport.connection import CardTerminal


class Console(Protocol):
    """A terminal to ask on: see :class:`cps.agent.console.Console`."""

    def write(self, words: str) -> None:
        """Show *words*."""

    def ask(self, question: str) -> str:
        """Return the line typed after *question*."""

    def ask_hidden(self, question: str) -> bytearray:
        """Return the line typed after *question*, shown nowhere."""


class ToolError(Exception):
    """What a command cannot do, for a reason that is not the card's.

    :param key: of its sentence in the catalogue.
    :param values: what fills the sentence.
    """

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.key = key
        self.values = values

    def sentence(self, language: str) -> str:
        """Return what the person reads."""
        return text(self.key, language, **self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Everything from outside; tests put other things in place."""

    terminal: Callable[[Callable[[str], bool]], CardTerminal]
    """Returns the readers, without those that the given function passes over by their names."""
    console: Callable[[], AbstractContextManager[Console]]
    """Opens the terminal of the person; raises ToolError where there is none."""
    clock: Callable[[], datetime]
    """Returns the present as an aware UTC time."""
    language: str
    """``fr`` or ``en``."""


def real_surroundings() -> Surroundings:
    """Return this computer's own."""
    return Surroundings(
        terminal=_pcsc_terminal,
        console=_posix_console,
        clock=_system_clock,
        language=language_of(os.environ),
    )


def _pcsc_terminal(passed_over: Callable[[str], bool]) -> CardTerminal:
    try:
        # Only here: other commands work without the reader software.
        from cps.transport.pcsc import PCSCTerminal
    except ModuleNotFoundError as exc:
        raise ToolError("card_command.no_pcsc") from exc
    return PCSCTerminal(passed_over)


def _posix_console() -> AbstractContextManager[Console]:
    try:
        # Only here: it is for systems with POSIX terminals.
        from cps.agent.console import Console as POSIXConsole

        return POSIXConsole()
    except (ModuleNotFoundError, OSError) as exc:
        raise ToolError("card_command.no_terminal") from exc


def _system_clock() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the one place where these commands read the clock
