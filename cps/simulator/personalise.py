"""Making a card: the issuer's file tree around certificates and keys handed in."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cps import tlv
from cps.atr import CardType
from cps.simulator import cio
from cps.simulator.files import MF
from cps.simulator.image import CardImage, FileImage, KeyImage, ReferenceData

ROOT_AID = bytes.fromhex("8025000001FF0100")
CONTACT_DF = MF + b"\x00\x01"
CONTACTLESS_DF = MF + b"\x00\x02"
ISSUER = "8025000001"

SERIAL_DIGITS = 8
CARD_NUMBER_DIGITS = 10
PIN_TRIES = 3
PUK_TRIES = 10
PUK_USES = 100
CPS_DATA_BYTES = 64

EF_ATR = bytes.fromhex(
    "80 4301B8 460404B0ECC1 4703940180 4F088025000001FF0100"
    "E010 02020104 02020104 02020100 02020100 780806062B8122F87802 82029000"
)

# Access conditions: delete, terminate, activate, deactivate, update, read.
NEVER_WRITTEN = bytes.fromhex("FFFFFFFFFF00")
WRITTEN_BY_ISSUER = bytes.fromhex("45FFFFFF4500")
WRITTEN_AFTER_PIN = bytes.fromhex("FFFFFFFF1100")
READ_AFTER_PIN = bytes.fromhex("FFFFFFFFFF11")
# Of PIN and PUK: change, verify, reset the counter, put, get.
PIN_ACCESS = bytes.fromhex("000013FF00")
PUK_ACCESS = bytes.fromhex("FF00FFFF00")
# Of keys: sign, authenticate, decipher, generate, put, get.
SIGNATURE_KEY_ACCESS = bytes.fromhex("11FFFFFFFF00")
AUTHENTICATION_KEY_ACCESS = bytes.fromhex("FF1111FFFF00")
TECHNICAL_KEY_ACCESS = bytes.fromhex("FF00FFFFFF00")
KEY_NOT_USED = bytes.fromhex("FFFFFFFFFF00")

SIGNATURE = cio.KeyObject(
    number=1,
    name="SIG",
    certificate_label="Certificat de Signature CPS",
    flags=cio.FLAG_PRIVATE,
    rules=(cio.rule("0204", authenticated_by=1),),
    usage=bytes.fromhex("060040"),
    public_usage=bytes.fromhex("0202"),
)
AUTHENTICATION = cio.KeyObject(
    number=2,
    name="AUT",
    certificate_label="Certificat d'Authentification CPS",
    flags=bytes.fromhex("05E0"),
    rules=(cio.rule("0001", authenticated_by=1), cio.rule("060040", authenticated_by=1)),
    usage=bytes.fromhex("0560"),
    public_usage=bytes.fromhex("0182"),
)
TECHNICAL = cio.KeyObject(
    number=3,
    name="TECH_AUT",
    certificate_label="Certificat Technique CPS",
    flags=b"",
    rules=(),
    usage=bytes.fromhex("0520"),
    public_usage=bytes.fromhex("0102"),
)

AUTHENTICATION_CERTIFICATE = CONTACT_DF + b"\xc0\x02"
"""The path of the certificate's file, for tools that make cards; clients find it by the CDF."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whose name is written on the card."""

    family_name: str
    given_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _DataFile:
    """A data object: its file's identifier and content, and who may do what with it."""

    label: str
    fid: bytes
    content: bytes
    flags: bytes = cio.NO_FLAGS
    access: bytes = NEVER_WRITTEN


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
) -> CardImage:
    """Return a new CPS3 card, in memory.

    :param serial: the chip's, 8 digits.
    :param card_number: the one printed on the card and in the certificates, 10 digits.
    :param technical: for the contactless application; it has no PIN.
    :param pin: 4 digits.
    :param puk: 8 digits.
    :param made_at: aware.
    :raises ValueError: for a number of another length, or a key that is not its certificate's.
    """
    require_digits("serial number", serial, SERIAL_DIGITS)
    require_digits("card number", card_number, CARD_NUMBER_DIGITS)
    require_digits("PIN", pin, cio.PIN_DIGITS)
    require_digits("PUK", puk, cio.PUK_DIGITS)
    for credential in (authentication, signature, technical):
        if credential.certificate.public_key() != credential.key.public_key():
            raise ValueError("a key is not that of its certificate")
    label = f"CPS3v3-{card_number}"
    contact = {SIGNATURE: signature, AUTHENTICATION: authentication}
    contactless = {TECHNICAL: technical}
    files = [
        *_root_files(serial),
        *_application(CONTACT_DF, cio.CONTACT_AID, contact, _data_files(card_number, person)),
        _ef(CONTACT_DF, b"\x50\x32", cio.token_info(label, made_at)),
        _ef(CONTACT_DF, b"\x70\x01", cio.aodf()),
        *_application(
            CONTACTLESS_DF,
            cio.CONTACTLESS_AID,
            contactless,
            [file for file in _data_files(card_number, person) if file.flags == cio.NO_FLAGS],
        ),
        _ef(CONTACTLESS_DF, b"\x50\x32", cio.token_info(label, made_at)),
    ]
    return CardImage(
        card=CardType.CPS3,
        files=files,
        cps2ter=_cps2ter_files(),
        reference_data=_reference_data(pin, puk),
        keys=_keys(signature, authentication, technical),
    )


