"""What a child is told through its lifeline: the settings of the portals that it works for."""

import json
from collections.abc import Sequence

from gateway.settings import Settings


def write_order(portals: Sequence[Settings]) -> bytes:
    """Return an order, one line without its end.

    Of each portal it has no more than was written: some settings may not be named beside others.
    """
    return json.dumps(
        [each.model_dump(mode="json", exclude_unset=True) for each in portals]
    ).encode()


def read_order(order: bytes) -> tuple[Settings, ...]:
    """Return the settings in an order; at least one portal's."""
    return tuple(map(Settings.model_validate, json.loads(order)))
