"""Status words of ISO/IEC 7816-4 that the card and its client use."""

from enum import IntEnum, unique


@unique
class SW(IntEnum):
    """A status word, SW1-SW2.

    Source: ISO/IEC 7816-4:2020 §5.6, tables 5 to 7.
    """

    SUCCESS = 0x9000
    END_OF_FILE = 0x6282
    MEMORY_FAILURE = 0x6581
    WRONG_LENGTH = 0x6700
    CHANNEL_NOT_SUPPORTED = 0x6881
    CHAINING_NOT_SUPPORTED = 0x6884
    SECURITY_STATUS_NOT_SATISFIED = 0x6982
    AUTHENTICATION_METHOD_BLOCKED = 0x6983
    REFERENCE_DATA_NOT_USABLE = 0x6984
    CONDITIONS_NOT_SATISFIED = 0x6985
    NO_CURRENT_EF = 0x6986
    WRONG_DATA = 0x6A80
    FILE_NOT_FOUND = 0x6A82
    NOT_ENOUGH_MEMORY = 0x6A84
    INCORRECT_P1_P2 = 0x6A86
    REFERENCED_DATA_NOT_FOUND = 0x6A88
    WRONG_P1_P2 = 0x6B00
    INS_NOT_SUPPORTED = 0x6D00
    CLA_NOT_SUPPORTED = 0x6E00
    NO_PRECISE_DIAGNOSIS = 0x6F00


def tries_left(sw: int) -> int | None:
    """Return the PIN tries that remain, or ``None`` where *sw* does not say.

    :param sw: SW1-SW2 as one integer, 0x0000 to 0xFFFF.
    :returns: 0 to 15 tries; 0 for a blocked PIN (6983).

    Source: ISO/IEC 7816-4:2020 §5.6, 63Cx.
    """
    if sw == SW.AUTHENTICATION_METHOD_BLOCKED:
        return 0
    return sw & 0x0F if sw & 0xFFF0 == 0x63C0 else None


def bytes_available(sw: int) -> int | None:
    """Return how many bytes GET RESPONSE can fetch after *sw*, or ``None`` where it is not 61xx.

    :returns: 1 to 256 bytes; 6100 stands for 256.

    Source: ISO/IEC 7816-4:2020 §5.6, 61xx.
    """
    return (sw & 0xFF) or 256 if sw >> 8 == 0x61 else None


def right_ne(sw: int) -> int | None:
    """Return the Ne that the card wants instead, or ``None`` where *sw* is not 6Cxx.

    :returns: 1 to 256 bytes; 6C00 stands for 256.

    Source: ISO/IEC 7816-4:2020 §5.6, 6Cxx.
    """
    return (sw & 0xFF) or 256 if sw >> 8 == 0x6C else None
