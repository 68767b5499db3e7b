"""OpenSC on our card by radio, through pcscd.

OpenSC's table has the answer to reset of this card with a wrong first byte, so its configuration
must name the driver; any CPS needs that.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from cps.atr import CPS3_CONTACTLESS_ATR
from tests.support import cards, pki
from tests.support.card_readers import ChangingCard
from tests.support.opensc import Tools, tools_for
from tests.support.pcsc import VirtualReader

pytestmark = pytest.mark.pcscd

TECHNICAL_ID = "e828bd080f8025000001ff001003"
SHA256_PREFIX = bytes.fromhex("3031300D060960864801650304020105000420")
DRIVER = f"""card_atr {CPS3_CONTACTLESS_ATR.hex(":")} {{ driver = "iasecc"; type = 25008; }}"""


@pytest.fixture(scope="module")
def card_on_reader(pcscd: VirtualReader) -> Iterator[ChangingCard]:
    card = ChangingCard(cards.image(), contactless=True)
    with pcscd.holding(card):
        yield card


@pytest.fixture
def tools(card_on_reader: ChangingCard, tmp_path: Path) -> Tools:
    return tools_for(card_on_reader, tmp_path, settings=DRIVER)


def test_the_card_is_taken_for_a_real_one(tools: Tools) -> None:
    answer = bytes.fromhex(tools.output("opensc-tool", "-a").replace(":", " "))

    assert answer == CPS3_CONTACTLESS_ATR
    assert tools.output("opensc-tool", "-n").strip() == "IAS-ECC"


def test_the_technical_key_signs_without_a_login(tools: Tools) -> None:
    info, signature = tools.folder / "info", tools.folder / "signature"
    info.write_bytes(SHA256_PREFIX + hashlib.sha256(b"a challenge").digest())

    done = tools.pkcs11(
        *("--slot-index", "1", "--sign", "--id", TECHNICAL_ID, "--mechanism", "RSA-PKCS"),
        *("--input-file", str(info), "--output-file", str(signature)),
    )

    assert done.returncode == 0, done.stderr
    key = cards.technical_key().public_key()
    key.verify(signature.read_bytes(), b"a challenge", padding.PKCS1v15(), SHA256())


def test_its_certificate_is_read(tools: Tools) -> None:
    certificate = tools.folder / "certificate"

    done = tools.pkcs11(
        *("--slot-index", "1", "--read-object", "--type", "cert", "--id", TECHNICAL_ID),
        *("--output-file", str(certificate)),
    )

    assert done.returncode == 0, done.stderr
    wanted = cards.certificate_of(tools.image, "3F000002C003")
    assert certificate.read_bytes() == pki.der(wanted)
