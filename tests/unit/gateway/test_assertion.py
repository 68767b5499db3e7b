import base64
import hmac
import json
from dataclasses import replace
from datetime import datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import KeySet

from cps.authtoken.encoding import b64url_decode, b64url_encode
from cps.authtoken.jwk import AgentKey
from gateway import assertion, assertion_keys
from gateway.assertion import ASSERTION_LIFE, CARD_AND_PIN, LOOK_TIME, AssertionSigner
from gateway.errors import ConfigurationError
from gateway.identity import VerifiedIdentity
from gateway.session.model import Session
from tests.support.logins import DOCTOR, EMPLOYEE, MOMENT, agent_key
from tests.support.processes import in_two_processes

ISSUER = "https://portal.example"
AUDIENCE = "tiers-payant"
NOW = int(MOMENT.timestamp())
SECOND = timedelta(seconds=1)


def session(identity: VerifiedIdentity = DOCTOR, key: bytes = b"k" * 32) -> Session:
    return Session(
        key=key,
        identity=identity,
        agent_key=agent_key(),
        created_at=MOMENT - 100 * SECOND,
        seen_at=MOMENT,
    )


@pytest.fixture
def signer(tmp_path: Path) -> AssertionSigner:
    return AssertionSigner.load_or_create(tmp_path / "key.pem", ISSUER, AUDIENCE)


def published_key(signer: AssertionSigner) -> dict[str, str]:
    keys = signer.jwks(MOMENT)["keys"]
    assert isinstance(keys, list)
    (jwk,) = keys
    assert isinstance(jwk, dict)
    return jwk


def verify(token: str, keys: dict[str, Any], *, now: int = NOW) -> dict[str, Any]:
    """Do what a portal does: the published keys, one algorithm, its own name, the time."""
    checked = jwt.decode(token, KeySet.import_key_set({"keys": keys["keys"]}), algorithms=["ES256"])
    jwt.JWTClaimsRegistry(
        now=now,
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": AUDIENCE},
        exp={"essential": True},
    ).validate(checked.claims)
    return checked.claims


def test_the_portal_learns_who_is_in(signer: AssertionSigner) -> None:
    claims = verify(signer.assertion(session(), MOMENT), signer.jwks(MOMENT))
    assert len(b64url_decode(claims.pop("jti"))) == 16
    assert claims == {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "cps:899990000016",
        "iat": NOW,
        "nbf": NOW,
        "exp": NOW + 60,
        "auth_time": NOW - 100,
        "acr": CARD_AND_PIN,
        "amr": ["sc", "pin"],
        "authMode": "CARD",
        "SubjectNameID": "899990000016",
        "preferred_username": "899990000016",
        "given_name": "CAMILLE",
        "family_name": "ÉXEMPLE",
        "SubjectRole": ["10^1.2.250.1.213.1.1.5.5"],
        "otherIds": [{"identifiant": "899990000016", "origine": "RPPS"}],
        "card_type": "CPS",
        "card_number": "2899000001",
    }


def test_an_employee_has_a_structure_and_no_profession(signer: AssertionSigner) -> None:
    claims = verify(signer.assertion(session(EMPLOYEE), MOMENT), signer.jwks(MOMENT))
    assert claims["SubjectOrganization"] == "HÔPITAL IMAGINAIRE"
    assert claims["SubjectOrganizationID"] == "10B0000001"
    assert claims["card_type"] == "CPE"
    assert not {"SubjectRole", "otherIds"} & claims.keys()


def test_specialities_are_told_as_codes(signer: AssertionSigner) -> None:
    specialist = replace(DOCTOR, specialities=("SM54", "ZZ99"))
    claims = verify(signer.assertion(session(specialist), MOMENT), signer.jwks(MOMENT))
    assert claims["codeSavoirFaire"] == ["SM54", "ZZ99"]


