"""The agent's key as JWK: only a point on P-256, in its one spelling."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey

from cps.authtoken.encoding import b64url_encode
from cps.authtoken.jwk import AgentKey

# The example key of RFC 7515, appendix A.3.
X = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
Y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
JWK = {"kty": "EC", "crv": "P-256", "x": X, "y": Y}


def test_a_key_is_read_as_it_was_written() -> None:
    key = AgentKey.from_json(JWK)
    assert key.to_json() == JWK
    assert AgentKey.of(key.public_key()) == key


def test_coordinates_keep_their_leading_zeros() -> None:
    # The first multiple of the generator whose x begins with a zero byte.
    public = next(
        public
        for public in (
            ec.derive_private_key(secret, ec.SECP256R1()).public_key() for secret in range(1, 5000)
        )
        if public.public_numbers().x >> 248 == 0
    )
    key = AgentKey.of(public)
    assert key.x[0] == 0
    assert AgentKey.from_json(key.to_json()) == key


def test_the_thumbprint_is_that_of_another_implementation() -> None:
    ours = AgentKey.from_json(JWK).thumbprint()
    theirs = ECKey.import_key({**JWK}).thumbprint()
    assert b64url_encode(ours) == theirs


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"kty": "OKP"}, id="another kind of key"),
        pytest.param({"crv": "P-384"}, id="another curve"),
        pytest.param({"crv": "p-256"}, id="the curve in another spelling"),
        pytest.param({"d": "AA"}, id="a private key"),
        pytest.param({"kid": "x"}, id="another member"),
        pytest.param({"x": X[:-2]}, id="x of 31 bytes"),
        pytest.param({"x": "A" + X}, id="x of 33 bytes"),
        pytest.param({"x": X + "="}, id="padding"),
        pytest.param({"x": 5}, id="x as a number"),
        pytest.param({"y": None}, id="y as null"),
        pytest.param({"y": X}, id="not on the curve"),
        pytest.param({"x": "A" * 43, "y": "A" * 43}, id="the origin of coordinates"),
        pytest.param({"x": "_" * 42 + "8"}, id="x beyond the field"),
    ],
)
def test_other_keys_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"jwk|base64url|bytes|curve|point|key"):
        AgentKey.from_json({**JWK, **change})


@pytest.mark.parametrize("member", list(JWK))
def test_a_missing_member_is_refused(member: str) -> None:
    with pytest.raises(ValueError, match="exactly kty, crv, x and y"):
        AgentKey.from_json({name: value for name, value in JWK.items() if name != member})


@pytest.mark.parametrize("value", [None, [], "EC", 1], ids=repr)
def test_what_is_no_object_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="jwk"):
        AgentKey.from_json(value)


def test_a_public_key_on_another_curve_is_refused() -> None:
    public = ec.derive_private_key(1, ec.SECP384R1()).public_key()
    with pytest.raises(ValueError, match="P-256"):
        AgentKey.of(public)
