"""The business data: which there are, and who reads them."""

from cps.simulator import cio
from cps.simulator.business import cps2ter_files, data_files, data_files_of_cps4
from cps.simulator.tree import NEVER_WRITTEN, READ_AFTER_PIN, WRITTEN_AFTER_PIN

FREE = ["CPS_ID_CARD", "CPS_NAME_PS", "CPS_LANG_PS", "CPS_INFO_PS"]


def test_a_cps3_has_four_to_read_one_to_write_and_one_for_each_workplace() -> None:
    files = {file.label: file for file in data_files("2899000001", "EXEMPLE", "CAMILLE")}

    assert list(files) == [*FREE, "CPS_DATA", "CPS_ACTIVITY_01_PS", "CPS_ACTIVITY_02_PS"]
    assert all(files[label].access == NEVER_WRITTEN for label in FREE)
    assert files["CPS_DATA"].fid == b"\xd1\x07"
    assert files["CPS_DATA"].access == WRITTEN_AFTER_PIN
    assert files["CPS_ACTIVITY_02_PS"].fid == b"\xd1\x21"
    assert files["CPS_ACTIVITY_02_PS"].access == READ_AFTER_PIN
    assert files["CPS_ACTIVITY_02_PS"].flags == cio.FLAG_PRIVATE


def test_the_holder_is_named_and_the_speciality_stands_at_the_end() -> None:
    files = {file.label: file.content for file in data_files("2899000001", "EXEMPLE", "ÉLODIE")}

    assert b"EXEMPLE" in files["CPS_NAME_PS"]
    assert "ÉLODIE".encode() in files["CPS_NAME_PS"]
    assert b"2899000001" in files["CPS_ID_CARD"]
    assert files["CPS_INFO_PS"][-4:] == b"    "


def test_a_cps4_has_its_predecessors_beside_them() -> None:
    files = {file.label: file for file in data_files_of_cps4("2899000001", "EXEMPLE", "CAMILLE")}

    old = ["ATR", "ID", "ICC", "NAME", "LANG", "PSINFO", "DIRAMO"]
    assert [label for label in files if label.startswith("CPS2TER")][:7] == [
        f"CPS2TER_{name}" for name in old
    ]
    private = {label for label, file in files.items() if file.access == READ_AFTER_PIN}
    assert private == {
        "CPS_ACTIVITY_01_PS",
        "CPS_ACTIVITY_02_PS",
        "CPS_SIT_FACT",
        "CPS2TER_ACTIVITY_01_PS",
        "CPS2TER_ACTIVITY_02_PS",
    }
    assert len({file.fid for file in files.values()}) == len(files)


def test_the_old_files_are_read_after_the_pin() -> None:
    files = {file.path.hex().upper(): file for file in cps2ter_files()}

    assert set(files) == {"3F00", "3F007F01", "3F007F014000", "3F004010", "3F004011"}
    assert all(file.contact == READ_AFTER_PIN for file in files.values() if file.content)
