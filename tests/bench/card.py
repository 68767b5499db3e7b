"""What a login costs at the card: APDUs, and our own time beside the card's key operation."""

from cps.card.recognise import open_card
from cps.pin import PIN
from cps.simulator.chip import SoftwareCard
from cps.simulator.terminal import SoftwareTerminal
from cps.transport.connection import CardConnection
from cps.transport.trace import TracedConnection
from tests.bench.timing import median_seconds
from tests.support import cards

READER = "bench"
MESSAGE = b"\x00" * 181
# Counted by others with the official library on the same software card, cold and cached.
OFFICIAL_COLD, OFFICIAL_CACHED = 56, 18


def main() -> None:
    """Print the counts and times."""
    card = SoftwareCard(cards.image())
    terminal = SoftwareTerminal(card)
    reader = terminal.readers()[0].name
    counts = [_count(terminal.connect(reader)) for _ in range(2)]
    print("Card: APDUs of a login (open, certificate, tries left, sign)")
    print(f"  first login    {counts[0]:3d}   {counts[0] / OFFICIAL_COLD:.2f} of the official's 56")
    print(f"  second login   {counts[1]:3d}   {counts[1] / OFFICIAL_CACHED:.2f} of its 18, cached")
    key = cards.authentication_key()
    block = int.from_bytes(b"\x00\x01" + b"\xff" * 202 + b"\x00" + b"\x30" * 51, "big")
    numbers = key.private_numbers()
    raw = median_seconds(lambda: pow(block, numbers.d, numbers.public_numbers.n), 20)
    whole = median_seconds(lambda: _login(terminal.connect(reader)), 10)
    print("Time of that login, software card in process")
    print(f"  whole                      {whole * 1e3:6.1f} ms")
    print(f"  the card's key operation   {raw * 1e3:6.1f} ms   baseline")
    print(f"  ratio                      {whole / raw:6.2f}")


def _count(connection: CardConnection) -> int:
    lines: list[str] = []
    _login(TracedConnection(connection, lines.append))
    return sum(line.startswith(">") for line in lines)


def _login(connection: CardConnection) -> None:
    card = open_card(connection)
    try:
        card.authentication_certificate()
        card.tries_left()
        with PIN(bytearray(b"1234")) as pin:
            card.sign(pin, lambda certificate: MESSAGE)
    finally:
        card.close()


if __name__ == "__main__":
    main()