@pytest.mark.parametrize(
    ("identity", "absent"),
    [
        pytest.param(DOCTOR, {"codeSavoirFaire"}, id="no speciality"),
        pytest.param(
            replace(DOCTOR, organisation="CABINET", organisation_id="1"),
            {"SubjectOrganization", "SubjectOrganizationID"},
            id="a CPS speaks for no structure",
        ),
        pytest.param(
            replace(EMPLOYEE, organisation=None, organisation_id=None),
            {"SubjectOrganization", "SubjectOrganizationID"},
            id="structure unknown",
        ),
        pytest.param(replace(DOCTOR, profession=None), {"SubjectRole"}, id="no profession"),
    ],
)
def test_what_the_certificate_does_not_say_is_left_out(
    signer: AssertionSigner, identity: VerifiedIdentity, absent: set[str]
) -> None:
    claims = verify(signer.assertion(session(identity), MOMENT), signer.jwks(MOMENT))
    assert not absent & claims.keys()


@pytest.mark.parametrize(
    ("national_id", "register"),
    [("899990000016", "RPPS"), ("0750000001", "ADELI")],
    ids=["RPPS", "ADELI"],
)
def test_the_register_follows_from_the_first_digit(
    signer: AssertionSigner, national_id: str, register: str
) -> None:
    token = signer.assertion(session(replace(DOCTOR, national_id=national_id)), MOMENT)
    assert verify(token, signer.jwks(MOMENT))["otherIds"] == [
        {"identifiant": national_id, "origine": register}
    ]


def test_no_national_level_or_issuer_is_claimed(signer: AssertionSigner) -> None:
    text = b64url_decode(signer.assertion(session(), MOMENT).split(".")[1]).decode()
    for name in ("eidas", "APPPRIP", "esante", "Palier"):
        assert name not in text


def test_another_library_agrees_with_the_signature(signer: AssertionSigner) -> None:
    head, body, signature = signer.assertion(session(), MOMENT).split(".")
    jwk = published_key(signer)
    public = AgentKey.from_json({name: jwk[name] for name in ("kty", "crv", "x", "y")})
    raw = b64url_decode(signature, length=64)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    algorithm = ec.ECDSA(hashes.SHA256())
    public.public_key().verify(der, f"{head}.{body}".encode(), algorithm)
    with pytest.raises(InvalidSignature):
        public.public_key().verify(der, f"{head}.{body}x".encode(), algorithm)
    assert json.loads(b64url_decode(head)) == {
        "alg": "ES256",
        "typ": "JWT",
        "kid": b64url_encode(public.thumbprint()),
    }


def test_the_key_set_holds_the_public_key_alone(signer: AssertionSigner) -> None:
    jwk = published_key(signer)
    assert set(signer.jwks(MOMENT)) == {"keys"}
    assert set(jwk) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert (jwk["use"], jwk["alg"]) == ("sig", "ES256")


