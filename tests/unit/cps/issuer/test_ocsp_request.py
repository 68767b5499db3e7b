import hashlib
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import given, settings
from hypothesis import strategies as st

from cps.issuer import der
from cps.issuer.ocsp_request import (
    MAX_CERTIFICATES,
    MAX_NONCE_BYTES,
    MAX_REQUEST_BYTES,
    parse_request,
)
from tests.support import pki
from tests.support.responder import NONCE, question

SHA1 = der.sequence(der.object_identifier("1.3.14.3.2.26"), der.null())
SERVICE_LOCATOR = "1.3.6.1.5.5.7.48.1.7"


def wanted(serial: int = 5, *, extensions: bytes = b"", algorithm: bytes = SHA1) -> bytes:
    cert_id = der.sequence(
        algorithm,
        der.octet_string(bytes(20)),
        der.octet_string(bytes(20)),
        der.integer(serial),
    )
    return der.sequence(cert_id, extensions)


def extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    return der.sequence(
        der.object_identifier(oid), der.true() if critical else b"", der.octet_string(value)
    )


def nonce(value: bytes, *, critical: bool = False) -> bytes:
    return extension("1.3.6.1.5.5.7.48.1.2", value, critical=critical)


def request(
    *certificates: bytes,
    version: bytes = b"",
    requestor: bytes = b"",
    extensions: tuple[bytes, ...] = (),
    signature: bytes = b"",
) -> bytes:
    return der.sequence(
        der.sequence(
            version,
            requestor,
            der.sequence(*(certificates or (wanted(),))),
            der.explicit(2, der.sequence(*extensions)) if extensions else b"",
        ),
        signature,
    )


@pytest.mark.parametrize(
    "algorithm",
    [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()],  # noqa: S303
    ids=lambda algorithm: algorithm.name,
)
def test_issuer_is_found_by_the_hashes_of_any_usual_algorithm(
    algorithm: hashes.HashAlgorithm,
) -> None:
    leaf = pki.leaf()
    [cert_id] = parse_request(question(leaf, algorithm=algorithm)).cert_ids
    assert cert_id.serial == leaf.serial_number
    assert cert_id.is_issued_by(pki.hierarchy().intermediate.certificate)
    assert not cert_id.is_issued_by(pki.hierarchy().root.certificate)


def test_sibling_with_the_same_name_and_another_key_is_not_the_issuer() -> None:
    [cert_id] = parse_request(question(pki.leaf())).cert_ids
    assert not cert_id.is_issued_by(pki.sibling_intermediate().certificate)


def test_hash_that_is_not_known_finds_nobody() -> None:
    md5 = der.sequence(der.object_identifier("1.2.840.113549.2.5"), der.null())
    [cert_id] = parse_request(request(wanted(algorithm=md5))).cert_ids
    assert not cert_id.is_issued_by(pki.hierarchy().intermediate.certificate)


def test_identifier_is_sent_back_as_it_came() -> None:
    # Some clients leave the parameters of the hash out.
    bare = der.sequence(der.object_identifier("1.3.14.3.2.26"))
    for algorithm in (SHA1, bare):
        raw = wanted(algorithm=algorithm)
        [cert_id] = parse_request(request(raw)).cert_ids
        assert der.sequence(cert_id.encode()) == raw


def test_several_certificates_can_be_asked_for() -> None:
    read = parse_request(request(wanted(1), wanted(2)))
    assert [cert_id.serial for cert_id in read.cert_ids] == [1, 2]


