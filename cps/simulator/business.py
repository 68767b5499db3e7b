"""The business data of a card ("données métier"), and the files of its predecessor.

What real cards hold in these is not published: clients take them as they are, and so these are
made up, but for the little that public clients read of them.
"""

from cps import tlv
from cps.simulator import cio
from cps.simulator.files import MF
from cps.simulator.image import FileImage
from cps.simulator.tree import (
    READ_AFTER_PIN,
    WRITTEN_AFTER_PIN,
    DataFile,
    df_image,
    ef_image,
)

CPS_DATA_BYTES = 64
WORKPLACES = ("CABINET DE DÉMONSTRATION", "HÔPITAL IMAGINAIRE")
SECTOR = b"SA07"
NO_SPECIALITY = "    "
OLD_NAMES = ("ATR", "ID", "ICC", "NAME", "LANG", "PSINFO", "DIRAMO")


def data_files(card_number: str, family_name: str, given_name: str) -> list[DataFile]:
    """Return the data objects of a CPS3: four to read, one to write, one for each workplace."""
    names = cio.text(family_name) + cio.text(given_name)
    return [
        _free("CPS_ID_CARD", b"\xd1\x01", tlv.encode(0x30, cio.text(card_number))),
        _free("CPS_NAME_PS", b"\xd1\x02", tlv.encode(0x30, names)),
        _free("CPS_LANG_PS", b"\xd1\x03", tlv.encode(0x30, cio.text("fr"))),
        # Its last four characters are the speciality.
        _free("CPS_INFO_PS", b"\xd1\x04", tlv.encode(0x30, cio.text(NO_SPECIALITY))),
        DataFile(
            label="CPS_DATA",
            fid=b"\xd1\x07",
            content=bytes(CPS_DATA_BYTES),
            flags=cio.FLAG_MODIFIABLE,
            access=WRITTEN_AFTER_PIN,
        ),
        *(
            _private(f"CPS_ACTIVITY_{number + 1:02}_PS", bytes((0xD1, 0x20 + number)), workplace)
            for number, workplace in enumerate(_workplaces())
        ),
    ]


def data_files_of_cps4(card_number: str, family_name: str, given_name: str) -> list[DataFile]:
    """Return the data objects of a CPS4, which has copies of its predecessor's among them."""
    return [
        *data_files(card_number, family_name, given_name),
        *(
            _free(f"CPS2TER_{name}", bytes((0xD1, 0x10 + number)), cio.text(name))
            for number, name in enumerate(OLD_NAMES)
        ),
        _private("CPS_SIT_FACT", b"\xd1\x30", b"SITUATION FICTIVE"),
        *(
            _private(f"CPS2TER_ACTIVITY_{number:02}_PS", bytes((0xD1, 0x30 + number)), content)
            for number, content in enumerate(_old_activities(), start=1)
        ),
    ]


def cps2ter_files() -> list[FileImage]:
    """Return the files of class A0: a situation, and as many activities as the card lists."""
    return [
        df_image(MF),
        df_image(MF + b"\x7f\x01"),
        _protected(MF + b"\x7f\x01", b"\x40\x00", b"SITUATION FICTIVE"),
        *(
            _protected(MF, bytes((0x40, 0x10 + number)), content)
            for number, content in enumerate(_old_activities())
        ),
    ]


def _workplaces() -> list[bytes]:
    return [
        tlv.encode(0xEE, tlv.encode(0x84, name.encode()), tlv.encode(0x86, SECTOR))
        for name in WORKPLACES
    ]


def _old_activities() -> list[bytes]:
    return [f"ACTIVITE FICTIVE {number + 1}".encode("ascii") for number in range(len(WORKPLACES))]


def _free(label: str, fid: bytes, content: bytes) -> DataFile:
    return DataFile(label=label, fid=fid, content=content)


def _private(label: str, fid: bytes, content: bytes) -> DataFile:
    return DataFile(
        label=label, fid=fid, content=content, flags=cio.FLAG_PRIVATE, access=READ_AFTER_PIN
    )


def _protected(df: bytes, fid: bytes, content: bytes) -> FileImage:
    return ef_image(df, fid, content, contact=READ_AFTER_PIN, contactless=READ_AFTER_PIN)