def ef_sn(serial: str) -> bytes:
    """Return the content of EF.SN: issuer, serial number, Luhn digit over both, filler.

    :param serial: 8 digits.
    """
    digits = ISSUER + serial
    return tlv.encode(0x5A, bytes.fromhex(digits + _luhn_digit(digits) + "f"))


def _root_files(serial: str) -> Iterator[FileImage]:
    # The contactless application comes first, as the size of a real EF.DIR and OpenSC's order say.
    applications = (
        (cio.CONTACTLESS_AID, "CPX IAS CL", CONTACTLESS_DF),
        (cio.CONTACT_AID, "CPX IAS", CONTACT_DF),
    )
    yield _df(MF, ROOT_AID)
    yield _ef(MF, b"\xd0\x03", ef_sn(serial), sfi=0x1C)
    yield _ef(MF, b"\x2f\x00", cio.ef_dir(applications), sfi=0x1E, contact=WRITTEN_BY_ISSUER)
    yield _ef(MF, b"\x2f\x01", EF_ATR, sfi=0x1D, contact=WRITTEN_BY_ISSUER)


def _application(
    df: bytes, aid: bytes, keys: dict[cio.KeyObject, Credential], data: list[_DataFile]
) -> Iterator[FileImage]:
    """Yield an application's files, but for TokenInfo and the PINs."""
    kinds = [(0xA0, b"\x70\x02"), (0xA1, b"\x70\x04"), (0xA4, b"\x70\x05"), (0xA7, b"\x70\x06")]
    if df == CONTACT_DF:
        kinds.insert(0, (0xA8, b"\x70\x01"))
    yield _df(df, aid)
    yield _ef(df, b"\x50\x31", cio.odf(tuple((tag, df + fid) for tag, fid in kinds)))
    yield _ef(df, b"\x70\x02", b"".join(cio.private_key_entry(key) for key in keys))
    public = (cio.public_key_entry(key, df + _public_key_fid(key)) for key in keys)
    yield _ef(df, b"\x70\x04", b"".join(public))
    # Relative by contact, as the length of a real entry says. OpenSC looks for a relative path in
    # the contact application alone, so the contactless one has it whole.
    above = b"" if df == CONTACT_DF else df
    certificates = (cio.certificate_entry(key, above + _certificate_fid(key)) for key in keys)
    yield _ef(df, b"\x70\x05", b"".join(certificates))
    objects = (cio.data_entry(file.label, file.flags, df + file.fid) for file in data)
    yield _ef(df, b"\x70\x06", b"".join(objects))
    for key, credential in keys.items():
        public_key = credential.key.public_key()
        yield _ef(
            df, _public_key_fid(key), public_key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
        )
        yield _ef(df, _certificate_fid(key), credential.certificate.public_bytes(Encoding.DER))
    for file in data:
        yield _ef(df, file.fid, file.content, contact=file.access, contactless=file.access)


