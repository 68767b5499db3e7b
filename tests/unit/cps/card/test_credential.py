"""The credential that logs in: found by its key, and refused where the card contradicts itself."""

import pytest

from cps import tlv
from cps.card.credential import (
    MAX_CERTIFICATE_BYTES,
    MAX_DIRECTORY_BYTES,
    CardFiles,
    credential_in,
)
from cps.card.ias import IASApplet
from cps.card.recognise import open_card
from cps.errors import (
    CardDataError,
    CardError,
    CardRefusedError,
    CertificateMissingError,
)
from cps.transport.replay import ReplayConnection
from tests.unit.cps.card import dialogue
from tests.unit.cps.card.dialogue import (
    PUK,
    USER_PIN,
    Files,
    exchange,
    opening,
    reading,
    select,
)


def files_refused(files: Files, *, upto: str, match: str) -> None:
    """Read *files*, of which the card has no more than up to the one named, and be refused."""
    whole = dialogue.reading_unusual(files)
    end = whole.rindex(f"\n> 00 A4 09 0C 06 {upto}\n") if upto else whole.index("end leave") - 1
    refused(opening() + whole[: end + 1] + "end leave", match)


def refused(script: str, match: str, error: type[CardError] = CardDataError) -> None:
    """Read the certificate of a card that says what *script* says, and be refused."""
    connection = ReplayConnection(script)
    card = open_card(connection)
    with pytest.raises(CardError, match=match) as caught:
        card.authentication_certificate()
    assert type(caught.value) is error
    connection.close()


PRKDF, AODF, CDF, CERTIFICATE = "3F0000017002", "3F0000017001", "3F0000017005", "3F000001A002"


@pytest.mark.parametrize(
    ("odf", "match"),
    [
        pytest.param(b"", "ODF: 0 PrKDF", id="empty"),
        pytest.param(b"\xff" * 60, "ODF: 0 PrKDF", id="erased"),
        pytest.param(bytes.fromhex("A87F300404027001"), "ODF: .*past the end", id="a lying length"),
        pytest.param(bytes.fromhex("A006300404027002") * 5, "ODF: 5 PrKDF", id="five of a kind"),
        pytest.param(b"\x12\x34\x56", "ODF: ", id="garbage"),
    ],
)
def test_an_odf_without_sense_is_refused(odf: bytes, match: str) -> None:
    files_refused(Files(odf=odf), upto=PRKDF, match=match)


@pytest.mark.parametrize(
    ("prkdf", "match"),
    [
        pytest.param(b"", "0 times: authentication key", id="no key"),
        pytest.param(dialogue.SIGNATURE_KEY, "0 times", id="only the signature key"),
        pytest.param(dialogue.TECHNICAL_KEY, "0 times", id="only the technical key"),
        pytest.param(
            dialogue.AUTHENTICATION_KEY.replace(b"\x30\x59", b"\x30\x5a")
            .replace(b"\x30\x1f", b"\x30\x20")
            .replace(b"\x03\x02\x05\x60", b"\x03\x03\x06\x60\x40"),
            "0 times",
            id="a key that signs documents as well",
        ),
        pytest.param(dialogue.AUTHENTICATION_KEY * 2, "2 times", id="the same key twice"),
        pytest.param(
            dialogue.AUTHENTICATION_KEY.replace(b"\x02\x02\x00\x82", b"\x05\x02\x00\x82"),
            "no reference",
            id="a key without reference",
        ),
        pytest.param(
            dialogue.AUTHENTICATION_KEY.replace(b"\x02\x02\x00\x82", b"\x02\x02\x00\x00"),
            "no reference",
            id="a key with reference 0",
        ),
        pytest.param(dialogue.AUTHENTICATION_KEY[:-1], "PrKDF: .*past the end", id="truncated"),
    ],
)
def test_a_prkdf_without_one_key_to_log_in_is_refused(prkdf: bytes, match: str) -> None:
    files_refused(Files(prkdf=prkdf), upto=AODF, match=match)


@pytest.mark.parametrize(
    ("aodf", "match"),
    [
        pytest.param(b"", "0 times: PIN", id="no PIN"),
        pytest.param(PUK, "0 times: PIN", id="only the PUK"),
        pytest.param(USER_PIN * 2, "2 times: PIN", id="two PINs"),
        pytest.param(
            USER_PIN.replace(b"\x80\x01\x01", b"\x80\x01\x00"), "PIN reference 00", id="no number"
        ),
        pytest.param(
            USER_PIN.replace(b"\x80\x01\x01\x04\x01\xff", b"\x80\x02\x00\x80\x05\x00"),
            "PIN reference 80",
            id="a PIN of one DF",
        ),
        pytest.param(USER_PIN[:20], "AODF: .*past the end", id="truncated"),
    ],
)
def test_an_aodf_without_the_pin_of_the_key_is_refused(aodf: bytes, match: str) -> None:
    files_refused(Files(aodf=aodf), upto=CDF, match=match)


