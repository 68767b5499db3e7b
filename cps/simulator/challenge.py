"""GET CHALLENGE: random bytes."""

import secrets

from cps.simulator.command import Command, CommandRefusedError
from cps.status import SW


def get_challenge(command: Command) -> bytes:
    """Run GET CHALLENGE: random bytes, as many as are wanted."""
    if (command.p1, command.p2) != (0x00, 0x00):
        raise CommandRefusedError(SW.INCORRECT_P1_P2)
    if command.data:
        raise CommandRefusedError(SW.WRONG_LENGTH)
    return secrets.token_bytes(command.ne)
