"""What a card says of itself: as the software cards say it, and as none should."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cps import tlv
from cps.pkcs15 import description
from cps.pkcs15.description import Application, Update
from cps.simulator.image import CardImage
from tests.support import cards

AID = bytes.fromhex("E828BD080F8025000001FF0010")


@cache
def image(*, cps4: bool) -> CardImage:
    return cards.cps4_image() if cps4 else cards.image()


def content(path: str, *, cps4: bool = False) -> bytes:
    return image(cps4=cps4).content(bytes.fromhex(path))


# EF.DIR.


def test_the_applications_of_a_cps3_are_two() -> None:
    assert description.applications(content("3F002F00")) == [
        Application(aid=AID[:-1] + b"\x20", label="CPX IAS CL", path=bytes.fromhex("3F000002")),
        Application(aid=AID, label="CPX IAS", path=bytes.fromhex("3F000001")),
    ]


def test_a_cps4_has_one() -> None:
    (application,) = description.applications(content("3F002F00", cps4=True))
    assert (application.label, application.path) == ("CPX IAS", bytes.fromhex("3F000001"))


def test_an_application_may_lack_label_and_path() -> None:
    entry = tlv.encode(0x61, tlv.encode(0x4F, AID))
    assert description.applications(entry + b"\x00\x00") == [
        Application(aid=AID, label="", path=b"")
    ]


# TokenInfo.


def test_a_cps3_says_what_it_can_compute() -> None:
    token = description.token_info(content("3F0000015032"))
    assert token.label.startswith("CPS3")
    assert token.manufacturer == "SIMULATEUR"
    assert token.login_required
    assert {entry.mechanism: entry.reference for entry in token.algorithms}[0x220] == 0x10
    assert len(token.algorithms) == 6


def test_a_cps4_says_less() -> None:
    token = description.token_info(content("3F0000015032", cps4=True))
    assert (token.label[:4], token.login_required, token.algorithms) == ("CPS4", True, ())


def test_a_token_may_say_nothing() -> None:
    token = description.token_info(tlv.encode(0x30))
    assert (token.label, token.manufacturer, token.login_required) == ("", "", False)


# PuKDF and DODF.


@pytest.mark.parametrize("cps4", [False, True], ids=["CPS3", "CPS4"])
def test_public_keys_have_the_identifiers_of_their_pairs(cps4: bool) -> None:
    keys = description.public_keys(content("3F0000017004", cps4=cps4))
    ends = [key.id[-1] for key in keys]
    assert ends == ([0x10, 0x20] if cps4 else [1, 2])
    assert [key.label for key in keys] == ["CPS_PUB_SIG", "CPS_PUB_AUT"]
    assert keys[0].path == bytes.fromhex("3F000001B001")


@pytest.mark.parametrize("cps4", [False, True], ids=["CPS3", "CPS4"])
def test_data_objects_say_whether_they_want_the_pin(cps4: bool) -> None:
    objects = description.data_objects(content("3F0000017006", cps4=cps4))
    private = {entry.label: entry.private for entry in objects}
    assert private["CPS_ID_CARD"] is False
    assert private["CPS_DATA"] is False
    assert private["CPS_ACTIVITY_01_PS"] is True


# EF_ACTUA.

ACTUA = bytes.fromhex("EC12 8107 20260102030405 8207 20260102030506")


def test_the_last_update_has_a_beginning_and_an_end() -> None:
    assert description.update(ACTUA) == Update(
        begun="2026-01-02 03:04:05", ended="2026-01-02 03:05:06"
    )


@pytest.mark.parametrize(
    "data",
    [
        pytest.param("", id="empty"),
        pytest.param("EC00", id="no moments"),
        pytest.param("EC09 8107 20260102030405", id="no end"),
        pytest.param("ED12 8107 20260102030405 8207 20260102030506", id="another tag"),
        pytest.param("EC12 8107 20261302030405 8207 20260102030506", id="month 13"),
        pytest.param("EC12 8107 2026010203040A 8207 20260102030506", id="no digit"),
        pytest.param("EC04 8100 8200", id="empty moments"),
    ],
)
def test_an_update_without_moments_is_refused(data: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        description.update(bytes.fromhex(data))


# What none should say.


@pytest.mark.parametrize(
    ("decode", "data"),
    [
        pytest.param(description.applications, "6103 500141", id="an application without AID"),
        pytest.param(description.applications, "61FF", id="an application without end"),
        pytest.param(description.token_info, "3100", id="no sequence"),
        pytest.param(description.token_info, "", id="no TokenInfo"),
        pytest.param(description.token_info, "3007 A205 3003 020101", id="half an algorithm"),
        pytest.param(description.token_info, "3004 03020900", id="nine unused bits"),
        pytest.param(description.public_keys, "3004 3000 3000", id="a key without attributes"),
        pytest.param(
            description.public_keys, "300B 3000 3003 040141 A102 3000", id="a key without path"
        ),
        pytest.param(description.data_objects, "3002 3000", id="half an object"),
        pytest.param(description.data_objects, "3006 3000 3000 A100", id="an object without path"),
    ],
)
def test_what_makes_no_sense_is_refused(decode: Callable[[bytes], object], data: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode(bytes.fromhex(data))


DECODERS = [
    description.applications,
    description.token_info,
    description.public_keys,
    description.data_objects,
    description.update,
]
REAL = ["3F002F00", "3F0000015032", "3F0000017004", "3F0000017006"]


@settings(max_examples=150, deadline=None)
@given(
    decode=st.sampled_from(DECODERS),
    path=st.sampled_from(REAL),
    at=st.integers(0, 300),
    byte=st.integers(0, 255),
    end=st.integers(0, 300),
)
def test_a_byte_that_fell_over_is_a_value_error_or_none(
    decode: Callable[[bytes], object], path: str, at: int, byte: int, end: int
) -> None:
    changed = bytearray(content(path))
    changed[at % len(changed)] = byte
    with suppress(ValueError):
        decode(bytes(changed[:end]))
