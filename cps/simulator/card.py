"""What a reader wants of the card in it, be it bare or with something around it."""

from typing import Protocol


class Card(Protocol):
    """A card that a reader can hold."""

    @property
    def atr(self) -> bytes:
        """Return the answer to reset."""

    @property
    def t0(self) -> bool:
        """Return whether the protocol is T=0, else it is T=1."""

    def power_on(self) -> None:
        """Give power; a card that has it starts anew."""

    def reset(self) -> None:
        """Forget what was verified, chosen and selected."""

    def power_off(self) -> None:
        """Take the power away."""

    def execute(self, command: bytes) -> bytes:
        """Return the raw answer to one raw command.

        :raises CardMuteError: where no answer comes.
        :raises CardRemovedError: where the card is pulled out before the answer comes.
        :raises CardResetError: where another program reset it before: the command was not run.
        """
