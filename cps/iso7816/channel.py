"""A channel to the card: whole answers, whatever the transmission protocol makes of them."""

from dataclasses import replace

from cps.apdu import CommandAPDU, ResponseAPDU
from cps.errors import CardDataError
from cps.status import bytes_available, right_ne
from cps.transport.connection import CardConnection

MAX_GET_RESPONSES = 16
"""How often one answer may go on: with it, an answer has at most 17 * 256 bytes."""

_GET_RESPONSE = 0xC0


class Channel:
    """The card behind *connection*, as if every answer came in one piece.

    :param connection: carries raw APDUs; it stays the caller's to close.
    :param number: the logical channel, 0 to 3: the low bits of each command's class byte.
    """

    def __init__(self, connection: CardConnection, *, number: int = 0) -> None:
        if not 0 <= number <= 3:
            raise ValueError(f"channel {number}: 0 to 3")
        self._connection = connection
        self._number = number

    @property
    def cla(self) -> int:
        """Return the class byte of a plain command on this channel."""
        return self._number

    def transmit(self, command: CommandAPDU) -> ResponseAPDU:
        """Return the card's whole answer to *command*, whatever its status word says.

        On T=0 a command with data goes without Le. Where the card says 6Cxx, a command that wants
        an answer goes once more with that length; one that wants none, such as VERIFY, never goes
        twice. Where it says 61xx, the rest is fetched.

        :returns: at most 17 * 256 bytes of data.
        :raises TransportError: where the card was not reached.
        :raises CardDataError: for an answer that is no answer, is longer than what was asked for,
            or does not end.

        Source: ISO/IEC 7816-3:2006 §12.2 (T=0); ISO/IEC 7816-4:2020 §5.6 (61xx, 6Cxx).
        """
        limit = command.ne or 0
        if command.case == 4 and self._connection.t0:
            # A driver that fetches the answer by itself gives it at once: the limit stays.
            return self._rest(command, self._exchange(replace(command, ne=None), limit))
        answer = self._exchange(command, limit)
        if command.ne is None:
            return answer
        return self._rest(command, self._corrected(command, answer))

    def _corrected(self, command: CommandAPDU, answer: ResponseAPDU) -> ResponseAPDU:
        """Return *answer*, or where it says that Ne was wrong, the answer with the right one."""
        ne = right_ne(answer.sw)
        return answer if ne is None else self._exchange(replace(command, ne=ne), ne)

    def _rest(self, command: CommandAPDU, answer: ResponseAPDU) -> ResponseAPDU:
        """Return *answer* with all that it says is still to be fetched."""
        data, fetched = answer.data, 0
        while (ne := bytes_available(answer.sw)) is not None:
            if fetched == MAX_GET_RESPONSES:
                raise CardDataError(f"the answer goes on after {fetched} GET RESPONSE")
            fetch = CommandAPDU(cla=command.cla, ins=_GET_RESPONSE, p1=0, p2=0, ne=ne)
            answer = self._corrected(fetch, self._exchange(fetch, ne))
            if not answer.data and bytes_available(answer.sw) is not None:
                raise CardDataError("GET RESPONSE: the card promises bytes and gives none")
            data += answer.data
            fetched += 1
        return ResponseAPDU(data=data, sw=answer.sw)

    def _exchange(self, command: CommandAPDU, limit: int) -> ResponseAPDU:
        """Return the raw answer, which may hold at most *limit* bytes of data."""
        raw = command.encode()
        if command.case == 1 and self._connection.t0:
            # By T=0 a header always has a fifth byte; not every reader's driver adds it.
            raw += b"\x00"
        try:
            answer = ResponseAPDU.decode(self._connection.transmit(raw))
        except ValueError as exc:
            raise CardDataError(f"INS {command.ins:02X}: {exc}") from exc
        if len(answer.data) > limit:
            raise CardDataError(
                f"INS {command.ins:02X}: {len(answer.data)} bytes where {limit} were asked for"
            )
        return answer
