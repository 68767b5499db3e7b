"""A virtual card as a test has it in hand: its file, what it says, and what can be done to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from cps.issuer.folder import AuthorityFolder
from cps.simulator.card import Card
from cps.simulator.chip import SoftwareCard
from cps.simulator.faults import Fault, faulty_card
from cps.simulator.image import CardImage
from cps.virtual.description import VirtualCard, describe
from cps.virtual.store import VirtualCards


@dataclass(frozen=True, slots=True, kw_only=True)
class CardInHand:
    """One card of a folder, with its PIN."""

    path: Path
    """The card's file, for ``cps agent --virtual-card``."""
    pin: str
    puk: str
    pin_file: Path
    """A file of mode 0600 with the PIN, for ``cps agent --pin-file``."""
    authority: AuthorityFolder

    @property
    def details(self) -> VirtualCard:
        """Return what the card says now: holder, numbers, validity, tries left."""
        return describe(self.path)

    @contextmanager
    def opened(self, *faults: str, contactless: bool = False) -> Iterator[Card]:
        """Give the card to put it into a reader; no other process can have it meanwhile.

        :param faults: what goes wrong with it, as for ``cps virtual insert --fault``: ``mute@3``.
        :param contactless: as on a radio reader, where it has no PIN.
        :raises CardBusyError: where another process has it.
        :raises ValueError: for a fault that is none.
        """

        def bare(image: CardImage) -> Card:
            return SoftwareCard(image, contactless=contactless)

        with CardImage.open(self.path) as image:
            yield faulty_card(image, [Fault.parse(text) for text in faults], make=bare)

    def block(self) -> None:
        """Take every try of the PIN."""
        VirtualCards(self.path.parent).block(self.path.stem)

    def unblock(self) -> None:
        """Give every try of PIN and PUK back."""
        VirtualCards(self.path.parent).unblock(self.path.stem)

    def revoke(self, reason: x509.ReasonFlags | None = None) -> None:
        """Revoke the card's certificates; the authority's lists say so from then on."""
        VirtualCards(self.path.parent).revoke(self.path.stem, self.authority, reason)