def _joined(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return ".".join(b64url_encode(json.dumps(part).encode()) for part in (header, claims))


def test_an_unsigned_assertion_is_refused(signer: AssertionSigner) -> None:
    claims = verify(signer.assertion(session(), MOMENT), signer.jwks(MOMENT))
    with pytest.raises(JoseError):
        verify(_joined({"alg": "none", "typ": "JWT"}, claims) + ".", signer.jwks(MOMENT))


def test_a_mac_made_with_the_public_key_is_refused(signer: AssertionSigner) -> None:
    jwk = published_key(signer)
    public = AgentKey.from_json({name: jwk[name] for name in ("kty", "crv", "x", "y")})
    der = public.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    claims = verify(signer.assertion(session(), MOMENT), signer.jwks(MOMENT))
    signed = _joined({"alg": "HS256", "typ": "JWT", "kid": jwk["kid"]}, claims)
    mac = hmac.digest(der, signed.encode(), "sha256")
    with pytest.raises(JoseError):
        verify(f"{signed}.{b64url_encode(mac)}", signer.jwks(MOMENT))


def test_another_key_is_refused(signer: AssertionSigner, tmp_path: Path) -> None:
    other = AssertionSigner.load_or_create(tmp_path / "other.pem", ISSUER, AUDIENCE)
    with pytest.raises((JoseError, ValueError)):
        verify(other.assertion(session(), MOMENT), signer.jwks(MOMENT))


@pytest.mark.parametrize("part", [0, 1, 2], ids=["header", "claims", "signature"])
def test_a_changed_assertion_is_refused(signer: AssertionSigner, part: int) -> None:
    parts = signer.assertion(session(), MOMENT).split(".")
    raw = bytearray(base64.urlsafe_b64decode(parts[part] + "=="))
    raw[len(raw) // 2] ^= 1
    parts[part] = b64url_encode(bytes(raw))
    with pytest.raises((BadSignatureError, JoseError, ValueError)):
        verify(".".join(parts), signer.jwks(MOMENT))


def test_another_portal_refuses_it(tmp_path: Path) -> None:
    signer = AssertionSigner.load_or_create(tmp_path / "key.pem", ISSUER, "another-portal")
    with pytest.raises(JoseError, match="aud"):
        verify(signer.assertion(session(), MOMENT), signer.jwks(MOMENT))


@pytest.mark.parametrize("seconds", [61, -2], ids=["expired", "not yet"])
def test_an_assertion_is_good_for_a_minute(signer: AssertionSigner, seconds: int) -> None:
    token = signer.assertion(session(), MOMENT)
    verify(token, signer.jwks(MOMENT), now=NOW + 59)
    with pytest.raises(JoseError):
        verify(token, signer.jwks(MOMENT), now=NOW + seconds)


def test_one_assertion_serves_a_session_for_half_its_life(signer: AssertionSigner) -> None:
    first = signer.assertion(session(), MOMENT)
    assert signer.assertion(session(), MOMENT + 29 * SECOND) == first
    assert signer.assertion(session(), MOMENT + 30 * SECOND) != first


def test_a_clock_that_went_back_gets_a_new_assertion(signer: AssertionSigner) -> None:
    first = signer.assertion(session(), MOMENT)
    earlier = signer.assertion(session(), MOMENT - SECOND)
    assert earlier != first
    assert verify(earlier, signer.jwks(MOMENT))["iat"] == NOW - 1


def test_sessions_do_not_share_an_assertion(signer: AssertionSigner) -> None:
    doctor = signer.assertion(session(DOCTOR, b"d" * 32), MOMENT)
    employee = signer.assertion(session(EMPLOYEE, b"e" * 32), MOMENT)
    assert (
        verify(doctor, signer.jwks(MOMENT))["sub"] != verify(employee, signer.jwks(MOMENT))["sub"]
    )


def test_only_so_many_assertions_are_kept(
    signer: AssertionSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assertion, "MAX_KEPT", 2)
    one, two, three = (session(key=name * 32) for name in (b"1", b"2", b"3"))
    first, second = signer.assertion(one, MOMENT), signer.assertion(two, MOMENT)
    assert signer.assertion(one, MOMENT) == first
    signer.assertion(three, MOMENT)
    assert signer.assertion(one, MOMENT) == first
    assert signer.assertion(two, MOMENT) != second


def test_the_key_stays_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    first = AssertionSigner.load_or_create(path, ISSUER, AUDIENCE)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["key.pem"]
    second = AssertionSigner.load_or_create(path, ISSUER, AUDIENCE)
    assert first.jwks(MOMENT) == second.jwks(MOMENT)


def _load_all(paths: list[Path], together: Barrier) -> list[dict[str, object]]:
    keys = []
    for path in paths:
        together.wait(30)
        keys.append(AssertionSigner.load_or_create(path, ISSUER, AUDIENCE).jwks(MOMENT))
    return keys


def test_processes_that_start_together_have_one_key(tmp_path: Path) -> None:
    first, second = in_two_processes(_load_all, [tmp_path / f"{n}.pem" for n in range(20)])
    assert first == second


@pytest.mark.parametrize("mode", [0o640, 0o604], ids=oct)
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key.pem"
    AssertionSigner.load_or_create(path, ISSUER, AUDIENCE)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="other users"):
        AssertionSigner.load_or_create(path, ISSUER, AUDIENCE)


def _pem(key: ec.EllipticCurvePrivateKey, password: bytes | None = None) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption(),
    )


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"no key", id="text"),
        pytest.param(_pem(ec.generate_private_key(ec.SECP384R1())), id="other curve"),
        pytest.param(_pem(ec.generate_private_key(ec.SECP256R1()), b"pass"), id="encrypted"),
        pytest.param(_pem(ec.generate_private_key(ec.SECP256R1()))[:100], id="truncated"),
    ],
)
def test_another_file_is_no_key(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError) as caught:
        AssertionSigner.load_or_create(path, ISSUER, AUDIENCE)
    assert caught.value.file == str(path)
    assert path.read_bytes() == content


