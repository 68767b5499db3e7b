"""How a sign-in tells the browser's page where it is, and learns that nobody waits any more."""

from enum import StrEnum, unique
from typing import Protocol


@unique
class Stage(StrEnum):
    """What a sign-in waits for; the value names its text in the catalogue's table ``agent``."""

    WORKING = "working"
    READER = "reader"
    """A reader must be connected."""
    CARD = "card"
    """A CPS card must be inserted."""
    CARDS = "cards"
    """All but one CPS card must be taken out."""
    PIN = "pin"
    """The PIN must be typed, in the agent's window or terminal."""
    KEYPAD = "keypad"
    """The PIN must be typed at the reader's own keypad."""


class Progress(Protocol):
    """Where a sign-in is."""

    def show(self, stage: Stage) -> None:
        """Tell what the sign-in waits for."""

    def wanted(self) -> bool:
        """Return whether somebody still waits for the outcome."""
