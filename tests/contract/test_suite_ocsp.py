"""BoringSSL's OCSP cases: what the gateway takes for good, all others would, and none wrongly."""

import base64
import json
import lzma
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.x509.oid import SignatureAlgorithmOID

from gateway.trust.ocsp import OCSPQuestion, OCSPStatus, read_answer
from gateway.trust.strength import RSA_SHA2, Strength
from tests.support.conformance import documented
from tests.support.shared import shared_file

SUITE = "suites/bssl-ocsp.jsonl.xz"
STRENGTH = Strength(algorithms=RSA_SHA2 | {SignatureAlgorithmOID.RSA_WITH_SHA1}, min_rsa_bits=1024)
"""Nearly all answers of the suite are signed with SHA-1, which no login accepts."""
MAX_AGE = timedelta(days=7)
"""What the suite takes for fresh."""


def test_nothing_is_accepted_wrongly_and_little_refused_wrongly() -> None:
    cases = [
        json.loads(line) for line in lzma.decompress(shared_file(SUITE).read_bytes()).splitlines()
    ]
    assert len(cases) == 36
    verdicts = {case["id"]: is_accepted(case) for case in cases}
    expected = {case["id"]: case["expect"] for case in cases}
    assert {name for name, good in verdicts.items() if good and not expected[name]} == set()
    refused = {name for name, good in verdicts.items() if expected[name] and not good}
    assert dict.fromkeys(refused, "refused") == documented("bssl-ocsp")


def is_accepted(case: dict[str, Any]) -> bool:
    (issuer,) = case["trusted"]
    (answer,) = case["ocsps"]
    try:
        question = OCSPQuestion(
            issuer=certificate(issuer), serial=certificate(case["leaf"]).serial_number
        )
        found = read_answer(
            base64.b64decode(answer),
            question,
            now=datetime.fromisoformat(case["time"]),
            # The suite brings no list in which the responder could be looked up.
            is_good=lambda _: True,
            max_age=MAX_AGE,
            strength=STRENGTH,
        )
    except ValueError:
        return False
    return found.status is OCSPStatus.GOOD


def certificate(encoded: str) -> x509.Certificate:
    return x509.load_der_x509_certificate(base64.b64decode(encoded))
