"""The commands of ISO/IEC 7816-4 that find, read and sign, each with the refusals it can meet.

Those about PINs are in :mod:`cps.iso7816.pins`.
"""

from collections.abc import Container

from cps import tlv
from cps.apdu import MAX_NC, MAX_NE, CommandAPDU, ResponseAPDU
from cps.errors import CardDataError, CardRefusedError
from cps.iso7816.channel import Channel
from cps.status import SW, bytes_available

MAX_OFFSET = 0x7FFF
"""The last offset READ BINARY can name: 15 bits."""
MAX_READS = 64
"""How many READ BINARY one file may take: a card that gives byte after byte ends there."""

_CHAINING = 0x10
_MF = b"\x3f\x00"


def select(channel: Channel, path: bytes) -> None:
    """Make the file at *path* the current one.

    :param path: from the MF, 2 to 16 bytes: ``3F00 0001 7005``.
    :raises CardRefusedError: FILE_NOT_FOUND where there is none.

    A path that begins with 3F00 works from anywhere, although P1 09 means "from the current DF".
    """
    _select(channel, p1=0x09, data=path)


def select_below_mf(channel: Channel, path: bytes, *, with_fci: bool = False) -> None:
    """Make the file at *path* the current one, on a card that wants no 3F00 in front.

    :param path: as of :func:`select`.
    :param with_fci: whether the card is to tell of the file, which is then passed over: for a card
        that selects in no other way.
    :raises CardRefusedError: FILE_NOT_FOUND where there is none.
    """
    if path == _MF:
        _select(channel, p1=0x00, data=_MF, with_fci=with_fci)
    else:
        _select(channel, p1=0x08, data=path.removeprefix(_MF), with_fci=with_fci)


def select_application(channel: Channel, aid: bytes) -> None:
    """Make the application named *aid* the current one.

    :param aid: 5 to 16 bytes.
    :raises CardRefusedError: where there is none.
    """
    _select(channel, p1=0x04, data=aid)


def read_binary(channel: Channel, *, offset: int, ne: int) -> bytes:
    """Return up to *ne* bytes of the current file from *offset* on; fewer where it ends there.

    :param offset: 0 to :data:`MAX_OFFSET`.
    :param ne: 1 to 256 bytes.
    :raises CardRefusedError: where the file may not be read.
    """
    if not 0 <= offset <= MAX_OFFSET:
        raise ValueError(f"offset {offset}: 0 to {MAX_OFFSET}")
    command = CommandAPDU(cla=channel.cla, ins=0xB0, p1=offset >> 8, p2=offset & 0xFF, ne=ne)
    answer = channel.transmit(command)
    if offset and answer.sw == SW.WRONG_P1_P2:
        return b""  # The file ends at or before the offset.
    return _data("READ BINARY", answer, accepted=(SW.SUCCESS, SW.END_OF_FILE))


def read_short(channel: Channel, *, sfi: int, ne: int) -> bytes:
    """Return the first bytes of a file of the current DF, which becomes the current file.

    :param sfi: its short identifier, 1 to 30.
    :param ne: 1 to 256 bytes.
    :raises CardRefusedError: where there is no such file, or it may not be read.
    """
    if not 1 <= sfi <= 30:
        raise ValueError(f"short file identifier {sfi}: 1 to 30")
    command = CommandAPDU(cla=channel.cla, ins=0xB0, p1=0x80 | sfi, p2=0x00, ne=ne)
    answer = channel.transmit(command)
    return _data("READ BINARY", answer, accepted=(SW.SUCCESS, SW.END_OF_FILE))


def read_file(channel: Channel, *, max_bytes: int) -> bytes:
    """Return the whole current file; a block that is not full ends it.

    :raises CardRefusedError: where it may not be read.
    :raises CardDataError: where it has more than *max_bytes*.
    """
    content = b""
    while len(content) <= max_bytes:
        block = read_binary(channel, offset=len(content), ne=MAX_NE)
        content += block
        if len(block) < MAX_NE:
            break
    if len(content) > max_bytes:
        raise CardDataError(f"READ BINARY: a file of more than {max_bytes} bytes")
    return content


