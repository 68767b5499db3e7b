"""The commands of ISO/IEC 7816-4 about PINs: none is ever sent a second time by itself."""

from cps.apdu import CommandAPDU
from cps.errors import CardRefusedError, PINRejectedError
from cps.iso7816.channel import Channel
from cps.status import SW, tries_left


def count_tries(channel: Channel, *, reference: int) -> int | None:
    """Return how many tries a PIN has left, asked by a VERIFY without data, which spends none.

    :param reference: 0x01 to 0x7F for a PIN of the whole card.
    :returns: 0 to 15; ``None`` where the card does not say, because it does not know the question
        or because the PIN is verified.
    """
    command = CommandAPDU(cla=channel.cla, ins=0x20, p1=0x00, p2=reference)
    return tries_left(channel.transmit(command).sw)


def verify(channel: Channel, *, reference: int, block: bytes) -> None:
    """Compare a PIN, once.

    :param reference: 0x01 to 0x7F for a PIN of the whole card.
    :param block: the PIN as the card wants it, padded or not; 1 to 255 bytes.
    :raises PINRejectedError: wrong or blocked, with the tries left.
    :raises CardRefusedError: for any other answer but 9000.
    """
    if not block:
        raise ValueError("an empty VERIFY asks for the state, and compares nothing")
    command = CommandAPDU(cla=channel.cla, ins=0x20, p1=0x00, p2=reference, data=block)
    require_success("VERIFY", channel.transmit(command).sw)


def change(channel: Channel, *, reference: int, old: bytes, new: bytes) -> None:
    """Put a new PIN in place of the old one, which is compared, once.

    :param old: as of :func:`verify`; empty where it was verified just before.
    :param new: written as *old* is.
    :raises PINRejectedError: where the old one is wrong or blocked, with the tries left.
    :raises CardRefusedError: for any other answer but 9000.
    """
    p1 = 0x00 if old else 0x01
    command = CommandAPDU(cla=channel.cla, ins=0x24, p1=p1, p2=reference, data=old + new)
    require_success("CHANGE REFERENCE DATA", channel.transmit(command).sw)


def reset_retry_counter(channel: Channel, *, reference: int, new: bytes) -> None:
    """Give a PIN its tries back, after the PUK was verified.

    :param reference: P2, one byte: the PIN's number as this card wants it here.
    :param new: the new PIN; empty on a card that takes it by a command of its own.
    :raises CardRefusedError: for any answer but 9000.
    """
    p1 = 0x02 if new else 0x03
    command = CommandAPDU(cla=channel.cla, ins=0x2C, p1=p1, p2=reference, data=new)
    require_success("RESET RETRY COUNTER", channel.transmit(command).sw)


def require_success(name: str, sw: int) -> None:
    """Refuse every answer to a command about a PIN but 9000.

    :param name: the command's, in ISO/IEC 7816-4.
    :raises PINRejectedError: wrong or blocked, with the tries left.
    :raises CardRefusedError: for any other answer.
    """
    # 6984: the uses of this PIN are counted, and used up.
    left = 0 if sw == SW.REFERENCE_DATA_NOT_USABLE else tries_left(sw)
    if left is not None:
        raise PINRejectedError(name, sw, left)
    if sw != SW.SUCCESS:
        raise CardRefusedError(name, sw)