def test_nonce_is_kept_in_its_wrapping() -> None:
    assert parse_request(question(pki.leaf())).nonce == der.octet_string(NONCE)
    assert parse_request(question(pki.leaf(), nonce=None)).nonce is None


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(request(version=der.explicit(0, der.integer(0))), id="version said"),
        pytest.param(request(requestor=der.explicit(1, der.null())), id="requestor's name"),
        pytest.param(request(signature=der.explicit(0, der.sequence())), id="signature"),
        pytest.param(
            request(
                wanted(extensions=der.explicit(0, der.sequence(extension(SERVICE_LOCATOR, b""))))
            ),
            id="service locator",
        ),
        pytest.param(
            request(extensions=(nonce(der.octet_string(b"n"), critical=True),)), id="critical nonce"
        ),
        pytest.param(
            request(extensions=(nonce(der.octet_string(bytes(MAX_NONCE_BYTES))),)), id="long nonce"
        ),
        pytest.param(request(*(wanted(),) * MAX_CERTIFICATES), id="many certificates"),
    ],
)
def test_what_the_standard_allows_is_read(raw: bytes) -> None:
    assert parse_request(raw).cert_ids[0].serial == 5


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        pytest.param(b"", "no tag", id="nothing"),
        pytest.param(b"GET /", "length", id="not DER"),
        pytest.param(request() + b"\x00", "behind", id="trailing byte"),
        pytest.param(bytes(MAX_REQUEST_BYTES + 1), "more than", id="too long"),
        pytest.param(der.null(), "tag 5", id="no sequence"),
        pytest.param(der.sequence(), "perhaps its signature", id="empty"),
        pytest.param(der.sequence(der.sequence()), "list of certificates", id="no list"),
        pytest.param(
            request(version=der.explicit(0, der.integer(1))), "version 1", id="other version"
        ),
        pytest.param(
            der.sequence(der.sequence(der.sequence())), "1 to 32 certificates", id="empty list"
        ),
        pytest.param(
            request(*(wanted(),) * (MAX_CERTIFICATES + 1)), "1 to 32", id="too many certificates"
        ),
        pytest.param(request(der.sequence(der.sequence())), "two hashes", id="empty identifier"),
        pytest.param(request(der.null()), "tag 5", id="no identifier"),
        pytest.param(
            request(wanted(algorithm=der.sequence())), "hash algorithm", id="no algorithm"
        ),
        pytest.param(request(extensions=(nonce(b""),)), "no tag", id="nonce without wrapping"),
        pytest.param(
            request(extensions=(nonce(der.integer(5)),)), "OCTET STRING", id="nonce is a number"
        ),
        pytest.param(
            request(extensions=(nonce(der.octet_string(b"")),)), "1 to 128", id="empty nonce"
        ),
        pytest.param(
            request(extensions=(nonce(der.octet_string(bytes(MAX_NONCE_BYTES + 1))),)),
            "1 to 128",
            id="nonce too long",
        ),
        pytest.param(
            request(extensions=(nonce(der.octet_string(b"a")), nonce(der.octet_string(b"b")))),
            "stands twice",
            id="two nonces",
        ),
        pytest.param(
            request(extensions=(extension(SERVICE_LOCATOR, b"", critical=True),)),
            "critical",
            id="unknown critical extension",
        ),
        pytest.param(
            request(extensions=(der.sequence(der.null()),)), "an extension", id="no extension"
        ),
    ],
)
def test_what_is_no_request_is_refused(raw: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_request(raw)


@cache
def good() -> bytes:
    return question(pki.leaf())


@given(place=st.floats(0, 1, exclude_max=True))
@settings(max_examples=50)
def test_truncated_request_is_refused(place: float) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any complaint will do
        parse_request(good()[: int(place * len(good()))])


@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
@settings(max_examples=100)
def test_changed_request_is_read_or_refused_but_nothing_else(place: float, value: int) -> None:
    at = int(place * len(good()))
    raw = good()[:at] + bytes((value,)) + good()[at + 1 :]
    try:
        read = parse_request(raw)
    except ValueError:
        return
    [cert_id] = read.cert_ids
    assert cert_id.is_issued_by(pki.hierarchy().intermediate.certificate) in (True, False)


def test_name_hash_is_over_the_name_in_der() -> None:
    issuer = pki.hierarchy().intermediate.certificate
    [cert_id] = parse_request(question(pki.leaf(), algorithm=hashes.SHA256())).cert_ids
    assert cert_id.name_hash == hashlib.sha256(issuer.subject.public_bytes()).digest()
    key = x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()).digest
    [by_sha1] = parse_request(question(pki.leaf())).cert_ids
    assert by_sha1.key_hash == key
