import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from cps.authtoken.encoding import b64url_encode
from cps.demo.assertion import JWKS_PATH, AssertionRefusedError, AssertionVerifier

CLAIMS = {
    "SubjectNameID": "899900000017",
    "given_name": "CAMILLE",
    "family_name": "ESSAI",
    "card_type": "CPS",
}


class Gateway:
    """A gateway's key set on loopback, and a signer that tests may misuse."""

    def __init__(self, origin: str, key: ECKey) -> None:
        self.origin = origin
        self.key = key

    def sign(self, key: ECKey | None = None, **changes: object) -> str:
        now = int(time.time())  # noqa: TID251 - the verifier uses the system's clock
        claims = {
            "iss": self.origin,
            "aud": self.origin,
            "sub": "cps:899900000017",
            "iat": now,
            "exp": now + 60,
            **CLAIMS,
            **changes,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        signing = key or self.key
        return jwt.encode({"alg": "ES256", "kid": self.key.thumbprint()}, claims, signing)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    key = ECKey.generate_key("P-256")
    public = {**key.as_dict(private=False), "kid": key.thumbprint()}
    body = json.dumps({"keys": [public]}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == JWKS_PATH else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited name
            """Keep the test's output clean."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Gateway(f"http://127.0.0.1:{server.server_port}", key)
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_genuine_assertion_names_the_professional(gateway: Gateway) -> None:
    verifier = AssertionVerifier(gateway.origin, gateway.origin)
    professional = verifier.require_professional(gateway.sign())
    assert professional.national_id == "899900000017"
    assert professional.family_name == "ESSAI"


def unsigned(gateway: Gateway) -> str:
    _, payload, _ = gateway.sign().split(".")
    return f"eyJhbGciOiJub25lIn0.{payload}."


def hmac_with_public_key(gateway: Gateway) -> str:
    # By hand: the library itself refuses to use a public key as a secret.
    _, payload, _ = gateway.sign().split(".")
    head = b64url_encode(json.dumps({"alg": "HS256", "kid": gateway.key.thumbprint()}).encode())
    secret = gateway.key.as_pem(private=False)
    mac = hmac.digest(secret, f"{head}.{payload}".encode(), "sha256")
    return f"{head}.{payload}.{b64url_encode(mac)}"


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda g: None, id="none at all"),
        pytest.param(lambda g: "", id="empty"),
        pytest.param(lambda g: "x.y.z", id="garbage"),
        pytest.param(unsigned, id="alg none"),
        pytest.param(hmac_with_public_key, id="HS256 with the public key"),
        pytest.param(lambda g: g.sign(ECKey.generate_key("P-256")), id="another key"),
        pytest.param(lambda g: g.sign(aud="http://other.example"), id="another portal"),
        pytest.param(lambda g: g.sign(iss="http://other.example"), id="another gateway"),
        pytest.param(lambda g: g.sign(exp=1), id="expired"),
        pytest.param(lambda g: g.sign(exp=None), id="no end"),
        pytest.param(lambda g: g.sign(given_name=None), id="claim missing"),
    ],
)
def test_anything_else_is_refused(gateway: Gateway, forge: Callable[[Gateway], str | None]) -> None:
    verifier = AssertionVerifier(gateway.origin, gateway.origin)
    with pytest.raises(AssertionRefusedError):
        verifier.require_professional(forge(gateway))


def test_without_the_gateways_keys_nobody_is_believed(gateway: Gateway) -> None:
    verifier = AssertionVerifier("http://127.0.0.1:9", gateway.origin)
    with pytest.raises(AssertionRefusedError, match="cannot be fetched"):
        verifier.require_professional(gateway.sign())
