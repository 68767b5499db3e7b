"""A certificate for a TLS server, with its key, made when it is needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.clock import system_clock

PEM = serialization.Encoding.PEM


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFiles:
    """Where certificate and key are."""

    certificate: Path
    key: Path
    locked_key: Path
    """The same key, behind a password."""


def write_server_files(folder: Path, host: str, addresses: Sequence[str] = ()) -> ServerFiles:
    """Make a certificate that a server of that name shows, signed by itself.

    :param addresses: IP addresses at which it is found too.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = system_clock()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName(host), *(x509.IPAddress(ip_address(each)) for each in addresses)]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    files = ServerFiles(
        certificate=folder / "cert.pem", key=folder / "key.pem", locked_key=folder / "locked.pem"
    )
    files.certificate.write_bytes(certificate.public_bytes(PEM))
    for file, encryption in (
        (files.key, serialization.NoEncryption()),
        (files.locked_key, serialization.BestAvailableEncryption(b"password")),
    ):
        file.touch(mode=0o600)
        file.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, encryption))
    return files