def read_data_object(channel: Channel, *, max_bytes: int) -> bytes:
    """Return the one data object at the start of the current file, which says its own length.

    :raises CardRefusedError: where the file may not be read.
    :raises CardDataError: for more than *max_bytes*, no data object, one that the file cuts, or
        one that does not come within :data:`MAX_READS` blocks.
    """
    content = read_binary(channel, offset=0, ne=MAX_NE)
    try:
        length = tlv.encoded_length(content)
    except ValueError as exc:
        raise CardDataError(f"READ BINARY: {exc}") from exc
    if length > max_bytes:
        raise CardDataError(f"READ BINARY: {length} bytes where {max_bytes} are allowed")
    reads = 1
    while len(content) < length:
        left = length - len(content)
        if reads == MAX_READS:
            raise CardDataError(f"READ BINARY: {left} bytes are left after {reads} blocks")
        reads += 1
        block = read_binary(channel, offset=len(content), ne=min(left, MAX_NE))
        if not block:
            raise CardDataError(f"READ BINARY: the file ends {left} bytes before its content")
        content += block
    return content[:length]


def get_data(channel: Channel, request: bytes) -> bytes:
    """Return the data objects that the extended header list *request* asks for.

    :param request: the command's data, 1 to 255 bytes.
    :raises CardRefusedError: REFERENCED_DATA_NOT_FOUND where there are none.
    """
    command = CommandAPDU(cla=channel.cla, ins=0xCB, p1=0x3F, p2=0xFF, data=request, ne=MAX_NE)
    return _data("GET DATA", channel.transmit(command))


def set_authentication_key(channel: Channel, *, algorithm: int, reference: int) -> None:
    """Choose key and algorithm for INTERNAL AUTHENTICATE, by MANAGE SECURITY ENVIRONMENT.

    :param algorithm: the card's number for it, one byte.
    :param reference: the key's number, one byte.
    :raises CardRefusedError: where the card does not accept that pair.
    """
    template = tlv.encode(0x80, bytes((algorithm,))) + tlv.encode(0x84, bytes((reference,)))
    command = CommandAPDU(cla=channel.cla, ins=0x22, p1=0x41, p2=0xA4, data=template)
    _data("MANAGE SECURITY ENVIRONMENT", channel.transmit(command))


def internal_authenticate(channel: Channel, challenge: bytes) -> bytes:
    """Return what the chosen key makes of *challenge*.

    :param challenge: 1 to 255 bytes.
    :raises CardRefusedError: SECURITY_STATUS_NOT_SATISFIED without a verified PIN.
    """
    command = CommandAPDU(cla=channel.cla, ins=0x88, p1=0x00, p2=0x00, data=challenge, ne=MAX_NE)
    return _data("INTERNAL AUTHENTICATE", channel.transmit(command))


def set_deciphering_key(channel: Channel, *, reference: int) -> None:
    """Choose the key for DECIPHER, by MANAGE SECURITY ENVIRONMENT, without an algorithm.

    :param reference: the key's number, one byte.
    :raises CardRefusedError: where the card has no such key.
    """
    template = tlv.encode(0x83, bytes((reference,)))
    command = CommandAPDU(cla=channel.cla, ins=0x22, p1=0x41, p2=0xB8, data=template)
    _data("MANAGE SECURITY ENVIRONMENT", channel.transmit(command))


def decipher(channel: Channel, cryptogram: bytes) -> bytes:
    """Return what the chosen key makes of *cryptogram*, by PERFORM SECURITY OPERATION.

    :param cryptogram: 1 byte or more; sent in as many chained commands as it needs.
    :raises CardRefusedError: SECURITY_STATUS_NOT_SATISFIED without a verified PIN.
    """
    name = "PERFORM SECURITY OPERATION"
    while len(cryptogram) > MAX_NC:
        part, cryptogram = cryptogram[:MAX_NC], cryptogram[MAX_NC:]
        command = CommandAPDU(cla=channel.cla | _CHAINING, ins=0x2A, p1=0x80, p2=0x86, data=part)
        _data(name, channel.transmit(command))
    command = CommandAPDU(cla=channel.cla, ins=0x2A, p1=0x80, p2=0x86, data=cryptogram, ne=MAX_NE)
    return _data(name, channel.transmit(command))


def _select(channel: Channel, *, p1: int, data: bytes, with_fci: bool = False) -> None:
    # P2 0C: no FCP is wanted; every file here says its own length, and each APDU takes 0.1 s.
    p2, ne = (0x00, MAX_NE) if with_fci else (0x0C, None)
    command = CommandAPDU(cla=channel.cla, ins=0xA4, p1=p1, p2=p2, data=data, ne=ne)
    sw = channel.transmit(command).sw
    # Some cards offer the FCP all the same: the file is selected, the offer is passed over.
    if sw != SW.SUCCESS and bytes_available(sw) is None:
        raise CardRefusedError("SELECT", sw)


def _data(name: str, answer: ResponseAPDU, accepted: Container[int] = (SW.SUCCESS,)) -> bytes:
    if answer.sw not in accepted:
        raise CardRefusedError(name, answer.sw)
    return answer.data