@pytest.mark.parametrize(
    ("cdf", "match"),
    [
        pytest.param(dialogue.AUTHENTICATION_CERTIFICATE * 2, "2 times", id="two of them"),
        pytest.param(
            dialogue.AUTHENTICATION_CERTIFICATE[:-1], "CDF: .*past the end", id="truncated"
        ),
    ],
)
def test_a_cdf_without_the_certificate_of_the_key_is_refused(cdf: bytes, match: str) -> None:
    files_refused(Files(cdf=cdf), upto=CERTIFICATE, match=match)


# A card without a certificate, read where every card has it and then step by step.


def usual(files: Files) -> str:
    """Return how the two directories are read that every card has in the same places."""
    return dialogue.file(AODF, files.aodf) + dialogue.file(CDF, files.cdf)


@pytest.mark.parametrize(
    "cdf",
    [
        pytest.param(b"", id="an empty list"),
        pytest.param(b"\xff" * 40, id="an erased list"),
        pytest.param(dialogue.SIGNATURE_CERTIFICATE, id="only the signature's"),
    ],
)
def test_a_card_that_lists_no_certificate_for_its_key_has_none(cdf: bytes) -> None:
    files = Files(cdf=cdf)
    script = f"{opening()}begin\n{usual(files)}{dialogue.directories(files)}end leave"
    refused(script, "no certificate of the", CertificateMissingError)


def test_a_card_without_a_list_of_certificates_has_none() -> None:
    files = Files(odf=dialogue.ODF.replace(bytes.fromhex("A406300404027005"), b""))
    steps = dialogue.directories(files)
    listed = steps[: steps.index(select(CDF))]
    script = f"{opening()}begin\n{dialogue.unusual()}{listed}end leave"
    refused(script, "ODF: no CDF", CertificateMissingError)


def test_a_card_whose_list_leads_to_no_file_has_no_certificate() -> None:
    nothing = select(CERTIFICATE).replace("90 00", "6A 82")
    steps = f"{usual(Files())}{nothing}{dialogue.directories(Files())}{nothing}"
    refused(f"{opening()}begin\n{steps}end leave", "no file a002", CertificateMissingError)


def test_a_certificate_that_may_not_be_selected_is_a_refusal() -> None:
    locked = select(CERTIFICATE).replace("90 00", "69 82")
    steps = f"{usual(Files())}{locked}{dialogue.directories(Files())}{locked}"
    refused(f"{opening()}begin\n{steps}end leave", "SELECT", CardRefusedError)


# Cards of which something may not be taken for granted: no PIN would be told from another.

OTHER_PIN = USER_PIN.replace(b"\x30\x03\x04\x01\x01", b"\x30\x03\x04\x01\x07").replace(
    b"\x80\x01\x01", b"\x80\x01\x07"
)


