"""Making a card: the issuer's file tree around certificates and keys handed in."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from cps import tlv
from cps.atr import CardType
from cps.simulator import cio, cio4
from cps.simulator.business import cps2ter_files, data_files, data_files_of_cps4
from cps.simulator.files import MF
from cps.simulator.image import CardImage, FileImage, KeyImage, ReferenceData
from cps.simulator.tree import (
    AODF,
    CDF,
    CONTACT_DF,
    CONTACTLESS_DF,
    DIRECTORY_FID,
    DODF,
    PRKDF,
    PUKDF,
    ROOT_AID,
    SERIAL_FID,
    WRITTEN_BY_ISSUER,
    Application,
    DataFile,
    certificate_fid,
    data_directory,
    df_image,
    ef_image,
    public_key_directory,
)
from cps.simulator.tree import Credential as Credential  # callers find it here

ISSUER = "8025000001"

SERIAL_DIGITS = 8
CARD_NUMBER_DIGITS = 10
PIN_TRIES = 3
PUK_TRIES = 10
PUK_USES = 100

EF_ATR = bytes.fromhex(
    "80 4301B8 460404B0ECC1 4703940180 4F088025000001FF0100"
    "E010 02020104 02020104 02020100 02020100 780806062B8122F87802 82029000"
)

# Access conditions of PIN and PUK: change, verify, reset the counter, put, get.
PIN_ACCESS = bytes.fromhex("000013FF00")
PUK_ACCESS = bytes.fromhex("FF00FFFF00")
# Of keys: sign, authenticate, decipher, generate, put, get.
SIGNATURE_KEY_ACCESS = bytes.fromhex("11FFFFFFFF00")
AUTHENTICATION_KEY_ACCESS = bytes.fromhex("FF1111FFFF00")
AUTHENTICATION_KEY_ACCESS_OF_CPS4 = bytes.fromhex("11FF11FFFF00")
TECHNICAL_KEY_ACCESS = bytes.fromhex("FF00FFFFFF00")
KEY_NOT_USED = bytes.fromhex("FFFFFFFFFF00")

SIGNATURE = cio.KeyObject(
    number=1,
    identifier_end=0x01,
    reference=0x81,
    name="SIG",
    certificate_label="Certificat de Signature CPS",
    flags=cio.FLAG_PRIVATE,
    rules=(cio.rule("0204", authenticated_by=1),),
    usage=bytes.fromhex("060040"),
    public_usage=bytes.fromhex("0202"),
)
AUTHENTICATION = cio.KeyObject(
    number=2,
    identifier_end=0x02,
    reference=0x82,
    name="AUT",
    certificate_label="Certificat d'Authentification CPS",
    flags=bytes.fromhex("05E0"),
    rules=(cio.rule("0001", authenticated_by=1), cio.rule("060040", authenticated_by=1)),
    usage=bytes.fromhex("0560"),
    public_usage=bytes.fromhex("0182"),
)
TECHNICAL = cio.KeyObject(
    number=3,
    identifier_end=0x03,
    reference=0x83,
    name="TECH_AUT",
    certificate_label="Certificat Technique CPS",
    flags=b"",
    usage=bytes.fromhex("0520"),
    public_usage=bytes.fromhex("0102"),
)
SIGNATURE_OF_CPS4 = cio.KeyObject(
    number=1,
    identifier_end=0x10,
    reference=0x10,
    name="SIG",
    certificate_label=SIGNATURE.certificate_label,
    flags=cio.FLAG_PRIVATE,
    usage=SIGNATURE.usage,
    public_usage=SIGNATURE.public_usage,
)
AUTHENTICATION_OF_CPS4 = cio.KeyObject(
    number=2,
    identifier_end=0x20,
    reference=0x20,
    name="AUT",
    certificate_label=AUTHENTICATION.certificate_label,
    flags=cio.FLAG_PRIVATE,
    # To decipher, to sign and to unwrap keys.
    usage=bytes.fromhex("0264"),
    public_usage=AUTHENTICATION.public_usage,
)

AUTHENTICATION_CERTIFICATE = CONTACT_DF + certificate_fid(AUTHENTICATION)
SIGNATURE_CERTIFICATE = CONTACT_DF + certificate_fid(SIGNATURE)
TECHNICAL_CERTIFICATE = CONTACTLESS_DF + certificate_fid(TECHNICAL)
"""The paths of the certificates' files, for tools that make cards; clients find them by the CDF."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whose name is written on the card."""

    family_name: str
    given_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """When the content of a card was changed after it was issued; both times aware."""

    begun: datetime
    ended: datetime


