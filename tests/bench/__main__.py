"""Every measurement, one after another, or those named: ``python -m tests.bench trust``."""

import sys

from tests.bench import (
    card,
    card_out,
    click,
    guard,
    journal,
    many,
    relay,
    revocation,
    session_end,
    stores,
    storm,
    trust,
)

MEASUREMENTS = {
    "card": card.main,
    "card_out": card_out.main,
    "click": click.main,
    "relay": relay.main,
    "guard": guard.main,
    "journal": journal.main,
    "session_end": session_end.main,
    "storm": storm.main,
    "many": many.main,
    "stores": stores.main,
    "revocation": revocation.main,
    "trust": trust.main,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or MEASUREMENTS:
        MEASUREMENTS[name]()
        print(flush=True)
