"""What goes wrong with virtual cards, as a person is told it."""


class VirtualCardError(Exception):
    """What was asked of the folder of cards cannot be done; the text says why."""