def personalise_cps3(
    *,
    serial: str,
    card_number: str,
    person: Person,
    authentication: Credential,
    signature: Credential,
    technical: Credential,
    pin: str,
    puk: str,
    made_at: datetime,
    update: Update | None = None,
) -> CardImage:
    """Return a new CPS3 card, in memory.

    :param serial: the chip's, 8 digits.
    :param card_number: the one printed on the card and in the certificates, 10 digits.
    :param technical: for the contactless application; it has no PIN.
    :param pin: 4 digits.
    :param puk: 8 digits.
    :param made_at: aware.
    :param update: the card's last one; a card that never had any has no file for it.
    :raises ValueError: for a number of another length, or a key that is not its certificate's.
    """
    _require_numbers(serial, card_number, pin, puk)
    _require_own_keys((authentication, signature, technical))
    token_info = cio.token_info(f"CPS3v3-{card_number}", made_at)
    data = data_files(card_number, person.family_name, person.given_name)
    contact = {SIGNATURE: signature, AUTHENTICATION: authentication}
    contactless = {TECHNICAL: technical}
    free = [file for file in data if file.flags == cio.NO_FLAGS]
    # The contactless application comes first, as the size of a real EF.DIR and OpenSC's order say.
    applications = (
        (cio.CONTACTLESS_AID, "CPX IAS CL", CONTACTLESS_DF),
        (cio.CONTACT_AID, "CPX IAS", CONTACT_DF),
    )
    files = [
        df_image(MF, ROOT_AID),
        ef_image(MF, SERIAL_FID, ef_sn(serial), sfi=0x1C),
        ef_image(MF, DIRECTORY_FID, cio.ef_dir(applications), sfi=0x1E, contact=WRITTEN_BY_ISSUER),
        ef_image(MF, b"\x2f\x01", EF_ATR, sfi=0x1D, contact=WRITTEN_BY_ISSUER),
        *_application(CONTACT_DF, cio.CONTACT_AID, token_info, contact, data),
        *_application(CONTACTLESS_DF, cio.CONTACTLESS_AID, token_info, contactless, free),
    ]
    if update is not None:
        files.append(ef_image(MF, b"\xd0\x10", ef_actua(update)))
    return CardImage(
        card=CardType.CPS3,
        files=files,
        cps2ter=cps2ter_files(),
        reference_data=_reference_data(pin, puk, puk_uses=PUK_USES),
        # The keys behind the PIN work by contact alone, and the one without PIN by radio alone.
        keys=[
            _key(SIGNATURE, signature, contact=SIGNATURE_KEY_ACCESS),
            _key(AUTHENTICATION, authentication, contact=AUTHENTICATION_KEY_ACCESS),
            KeyImage(
                # EF.DIR names the contact application for both: OpenSC looks for the key there.
                dfs=[CONTACTLESS_DF, CONTACT_DF],
                reference=TECHNICAL.reference,
                private_key=technical.key,
                contact=KEY_NOT_USED,
                contactless=TECHNICAL_KEY_ACCESS,
            ),
        ],
    )


def personalise_cps4(
    *,
    serial: str,
    card_number: str,
    person: Person,
    authentication: Credential,
    signature: Credential,
    pin: str,
    puk: str,
) -> CardImage:
    """Return a new CPS4 card, in memory; the parameters are as for :func:`personalise_cps3`.

    :raises ValueError: for a number of another length, or a key that is not its certificate's.
    """
    _require_numbers(serial, card_number, pin, puk)
    _require_own_keys((authentication, signature))
    keys = {SIGNATURE_OF_CPS4: signature, AUTHENTICATION_OF_CPS4: authentication}
    data = data_files_of_cps4(card_number, person.family_name, person.given_name)
    certificates = (cio4.certificate_entry(key, CONTACT_DF + certificate_fid(key)) for key in keys)
    application = Application(
        df=CONTACT_DF,
        aid=cio.CONTACT_AID,
        token_info=cio4.token_info(f"CPS4v1-{card_number}"),
        directories={
            AODF: cio4.aodf(MF),
            PRKDF: b"".join(cio4.private_key_entry(key, CONTACT_DF) for key in keys),
            PUKDF: public_key_directory(CONTACT_DF, keys),
            CDF: b"".join(certificates),
            DODF: data_directory(CONTACT_DF, data),
        },
        credentials=keys,
        data=data,
    )
    return CardImage(
        card=CardType.CPS4,
        files=[
            df_image(MF, ROOT_AID),
            ef_image(MF, SERIAL_FID, ef_sn(serial)),
            ef_image(MF, DIRECTORY_FID, cio4.ef_dir("CPX IAS", CONTACT_DF)),
            *application.files(),
        ],
        cps2ter=[],
        reference_data=_reference_data(pin, puk, puk_uses=None),
        keys=[
            _key(SIGNATURE_OF_CPS4, signature, contact=SIGNATURE_KEY_ACCESS),
            _key(AUTHENTICATION_OF_CPS4, authentication, contact=AUTHENTICATION_KEY_ACCESS_OF_CPS4),
        ],
    )


