"""Readers that no card can be put into: the system's own, and keys that are reader and card in one.

They would be taken for a free slot, or for a reader with the wrong card in it.
"""

GHOSTS = (
    "Windows Hello",
    # The TPM as a card.
    "Microsoft Virtual Smart Card",
    # The SIM card of a built-in modem.
    "Microsoft UICC ISO Reader",
    "Intercede Virtual Reader",
    "Yubico YubiKey",
)
"""How their names begin, in whatever case. The virtual reader of tests is a reader like others."""


def is_ghost(reader: str) -> bool:
    """Return whether no card can be put into the reader of that name."""
    name = reader.casefold()
    return any(name.startswith(ghost.casefold()) for ghost in GHOSTS)