@pytest.mark.parametrize(
    "aodf",
    [
        pytest.param(USER_PIN + OTHER_PIN + PUK, id="two PINs"),
        pytest.param(OTHER_PIN + PUK, id="another PIN"),
        pytest.param(PUK, id="no PIN"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x12\x34", id="garbage"),
    ],
)
def test_where_the_pin_is_not_plain_the_card_is_read_step_by_step(aodf: bytes) -> None:
    looked = dialogue.file(AODF, aodf) + dialogue.file(CDF, Files().cdf)
    script = f"{opening()}begin\n{looked}{dialogue.everything()}end leave\n"
    card = open_card(ReplayConnection(script + dialogue.tries(3)))
    assert card.tries_left() == 3
    card.close()


def test_the_certificate_is_found_by_its_key_not_by_its_place() -> None:
    files = Files(cdf=dialogue.AUTHENTICATION_CERTIFICATE + dialogue.SIGNATURE_CERTIFICATE)
    card = open_card(ReplayConnection(opening() + reading(files)))
    assert card.authentication_certificate() == dialogue.certificate()
    card.close()


def test_directory_files_may_be_several() -> None:
    odf = dialogue.ODF + bytes.fromhex("A006300404027012 A006300404027022 A006300404027032")
    more = "".join(dialogue.file(f"3F00000170{n}2", b"") for n in (1, 2, 3))
    files = Files(odf=odf)
    steps = dialogue.everything(files).replace(select(AODF), more + select(AODF))
    script = f"{opening()}begin\n{dialogue.unusual()}{steps}end leave"
    card = open_card(ReplayConnection(script))
    assert card.authentication_certificate() == dialogue.certificate()
    card.close()


def test_a_signature_with_unused_bits_is_mended() -> None:
    damaged = bytearray(dialogue.certificate())
    damaged[-257] = 7
    card = open_card(ReplayConnection(opening() + reading(Files(certificate=bytes(damaged)))))
    assert card.authentication_certificate() == dialogue.certificate()
    card.close()


def test_a_certificate_that_is_none_is_refused_before_a_pin_is_asked() -> None:
    nonsense = tlv.encode(0x30, b"\x30\x00" * 2 + b"\x03\x01\x00")
    files_refused(Files(certificate=nonsense), upto="", match="certificate: ")


def certificate_script(body: str) -> str:
    """Return the dialogue up to the certificate, which is then read as *body* says."""
    directories = dialogue.directories(Files())
    steps = f"{dialogue.unusual()}{directories}{select(CERTIFICATE)}{body}"
    return f"{opening()}begin\n{steps}end leave\n"


@pytest.mark.parametrize(
    ("body", "match"),
    [
        pytest.param(exchange("00 B0 00 00 00", "90 00"), "no tag", id="empty"),
        pytest.param(
            exchange("00 B0 00 00 00", f"3082{MAX_CERTIFICATE_BYTES - 3:04X} 90 00"),
            "8193 bytes where 8192 are allowed",
            id="too long",
        ),
        pytest.param(
            exchange("00 B0 00 00 00", f"{dialogue.certificate()[:100].hex()} 90 00")
            + exchange("00 B0 00 64 00", "6B 00"),
            "the file ends",
            id="truncated",
        ),
        pytest.param(exchange("00 B0 00 00 00", "30 80 00 00 90 00"), "length", id="no length"),
    ],
)
def test_a_certificate_that_lies_about_its_length_is_refused(body: str, match: str) -> None:
    refused(certificate_script(body), match)


def test_a_certificate_that_may_not_be_read_is_a_refusal() -> None:
    script = certificate_script(exchange("00 B0 00 00 00", "69 82"))
    refused(script, "READ BINARY", CardRefusedError)


def test_a_directory_without_end_is_given_up() -> None:
    blocks = "".join(
        exchange(f"00 B0 {offset:04X} 00", f"{'00' * 256} 90 00")
        for offset in range(0, MAX_DIRECTORY_BYTES + 1, 256)
    )
    steps = f"{dialogue.unusual()}{select('3F0000015031')}{blocks}"
    refused(f"{opening()}begin\n{steps}end leave", "more than 4096 bytes")


# The PUK.

NAMING_PUK = tlv.encode(
    0x30, USER_PIN[2:].replace(b"\x30\x02\x0c\x00", b"\x30\x05\x0c\x00\x04\x01\x04", 1)
)
ANOTHER_PUK = PUK.replace(b"\x04\x01\x04", b"\x04\x01\x05").replace(
    b"\x80\x01\x02", b"\x80\x01\x03"
)
PIN_FLAGS = bytes.fromhex("0303041D10")


USUAL_KEY = IASApplet(ReplayConnection("")).usual_key


def puk_reference(aodf: bytes) -> int | None:
    """Return the number of the PUK that is found in *aodf*."""
    files = CardFiles(
        private_keys=(Files().prkdf,),
        pins=(aodf,),
        certificates=(Files().cdf,),
        certificate=dialogue.certificate(),
    )
    puk = credential_in(files, USUAL_KEY).puk
    return None if puk is None else puk.reference


@pytest.mark.parametrize(
    ("aodf", "reference"),
    [
        pytest.param(USER_PIN + PUK, 2, id="the only one, which no PIN names"),
        pytest.param(NAMING_PUK + ANOTHER_PUK + PUK, 2, id="the one that the PIN names"),
        pytest.param(USER_PIN + ANOTHER_PUK + PUK, None, id="one of two, nobody knows which"),
        pytest.param(USER_PIN, None, id="none"),
        pytest.param(
            USER_PIN + PUK.replace(PIN_FLAGS, bytes.fromhex("0303040C10")), None, id="another PIN"
        ),
        pytest.param(
            USER_PIN + PUK.replace(b"\x80\x01\x02", b"\x80\x01\x00"), None, id="without a number"
        ),
    ],
)
def test_the_puk_is_found_or_nothing_is(aodf: bytes, reference: int | None) -> None:
    assert puk_reference(aodf) == reference
