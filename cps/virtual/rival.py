"""Another program at the same card: it resets it by PC/SC, and every other program is told."""

from cps.errors import NoCardError
from cps.transport.pcsc import PCSCTerminal

READER_NAME = "Virtual PCD"


def reset_card(slot: int) -> None:
    """Reset the card in the virtual reader's *slot*, 0 the first.

    Where another program holds the card in a transaction, this waits for its end, as every program
    must.

    :raises NoCardError: where PC/SC shows no card there.
    :raises CardError: where PC/SC is not there or refuses.
    """
    terminal = PCSCTerminal()
    for state in terminal.readers():
        if READER_NAME in state.name and state.name.endswith(f"{slot:02X}") and state.present:
            connection = terminal.connect(state.name)
            try:
                with connection.transaction(reset=True):
                    # The reset is at the end.
                    pass
            finally:
                connection.close()
            return
    raise NoCardError("PC/SC shows no card in the virtual reader")
