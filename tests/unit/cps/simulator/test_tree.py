"""An application is the files that its directories name."""

from cps import tlv
from cps.simulator.tree import AODF, CONTACT_DF, DODF, Application, DataFile, data_directory


def test_the_object_directory_names_each_directory_in_its_order() -> None:
    data = [DataFile(label="CPS_ID_CARD", fid=b"\xd1\x01", content=b"abc")]
    application = Application(
        df=CONTACT_DF,
        aid=b"\x01\x02\x03\x04\x05",
        token_info=b"token",
        directories={DODF: data_directory(CONTACT_DF, data), AODF: b"pins"},
        credentials={},
        data=data,
    )

    files = {file.path.hex().upper(): file for file in application.files()}

    assert list(files) == [
        "3F000001",
        "3F0000015031",
        "3F0000015032",
        "3F0000017006",
        "3F0000017001",
        "3F000001D101",
    ]
    assert files["3F000001"].aid == b"\x01\x02\x03\x04\x05"
    directory = files["3F0000015031"].content or b""
    assert [entry.tag for entry in tlv.iterate(directory)] == [DODF, AODF]
    assert files["3F0000017001"].content == b"pins"
    assert files["3F000001D101"].content == b"abc"
