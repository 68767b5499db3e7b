"""A connection that plays a written dialogue: for tests, and to look again at a trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cps.atr import CPS3_CONTACT_ATR
from cps.errors import (
    CardBusyError,
    CardMuteError,
    CardRemovedError,
    CardResetError,
    NoServiceError,
    TransportError,
)

FAULTS: dict[str, type[TransportError]] = {
    "removed": CardRemovedError,
    "reset": CardResetError,
    "mute": CardMuteError,
    "busy": CardBusyError,
    "no service": NoServiceError,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    number: int
    """In the script, from 1."""
    kind: str
    """``>`` command, ``<`` answer, ``!`` fault, ``begin`` or ``end``."""
    text: str
    """What stands behind the kind, without the comment."""


class ReplayConnection:
    """A card that answers exactly what its script says, and accepts nothing else.

    One step a line, a comment behind ``#``:

    ``> 00 A4 …``
        the command that must come next;
    ``< 90 00``
        what it is answered;
    ``! removed``
        instead of an answer, ``begin`` or ``end``: the fault raised there. One of :data:`FAULTS`;
    ``begin``, ``end reset``, ``end leave``
        a transaction starts, and ends with or without a reset of the card.

    After a fault the connection is dead: it accepts only that its transaction ends, and `close`.

    :param script: the dialogue.
    :param atr: the card's answer to reset.
    :param t0: whether the protocol is T=0.
    :raises ValueError: for a line that is none of these.
    """

    def __init__(self, script: str, *, atr: bytes = CPS3_CONTACT_ATR, t0: bool = True) -> None:
        self._lines = _parse(script)
        self._next = 0
        self._atr = atr
        self._t0 = t0
        self._dead = False

    @property
    def atr(self) -> bytes:
        return self._atr

    @property
    def t0(self) -> bool:
        return self._t0

    def transmit(self, command: bytes) -> bytes:
        self._expect(">", _spaced(command))
        answer = self._lines[self._next]
        self._raise_fault()
        self._next += 1
        return bytes.fromhex(answer.text)

    @contextmanager
    def transaction(self, *, reset: bool) -> Iterator[None]:
        self._raise_fault()
        self._expect("begin", "")
        try:
            yield
        except BaseException:
            # A card that is gone cannot end anything; the first error is the one that counts.
            if not self._dead:
                self._end(reset=reset)
            raise
        self._end(reset=reset)

    def close(self) -> None:
        """Check that the whole dialogue took place; safe to call twice.

        :raises AssertionError: with the first line that did not.
        """
        if self._next < len(self._lines):
            line = self._lines[self._next]
            raise AssertionError(f"line {line.number} never happened: {line.kind} {line.text}")

    def _end(self, *, reset: bool) -> None:
        self._raise_fault()
        self._expect("end", "reset" if reset else "leave")

    def _expect(self, kind: str, text: str) -> None:
        """Go past the next line, which must be this one."""
        got = f"{kind} {text}".rstrip()
        if self._dead:
            raise AssertionError(f"used after a fault: {got}")
        if self._next == len(self._lines):
            raise AssertionError(f"behind the end of the dialogue: {got}")
        line = self._lines[self._next]
        wanted = f"{line.kind} {line.text}".rstrip()
        if got != wanted:
            raise AssertionError(f"line {line.number}: wanted {wanted}, got {got}")
        self._next += 1

    def _raise_fault(self) -> None:
        """Raise the fault of the next line, if it is one."""
        if self._dead or self._next == len(self._lines):
            return
        line = self._lines[self._next]
        if line.kind == "!":
            self._next += 1
            self._dead = True
            raise FAULTS[line.text](f"line {line.number} of the dialogue")


def _parse(script: str) -> list[_Line]:
    lines: list[_Line] = []
    for number, raw in enumerate(script.splitlines(), start=1):
        kind, _, text = raw.partition("#")[0].strip().partition(" ")
        if not kind:
            continue
        line = _Line(number=number, kind=kind, text=_canonical(number, kind, text.strip()))
        answers = bool(lines) and lines[-1].kind == ">"
        if answers != (kind == "<") and not (answers and kind == "!"):
            raise ValueError(f"line {number}: an answer follows a command, and nothing else does")
        lines.append(line)
    if lines and lines[-1].kind == ">":
        raise ValueError(f"line {lines[-1].number}: the answer is missing")
    return lines


def _canonical(number: int, kind: str, text: str) -> str:
    """Return *text* in the one spelling that is compared, or raise."""
    if kind in ("<", ">"):
        try:
            return _spaced(bytes.fromhex(text))
        except ValueError as exc:
            raise ValueError(f"line {number}: hexadecimal is wanted") from exc
    allowed = {"!": tuple(FAULTS), "begin": ("",), "end": ("reset", "leave")}
    if text not in allowed.get(kind, ()):
        raise ValueError(f"line {number}: {kind} {text} is no step of a dialogue")
    return text


def _spaced(data: bytes) -> str:
    return data.hex(" ").upper()
