"""What a portal can meet.

AssertionRefusedError      nobody is believed
└── KeysUnavailableError   the gateway's keys cannot be had: try again later
"""


class AssertionRefusedError(Exception):
    """The request carries no assertion that the gateway signed for this portal, for now."""


class KeysUnavailableError(AssertionRefusedError):
    """The gateway's keys could not be fetched, so nothing can be checked."""
