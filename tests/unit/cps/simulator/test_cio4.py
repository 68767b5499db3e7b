"""The directory files of a CPS4: the form that the issuer's middleware was seen to read."""

from cps import tlv
from cps.simulator import cio4
from cps.simulator.personalise import AUTHENTICATION_OF_CPS4, SIGNATURE_OF_CPS4

MF = bytes.fromhex("3F00")
DF = bytes.fromhex("3F000001")
AODF = (
    "3049 3025 0C1C 436F646520706F7274657572206465206C6120636172746520435053 030206C0 040102"
    " 3003 040101"
    " A11B 3019 03020388 0A0101 020104 020104 020104 800101 3004 0402 3F00"
    " 304C 3028 0C22 436F64652064652064C3A9626C6F63616765206465206C6120636172746520435053"
    " 030206C0 3003 040102"
    " A11B 3019 03020099 0A0101 020108 020108 020108 800102 3004 0402 3F00"
)
SIGNATURE_KEY = (
    "3045 3015 0C0C 4350535F505249565F534947 03020780 040101"
    " 301C 040E E828BD080F8025000001FF001010 0303060040 030203B8 020110"
    " A10E 300C 3006 0404 3F000001 02020800"
)
AUTHENTICATION_KEY = (
    "3044 3015 0C0C 4350535F505249565F415554 03020780 040101"
    " 301B 040E E828BD080F8025000001FF001020 03020264 030203B8 020120"
    " A10E 300C 3006 0404 3F000001 02020800"
)
SIGNATURE_CERTIFICATE = (
    "3042 3020 0C1B 43657274696669636174206465205369676E617475726520435053 030100"
    " 3010 040E E828BD080F8025000001FF001010"
    " A10C 300A 3008 0406 3F000001C001"
)


def test_the_pins_are_known_from_the_mf_and_the_pin_names_its_puk() -> None:
    assert cio4.aodf(MF) == bytes.fromhex(AODF)


def test_the_keys_have_their_references_and_the_path_of_their_application() -> None:
    assert cio4.private_key_entry(SIGNATURE_OF_CPS4, DF) == bytes.fromhex(SIGNATURE_KEY)
    assert cio4.private_key_entry(AUTHENTICATION_OF_CPS4, DF) == bytes.fromhex(AUTHENTICATION_KEY)


def test_a_certificate_has_its_whole_path() -> None:
    entry = cio4.certificate_entry(SIGNATURE_OF_CPS4, DF + b"\xc0\x01")

    assert entry == bytes.fromhex(SIGNATURE_CERTIFICATE)


def test_the_token_says_its_label_and_that_it_wants_a_login() -> None:
    fields = tlv.read(cio4.token_info("CPS4v1-2899000001"))[0].children()

    assert [field.tag for field in fields] == [0x02, 0x0C, 0x80, 0x03]
    assert fields[2].value == b"CPS4v1-2899000001"
    assert fields[3].value == bytes.fromhex("0560")


def test_the_directory_has_one_record_with_a_path() -> None:
    record, _ = tlv.read(cio4.ef_dir("CPX IAS", DF))

    assert [(item.tag, item.value) for item in record.children()] == [
        (0x4F, bytes.fromhex("E828BD080F8025000001FF0010")),
        (0x50, b"CPX IAS"),
        (0x51, DF),
    ]
