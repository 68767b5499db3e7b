"""Which readers are none."""

import pytest

from cps.transport.ghosts import is_ghost


@pytest.mark.parametrize(
    "name",
    [
        "Windows Hello for Business 1",
        "WINDOWS HELLO 0",
        "Microsoft Virtual Smart Card 0",
        "Microsoft UICC ISO Reader 7861926a 0",
        "Intercede Virtual Reader 0",
        "Yubico Yubikey 4 OTP+U2F+CCID 00 00",
        "Yubico YubiKey OTP+FIDO+CCID 0",
    ],
)
def test_a_reader_without_slot_is_a_ghost(name: str) -> None:
    assert is_ghost(name)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("Virtual PCD 00 00", id="the virtual reader of tests"),
        pytest.param("Gemalto PC Twin Reader 00 00", id="a reader"),
        pytest.param("Ingenico Prium-4S 0", id="a reader with two slots"),
        pytest.param("Lecteur Windows Hello 0", id="a name that only holds another"),
        pytest.param("Microsoft Usbccid Smartcard Reader (WUDF) 0", id="the system's own driver"),
        pytest.param("", id="no name"),
    ],
)
def test_a_reader_with_a_slot_is_none(name: str) -> None:
    assert not is_ghost(name)
