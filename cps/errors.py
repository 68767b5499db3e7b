"""What can go wrong between this workstation and the card.

CardError
├── TransportError            the card was not reached; may be tried again
│   ├── NoServiceError        PC/SC is not running
│   ├── NoReaderError
│   ├── NoCardError
│   ├── CardRemovedError      it was there, and went
│   ├── CardResetError        another program reset it
│   ├── CardMuteError         no answer to power on or to a command
│   └── CardBusyError         another program holds it
├── CardUnsupportedError      not a card we know
│   └── CardContactlessError  a CPS, but by its contactless interface, which has no PIN
├── CardRefusedError          a status word that is not success
│   └── PINRejectedError      wrong or blocked
├── CardDataError             not what the standard allows
│   └── CertificateMissingError  no certificate to log in with
├── KeypadError               the reader's keypad did not take the PIN
├── PINLengthError            too short or too long for this card; it was not sent
└── PINCancelledError         the person said no
"""


class CardError(Exception):
    """The root of everything a card or a reader can do to a caller."""


class TransportError(CardError):
    """The card was not reached; nothing is known of its state, and no PIN try was spent by this."""


class NoServiceError(TransportError):
    """The PC/SC service does not run or cannot be reached."""


class NoReaderError(TransportError):
    """No reader is connected, or the named one is not."""


class NoCardError(TransportError):
    """The reader holds no card."""


class CardRemovedError(TransportError):
    """The card left the reader during the work."""


class CardResetError(TransportError):
    """Another program reset the card: its security state is lost."""


class CardMuteError(TransportError):
    """The card does not answer."""


class CardBusyError(TransportError):
    """Another program holds the card for itself."""


class CardUnsupportedError(CardError):
    """The card is not one this program knows."""

    def __init__(self, atr: bytes) -> None:
        super().__init__(f"unknown card, ATR {atr.hex(' ').upper()}")
        self.atr = atr
        """What the card answered to reset."""


class CardContactlessError(CardUnsupportedError):
    """A CPS card reached by its contactless interface: no PIN there, so no login."""


class CardRefusedError(CardError):
    """The card answered a command with a status word that is not success."""

    def __init__(self, command: str, sw: int) -> None:
        super().__init__(f"{command}: the card answered {sw:04X}")
        self.command = command
        """The command's name in ISO/IEC 7816-4, never its data."""
        self.sw = sw
        """SW1-SW2 as one integer."""


class PINRejectedError(CardRefusedError):
    """The PIN or PUK was wrong, or is blocked."""

    def __init__(self, command: str, sw: int, tries_left: int) -> None:
        super().__init__(command, sw)
        self.tries_left = tries_left
        """0 where it is blocked."""


class CardDataError(CardError):
    """What the card gave is not what the standard allows."""


class CertificateMissingError(CardDataError):
    """The card is a CPS and lists, or holds, no certificate to log in with."""


class KeypadError(CardError):
    """The reader's own keypad did not take the PIN, or gave no answer that says what happened."""


class PINLengthError(CardError):
    """The PIN has more or fewer digits than this card's; it was not sent, no try was spent."""

    def __init__(self, shortest: int, longest: int) -> None:
        super().__init__(f"the PIN of this card has {shortest} to {longest} digits")
        self.shortest = shortest
        self.longest = longest


class PINCancelledError(CardError):
    """The person closed the PIN entry."""