def ef_sn(serial: str) -> bytes:
    """Return the content of EF.SN: issuer, serial number, Luhn digit over both, filler.

    :param serial: 8 digits.
    """
    digits = ISSUER + serial
    return tlv.encode(0x5A, bytes.fromhex(digits + _luhn_digit(digits) + "f"))


def ef_actua(update: Update) -> bytes:
    """Return the content of EF_ACTUA: beginning and end of the last update, in packed digits."""
    moments = (update.begun, update.ended)
    begun, ended = (
        bytes.fromhex(moment.astimezone(UTC).strftime("%Y%m%d%H%M%S")) for moment in moments
    )
    return tlv.encode(0xEC, tlv.encode(0x81, begun), tlv.encode(0x82, ended))


def _application(
    df: bytes,
    aid: bytes,
    token_info: bytes,
    credentials: dict[cio.KeyObject, Credential],
    data: list[DataFile],
) -> Iterable[FileImage]:
    """Return a CPS3's application with its files."""
    # Relative by contact, as the length of a real entry says. OpenSC looks for a relative path in
    # the contact application alone, so the contactless one has it whole.
    above = b"" if df == CONTACT_DF else df
    certificates = (cio.certificate_entry(key, above + certificate_fid(key)) for key in credentials)
    return Application(
        df=df,
        aid=aid,
        token_info=token_info,
        directories={
            # No PIN is known to the contactless application.
            **({AODF: cio.aodf()} if df == CONTACT_DF else {}),
            PRKDF: b"".join(cio.private_key_entry(key) for key in credentials),
            PUKDF: public_key_directory(df, credentials),
            CDF: b"".join(certificates),
            DODF: data_directory(df, data),
        },
        credentials=credentials,
        data=data,
    ).files()


def _reference_data(pin: str, puk: str, *, puk_uses: int | None) -> list[ReferenceData]:
    return [
        ReferenceData(
            reference=0x01,
            digits=pin.encode("ascii"),
            tries_maximum=PIN_TRIES,
            tries_left=PIN_TRIES,
            length=cio.PIN_DIGITS,
            access=PIN_ACCESS,
        ),
        ReferenceData(
            reference=0x02,
            digits=puk.encode("ascii"),
            tries_maximum=PUK_TRIES,
            tries_left=PUK_TRIES,
            uses_left=puk_uses,
            length=cio.PUK_DIGITS,
            access=PUK_ACCESS,
        ),
    ]


def _key(key: cio.KeyObject, credential: Credential, *, contact: bytes) -> KeyImage:
    """Return a key that works by contact alone."""
    return KeyImage(
        dfs=[CONTACT_DF],
        reference=key.reference,
        private_key=credential.key,
        contact=contact,
        contactless=KEY_NOT_USED,
    )


def _luhn_digit(digits: str) -> str:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        # Seen from the check digit, every second digit counts double, the nearest one first.
        value = int(digit) * (2 if position % 2 == 0 else 1)
        total += value // 10 + value % 10
    return str(-total % 10)


def _require_numbers(serial: str, card_number: str, pin: str, puk: str) -> None:
    require_digits("serial number", serial, SERIAL_DIGITS)
    require_digits("card number", card_number, CARD_NUMBER_DIGITS)
    require_digits("PIN", pin, cio.PIN_DIGITS)
    require_digits("PUK", puk, cio.PUK_DIGITS)


def _require_own_keys(credentials: Iterable[Credential]) -> None:
    for credential in credentials:
        if credential.certificate.public_key() != credential.key.public_key():
            raise ValueError("a key is not that of its certificate")


def require_digits(name: str, value: str, count: int) -> None:
    """Raise ValueError, which does not show *value*, where it is not *count* decimal digits."""
    if len(value) != count or not (value.isascii() and value.isdecimal()):
        raise ValueError(f"a {name} has {count} digits")
