import pytest
from cryptography import x509

from cps.issuer.extensions import UNKNOWN, AnyExtension, amended, critical, key_usage, plain

CONSTRAINTS = plain(x509.BasicConstraints(ca=False, path_length=None))
AUTHORITY = critical(x509.BasicConstraints(ca=True, path_length=None))
NUMBER = plain(x509.CRLNumber(1))
OTHER_NUMBER = plain(x509.CRLNumber(2))
UNKNOWN_PLAIN = plain(UNKNOWN)


@pytest.mark.parametrize(
    ("omitted", "replaced", "expected"),
    [
        pytest.param((), (), [CONSTRAINTS, NUMBER], id="as usual"),
        pytest.param((NUMBER.oid,), (), [CONSTRAINTS], id="omitted"),
        pytest.param((), (AUTHORITY,), [AUTHORITY, NUMBER], id="replaced in its place"),
        pytest.param((), (UNKNOWN_PLAIN,), [CONSTRAINTS, NUMBER, UNKNOWN_PLAIN], id="added"),
        pytest.param(
            (), (OTHER_NUMBER, NUMBER), [CONSTRAINTS, OTHER_NUMBER, NUMBER], id="one type twice"
        ),
        pytest.param(
            (NUMBER.oid,), (OTHER_NUMBER,), [CONSTRAINTS, OTHER_NUMBER], id="moved to the end"
        ),
    ],
)
def test_usual_extensions_are_amended(
    omitted: tuple[x509.ObjectIdentifier, ...],
    replaced: tuple[AnyExtension, ...],
    expected: list[AnyExtension],
) -> None:
    assert amended([CONSTRAINTS, NUMBER], omitted=omitted, replaced=replaced) == expected


def test_key_may_do_what_is_named_and_nothing_else() -> None:
    assert key_usage(digital_signature=True).public_bytes().hex() == "03020780"
    assert key_usage(content_commitment=True).public_bytes().hex() == "03020640"
    assert key_usage(key_encipherment=True).public_bytes().hex() == "03020520"
    assert key_usage(key_cert_sign=True, crl_sign=True).public_bytes().hex() == "03020106"


def test_only_the_critical_one_is_critical() -> None:
    assert [plain(UNKNOWN).critical, critical(UNKNOWN).critical] == [False, True]