def test_a_key_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        AssertionSigner.load_or_create(tmp_path / "nowhere" / "key.pem", ISSUER, AUDIENCE)


def test_processes_follow_a_rotation_and_every_live_assertion_can_be_checked(
    tmp_path: Path,
) -> None:
    path = tmp_path / "key.pem"
    signers = [AssertionSigner.load_or_create(path, ISSUER, AUDIENCE) for _ in range(2)]
    (old,) = _kids(signers[0], MOMENT)
    assertion_keys.rotate(path, MOMENT, at_once=False)
    signed_with = set()
    for seconds in range(1, assertion_keys.PUBLISH_SECONDS + 200, 7):
        now = MOMENT + seconds * SECOND
        tokens = [
            signer.assertion(session(key=bytes([seconds % 251]) * 32), now) for signer in signers
        ]
        kids = [_head(token)["kid"] for token in tokens]
        assert kids[0] == kids[1]
        assert _kids(signers[0], now) == _kids(signers[1], now)
        # A portal that checks it at the end of its life finds the key.
        assert kids[0] in _kids(signers[1], now + ASSERTION_LIFE)
        signed_with.add(kids[0])
    assert len(signed_with) == 2
    assert old not in _kids(signers[0], now)


def test_a_kept_assertion_of_a_key_that_is_gone_is_not_used_again(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    signer = AssertionSigner.load_or_create(path, ISSUER, AUDIENCE)
    first = signer.assertion(session(), MOMENT)
    assertion_keys.rotate(path, MOMENT, at_once=True)
    second = signer.assertion(session(), MOMENT + LOOK_TIME)
    assert second != first
    assert _kids(signer, MOMENT + LOOK_TIME) == [_head(second)["kid"]]
    verify(second, signer.jwks(MOMENT + LOOK_TIME), now=NOW + 1)


@pytest.mark.parametrize("damage", ["removed", "broken", "opened"])
def test_a_file_that_is_lost_while_the_gateway_runs_changes_nothing(
    tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "key.pem"
    signer = AssertionSigner.load_or_create(path, ISSUER, AUDIENCE)
    before = signer.jwks(MOMENT)
    if damage == "removed":
        path.unlink()
    elif damage == "broken":
        path.write_bytes(b"broken")
    else:
        path.chmod(0o644)
    later = MOMENT + 5 * SECOND
    assert signer.jwks(later) == before
    verify(signer.assertion(session(), later), before, now=NOW + 5)


def _head(token: str) -> dict[str, Any]:
    head: dict[str, Any] = json.loads(b64url_decode(token.split(".")[0]))
    return head


def _kids(signer: AssertionSigner, now: datetime) -> list[str]:
    keys = signer.jwks(now)["keys"]
    assert isinstance(keys, list)
    return [key["kid"] for key in keys]
