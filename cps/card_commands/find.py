"""Which reader is meant, and what is in it."""

from collections.abc import Sequence

from cps.atr import CardType, recognise
from cps.card_commands.surroundings import ToolError
from cps.errors import CardContactlessError, CardUnsupportedError, NoCardError, NoReaderError
from cps.transport.connection import ReaderState

OTHER = "other"


def kind_of(state: ReaderState) -> str:
    """Return the kind of the card in a reader: a :class:`CardType`'s value, or :data:`OTHER`."""
    kind = recognise(state.atr)
    return OTHER if kind is None else kind.value


def cps_readers(readers: Sequence[ReaderState]) -> list[ReaderState]:
    """Return the readers that hold a CPS by its contacts."""
    return [
        state
        for state in readers
        if state.present and recognise(state.atr) not in (None, CardType.CPS3_CONTACTLESS)
    ]


def choose_reader(readers: Sequence[ReaderState], wanted: str | None) -> ReaderState:
    """Return the reader that is wanted, or the one that holds a CPS.

    :param wanted: the name, or a part of it that no other reader's name has.
    :raises ToolError: where the name names no reader, or several hold a CPS.
    :raises NoReaderError: where there is no reader at all.
    :raises NoCardError: where it holds none.
    :raises CardUnsupportedError: where it holds another card; CardContactlessError without contact.
    """
    if not readers:
        raise NoReaderError("no reader")
    if wanted is not None:
        return _require_cps(_named(readers, wanted))
    found = cps_readers(readers)
    if len(found) > 1:
        raise ToolError("card_command.several", readers=_names(found))
    if found:
        return found[0]
    present = [state for state in readers if state.present]
    if not present:
        raise NoCardError("no card in a reader")
    # One without contact says more about what to do than any other card.
    present.sort(key=lambda state: recognise(state.atr) is not CardType.CPS3_CONTACTLESS)
    return _require_cps(present[0])


def _named(readers: Sequence[ReaderState], wanted: str) -> ReaderState:
    found = [state for state in readers if state.name == wanted]
    found = found or [state for state in readers if wanted.casefold() in state.name.casefold()]
    if len(found) != 1:
        raise ToolError("card_command.reader_unknown", wanted=wanted, readers=_names(readers))
    return found[0]


def _require_cps(state: ReaderState) -> ReaderState:
    if not state.present:
        raise NoCardError(f"no card in {state.name}")
    kind = recognise(state.atr)
    if kind is CardType.CPS3_CONTACTLESS:
        raise CardContactlessError(state.atr)
    if kind is None:
        raise CardUnsupportedError(state.atr)
    return state


def _names(readers: Sequence[ReaderState]) -> str:
    return ", ".join(state.name for state in readers)