def _data_files(card_number: str, person: Person) -> list[_DataFile]:
    # What real cards hold in these is not published: clients take them as they are.
    names = cio.text(person.family_name) + cio.text(person.given_name)
    activity = tlv.encode(0x84, "CABINET DE DÉMONSTRATION".encode()) + tlv.encode(0x86, b"SA07")
    return [
        _DataFile(
            label="CPS_ID_CARD",
            fid=b"\xd1\x01",
            content=tlv.encode(0x30, cio.text(card_number)),
        ),
        _DataFile(label="CPS_NAME_PS", fid=b"\xd1\x02", content=tlv.encode(0x30, names)),
        _DataFile(
            label="CPS_DATA",
            fid=b"\xd1\x07",
            content=bytes(CPS_DATA_BYTES),
            flags=cio.FLAG_MODIFIABLE,
            access=WRITTEN_AFTER_PIN,
        ),
        _DataFile(
            label="CPS_ACTIVITY_01_PS",
            fid=b"\xd1\x20",
            content=tlv.encode(0xEE, activity),
            flags=cio.FLAG_PRIVATE,
            access=READ_AFTER_PIN,
        ),
    ]


def _cps2ter_files() -> list[FileImage]:
    # One activity, as the directory of the new application lists one.
    return [
        _df(MF),
        _df(MF + b"\x7f\x01"),
        _protected(MF + b"\x7f\x01", b"\x40\x00", b"SITUATION FICTIVE"),
        _protected(MF, b"\x40\x10", b"ACTIVITE FICTIVE"),
    ]


def _reference_data(pin: str, puk: str) -> list[ReferenceData]:
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
            uses_left=PUK_USES,
            length=cio.PUK_DIGITS,
            access=PUK_ACCESS,
        ),
    ]


def _keys(
    signature: Credential, authentication: Credential, technical: Credential
) -> list[KeyImage]:
    # The keys behind the PIN work by contact alone, and the one without PIN by radio alone.
    return [
        KeyImage(
            dfs=[CONTACT_DF],
            reference=SIGNATURE.reference,
            private_key=signature.key,
            contact=SIGNATURE_KEY_ACCESS,
            contactless=KEY_NOT_USED,
        ),
        KeyImage(
            dfs=[CONTACT_DF],
            reference=AUTHENTICATION.reference,
            private_key=authentication.key,
            contact=AUTHENTICATION_KEY_ACCESS,
            contactless=KEY_NOT_USED,
        ),
        KeyImage(
            # EF.DIR names the contact application for both, and OpenSC looks for the key there.
            dfs=[CONTACTLESS_DF, CONTACT_DF],
            reference=TECHNICAL.reference,
            private_key=technical.key,
            contact=KEY_NOT_USED,
            contactless=TECHNICAL_KEY_ACCESS,
        ),
    ]


def _df(path: bytes, aid: bytes | None = None) -> FileImage:
    return FileImage(path=path, aid=aid, contact=NEVER_WRITTEN, contactless=NEVER_WRITTEN)


def _ef(
    df: bytes,
    fid: bytes,
    content: bytes,
    *,
    sfi: int | None = None,
    contact: bytes = NEVER_WRITTEN,
    contactless: bytes = NEVER_WRITTEN,
) -> FileImage:
    return FileImage(
        path=df + fid, content=content, sfi=sfi, contact=contact, contactless=contactless
    )


def _protected(df: bytes, fid: bytes, content: bytes) -> FileImage:
    return _ef(df, fid, content, contact=READ_AFTER_PIN, contactless=READ_AFTER_PIN)


def _public_key_fid(key: cio.KeyObject) -> bytes:
    return bytes((0xB0, key.number))


def _certificate_fid(key: cio.KeyObject) -> bytes:
    return bytes((0xC0, key.number))


def _luhn_digit(digits: str) -> str:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        # Seen from the check digit, every second digit counts double, the nearest one first.
        value = int(digit) * (2 if position % 2 == 0 else 1)
        total += value // 10 + value % 10
    return str(-total % 10)


def require_digits(name: str, value: str, count: int) -> None:
    """Raise ValueError, which does not show *value*, where it is not *count* decimal digits."""
    if len(value) != count or not (value.isascii() and value.isdecimal()):
        raise ValueError(f"a {name} has {count} digits")
