"""Object identifiers that the certificates of a card carry and the library has no name for."""

from cryptography.x509 import ObjectIdentifier

CARD_CATEGORY = ObjectIdentifier("1.2.250.1.71.1.2.5")
"""Table G01, one byte in an OCTET STRING: 00 card, 02 module, 03 software; 80, 82, 83 for tests."""
CARD_TYPE = ObjectIdentifier("1.2.250.1.71.1.2.2")
"""Table G02, INTEGER: 0 CPS, 1 CPF, 2 CPE, 3 CPA."""
TOKEN_ID = ObjectIdentifier("1.2.250.1.71.1.2.3")
"""PrintableString: the issuer's number, a slash, the card's ten digits."""
PROFESSION = ObjectIdentifier("1.2.250.1.71.1.2.7")
"""Table G15, INTEGER."""
FUTURE_PROFESSION = ObjectIdentifier("1.2.250.1.71.1.2.8")
"""Table G16, INTEGER: what the holder of a CPF is in training for. No sample was seen."""
SPECIALITIES = ObjectIdentifier("1.2.250.1.71.4.2.5")
"""Table R01, SEQUENCE OF UTF8String."""
TEST_POLICY = ObjectIdentifier("1.2.250.1.213.1.7.2.1.1.1.1")
"""The certificate policy of the agency's own test cards; the one of real cards is not published."""
USER_PRINCIPAL_NAME = ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
