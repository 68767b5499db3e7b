"""OpenSC and OpenSSL, which know nothing of us, on our card through pcscd.

What OpenSC 0.23 cannot do on any card of this kind is not here: the signature key when it is built
with OpenSSL 3.
"""

import hashlib
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cps.atr import CPS3_CONTACT_ATR
from tests.support import cards, pki
from tests.support.card_readers import ChangingCard
from tests.support.cards import send
from tests.support.opensc import Tools, tools_for

pytestmark = pytest.mark.pcscd

SIGNATURE_ID = "e828bd080f8025000001ff001001"
AUTHENTICATION_ID = "e828bd080f8025000001ff001002"
SHA256_PREFIX = bytes.fromhex("3031300D060960864801650304020105000420")


@pytest.fixture
def tools(card_in_reader: ChangingCard, tmp_path: Path) -> Tools:
    return tools_for(card_in_reader, tmp_path)


def test_the_card_is_taken_for_a_real_one(tools: Tools) -> None:
    assert bytes.fromhex(tools.output("opensc-tool", "-a").replace(":", " ")) == CPS3_CONTACT_ATR
    assert tools.output("opensc-tool", "-n").strip() == "IAS-ECC"


def test_its_objects_are_listed_as_on_a_real_card(tools: Tools) -> None:
    dump = tools.output("pkcs15-tool", "-D")
    objects = {
        title: dict(re.findall(r"^\t([\w ]+?)\s*: (.*)$", body, re.MULTILINE))
        for title, body in re.findall(r"^(\S[^\n]*\])\n((?:\t.*\n)+)", dump, re.MULTILINE)
    }

    assert f"PKCS#15 Card [CPS3v3-{pki.CARD_NUMBER}]" in dump
    assert "Last update    : 20261123120000Z" in dump
    assert "Read-only, Login required" in dump
    assert objects["PIN [Code porteur de la carte CPS]"] == {
        "Object Flags": "[0x00]",
        "Auth ID": "02",
        "ID": "01",
        "Flags": "[0x830], initialized, needs-padding, exchangeRefData",
        "Length": "min_len:4, max_len:4, stored_len:8",
        "Pad char": "0xFF",
        "Reference": "1 (0x01)",
        "Type": "ascii-numeric",
    }
    assert objects["Private RSA Key [CPS_PRIV_AUT]"] == {
        "Object Flags": "[0x07], private, modifiable",
        "Usage": "[0x06], decrypt, sign",
        "Access Flags": "[0x0D], sensitive, alwaysSensitive, neverExtract",
        "Algo_refs": "6, 5",
        "Access Rules": "pso_decrypt:01; int_auth:01;",
        "ModLength": "2048",
        "Key ref": "130 (0x82)",
        "Native": "yes",
        "Path": "e828bd080f8025000001ff0010::",
        "Auth ID": "01",
        "ID": AUTHENTICATION_ID,
    }
    signature = objects["Private RSA Key [CPS_PRIV_SIG]"]
    assert signature["Usage"] == "[0x200], nonRepudiation"
    assert signature["Access Rules"] == "pso_cds:01;"
    assert signature["Key ref"] == "129 (0x81)"
    for label in ("Certificat de Signature CPS", "Certificat d'Authentification CPS"):
        assert (
            objects[f"X.509 Certificate [{label}]"]["Access Rules"] == "read:<always>; update:01;"
        )


@pytest.mark.parametrize(
    ("identifier", "path"),
    [(AUTHENTICATION_ID, "3F000001C002"), (SIGNATURE_ID, "3F000001C001")],
    ids=["authentication", "signature"],
)
def test_a_certificate_is_read(tools: Tools, identifier: str, path: str) -> None:
    pem = tools.output("pkcs15-tool", "--read-certificate", identifier)

    assert pem.encode() == pki.pem(cards.certificate_of(tools.image, path))


def test_openssl_verifies_what_the_authentication_key_signed(tools: Tools) -> None:
    message, info, signature, key = (
        tools.folder / name for name in ("message", "info", "signature", "key.pem")
    )
    message.write_bytes(b"a document")
    info.write_bytes(SHA256_PREFIX + hashlib.sha256(b"a document").digest())
    certificate = cards.certificate_of(tools.image, "3F000001C002")
    key.write_bytes(
        certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )

    done = tools.logged_in(
        *("--sign", "--id", AUTHENTICATION_ID, "--mechanism", "RSA-PKCS"),
        *("--input-file", str(info), "--output-file", str(signature)),
    )

    assert done.returncode == 0, done.stderr
    verify = ("openssl", "dgst", "-sha256", "-verify", str(key), "-signature", str(signature))
    assert tools.output(*verify, str(message)).strip() == "Verified OK"
    message.write_bytes(b"another document")
    assert tools.run(*verify, str(message)).returncode != 0


def test_what_was_enciphered_for_the_holder_is_deciphered(tools: Tools) -> None:
    cryptogram, plain = tools.folder / "cryptogram", tools.folder / "plain"
    public_key = cards.authentication_key().public_key()
    cryptogram.write_bytes(public_key.encrypt(b"a secret", padding.PKCS1v15()))

    done = tools.logged_in(
        *("--decrypt", "--id", AUTHENTICATION_ID, "--mechanism", "RSA-PKCS"),
        *("--input-file", str(cryptogram), "--output-file", str(plain)),
    )

    assert done.returncode == 0, done.stderr
    assert plain.read_bytes() == b"a secret"


