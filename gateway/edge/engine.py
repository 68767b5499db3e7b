"""The seam for engines: what stands in front of the portal and lets no request pass unseen."""

from typing import Protocol


class Engine(Protocol):
    """An HTTP server in front of the portal, with the gateway's decision behind it."""

    @property
    def address(self) -> str:
        """Where it listens, ``host:port``; known once it was started."""

    async def start(self) -> None:
        """Listen.

        :raises OSError: where the address cannot be listened on.
        """

    async def run(self) -> None:
        """Work until cancelled; a return or an exception means that it works no more."""

    async def reload(self) -> None:
        """Take certificates that were renewed, while requests go on.

        :raises ConfigurationError: where they cannot be used; then the old ones stay.
        """

    async def stop(self) -> None:
        """Take no more requests, let those under way end for a short time, then end them."""