def test_wrong_pins_are_told_as_such_until_the_card_is_blocked(tools: Tools) -> None:
    said = [tools.logged_in("--list-objects", pin=cards.WRONG_PIN).stderr for _ in range(3)]

    assert all("CKR_PIN_INCORRECT" in text for text in said[:2])
    assert tools.image.reference_data[0].tries_left == 0
    assert "CKR_PIN_LOCKED" in tools.logged_in("--list-objects").stderr


def test_nothing_is_signed_with_a_wrong_pin(tools: Tools) -> None:
    data, signature = tools.folder / "data", tools.folder / "signature"
    data.write_bytes(b"data")

    done = tools.logged_in(
        *("--sign", "--id", AUTHENTICATION_ID, "--mechanism", "RSA-PKCS"),
        *("--input-file", str(data), "--output-file", str(signature)),
        pin=cards.WRONG_PIN,
    )

    assert "CKR_PIN_INCORRECT" in done.stderr
    assert not signature.exists()


@pytest.mark.parametrize("program", ["pkcs11-tool", "pkcs15-tool"])
def test_the_pin_is_changed(tools: Tools, program: str) -> None:
    if program == "pkcs11-tool":
        done = tools.logged_in("--change-pin", "--new-pin", "4321")
    else:
        old_and_new = ("--pin", cards.PIN.decode(), "--new-pin", "4321")
        done = tools.run("pkcs15-tool", "--auth-id", "01", "--change-pin", *old_and_new)

    assert done.returncode == 0, done.stderr
    tools.card.reset()
    assert send(tools.card, "00 20 00 01 04 34333231") == "9000"


def block_pin(tools: Tools, *, puk_identifier: str | None = None) -> None:
    """Make a new card with a blocked PIN.

    :param puk_identifier: what the PUK is called in the directory, instead of ``04``.
    """
    image = cards.image()
    image.reference_data[0].tries_left = 0
    if puk_identifier is not None:
        [directory] = [file for file in image.files if file.path.hex() == "3f0000017001"]
        assert directory.content is not None
        real = bytes.fromhex("3003040104")
        assert directory.content.count(real) == 1
        directory.content = directory.content.replace(
            real, bytes.fromhex("30030401" + puk_identifier)
        )
    tools.card.become(image)


UNBLOCK = ("pkcs15-tool", "--unblock-pin", "--auth-id", "01", "--puk", "12345678")


def test_opensc_does_not_unblock_a_real_card_because_its_pin_names_another_puk(
    tools: Tools,
) -> None:
    block_pin(tools)

    done = tools.run(*UNBLOCK, "--new-pin", "4321")

    # The PIN says that 02 unblocks it, and the PUK is called 04: those are the bytes of real cards.
    # OpenSC finds no PUK, takes the PIN's own length for the PUK's, and sends nothing to the card.
    assert "Invalid PIN length" in done.stderr
    assert send(tools.card, "00 20 00 02 00") == "63CA"


def test_opensc_unblocks_once_the_puk_is_called_what_the_pin_says(tools: Tools) -> None:
    block_pin(tools, puk_identifier="02")

    done = tools.run(*UNBLOCK, "--new-pin", "4321")

    assert done.returncode == 0, done.stderr
    tools.card.reset()
    assert send(tools.card, "00 20 00 01 04 34333231") == "9000"


def test_opensc_finds_the_puk_in_the_security_environment_that_unblocking_wants(
    tools: Tools,
) -> None:
    block_pin(tools, puk_identifier="02")
    asked: list[str] = []
    execute = tools.card.execute

    def listen(command: bytes) -> bytes:
        asked.append(command.hex().upper())
        return execute(command)

    settings = "app opensc-pkcs11 { pkcs11 { user_pin_unblock_style = init_pin_in_so_session; } }"
    configuration = tools.folder / "opensc.conf"
    configuration.write_text(configuration.read_text() + settings)
    officer = ("--login", "--login-type", "so", "--so-pin", "12345678")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tools.card, "execute", listen)
        tools.pkcs11(*officer, "--init-pin", "--new-pin", "4321")

    environment = asked.index("00CB3FFF0A4D087006BFFB03027B80")
    assert asked[environment + 1 :].count("0020000200"), "then it looks at the PUK, reference 02"


def test_a_protected_object_is_read_after_the_pin_alone(tools: Tools) -> None:
    read = ("pkcs15-tool", "--read-data-object", "CPS_ACTIVITY_01_PS")
    wanted = tools.image.content(bytes.fromhex("3F000001D120")).hex(" ").upper()

    assert wanted not in tools.run(*read).stdout
    pin = ("--auth-id", "01", "--verify-pin", "--pin", cards.PIN.decode())
    assert wanted in tools.output(*read, *pin)


def test_random_bytes_are_given(tools: Tools) -> None:
    files = [tools.folder / "first", tools.folder / "second"]
    for file in files:
        assert tools.pkcs11("--generate-random", "8", "--output-file", str(file)).returncode == 0

    first, second = (file.read_bytes() for file in files)
    assert len(first) == len(second) == 8
    assert first != second


def test_a_raw_command_gets_its_raw_answer(tools: Tools) -> None:
    said = tools.output("opensc-tool", "-s", "00:B0:9C:00:0C")

    assert "Received (SW1=0x90, SW2=0x00)" in said
    assert "5A 0A 80 25 00 00 01 28 00 00 01 6F" in said
