"""The two levels above a card: a root and an intermediate shaped like those of the IGC-Santé."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, unique
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import AuthorityInformationAccessOID as AccessMethod
from cryptography.x509.oid import CertificatePoliciesOID, NameOID

from cps.issuer.extensions import key_usage

AUTHORITY_KEY_BITS = 4096
AUTHORITY_YEARS = 20
PUBLIC_EXPONENT = 65537


@unique
class Gamme(Enum):
    """The three families of the hierarchy; the value is the code in published file names."""

    ELEMENTAIRE = "EL"
    STANDARD = "ST"
    FORT = "FO"


@unique
class Population(Enum):
    """Whom an intermediate certifies; the value is the code in published file names."""

    PERSONNES = "PP"
    ORGANISATIONS = "ORG"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where an authority publishes what its certificates point to."""

    crl: tuple[str, ...]
    delta_crl: tuple[str, ...]
    ocsp: str
    certificate: str
    policy: str

    def crl_distribution_points(self) -> x509.CRLDistributionPoints:
        """Return the extension that names each place of the complete list."""
        return x509.CRLDistributionPoints([_distribution_point(url) for url in self.crl])

    def freshest_crl(self) -> x509.FreshestCRL:
        """Return the extension that names each place of the delta list."""
        return x509.FreshestCRL([_distribution_point(url) for url in self.delta_crl])

    def authority_information_access(self) -> x509.AuthorityInformationAccess:
        """Return the extension that names the OCSP responder and the issuer's certificate."""
        return x509.AuthorityInformationAccess(
            [
                x509.AccessDescription(
                    AccessMethod.OCSP, x509.UniformResourceIdentifier(self.ocsp)
                ),
                x509.AccessDescription(
                    AccessMethod.CA_ISSUERS, x509.UniformResourceIdentifier(self.certificate)
                ),
            ]
        )

    def certificate_policies(self, policy: x509.ObjectIdentifier) -> x509.CertificatePolicies:
        """Return the extension that names *policy* and where its text is."""
        return x509.CertificatePolicies([x509.PolicyInformation(policy, [self.policy])])


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityNames:
    """The words in the names of a hierarchy.

    The defaults cannot be mistaken for the national authorities. Only a test of a gateway that
    must refuse a test card under innocent names has a reason to change them.
    """

    organisation: str = "PASSERELLE CPS TEST"
    registration: str = "0002 000000000"
    """The first OU; behind ``0002`` stands a SIREN number in the real names."""
    unit: str = "SIMULATEUR"
    prefix: str = "TEST "
    """What every common name begins with."""
    gamme: Gamme = Gamme.FORT
    population: Population = Population.PERSONNES
    host: str = "igc-simulateur.localhost"
    """The host of every address in the certificates."""

    @property
    def root_common_name(self) -> str:
        """Return the CN of the root."""
        return f"{self.prefix}AC RACINE {self.unit} {self.gamme.name}"

    @property
    def intermediate_common_name(self) -> str:
        """Return the CN of the intermediate."""
        return f"{self.prefix}AC {self.unit} {self.gamme.name} {self.population.name}"

    def root(self) -> x509.Name:
        """Return the whole name of the root."""
        return self._name(self.root_common_name)

    def intermediate(self) -> x509.Name:
        """Return the whole name of the intermediate."""
        return self._name(self.intermediate_common_name)

    def root_addresses(self) -> Addresses:
        """Return where the root publishes."""
        return self._addresses(f"ACR-{self.gamme.value}", [f"CN={self.root_common_name}"])

    def intermediate_addresses(self) -> Addresses:
        """Return where the intermediate publishes."""
        return self._addresses(
            f"ACI-{self.gamme.value}-{self.population.value}",
            [f"cn={self.intermediate_common_name}", f"ou={self.root_common_name}"],
        )

    def _name(self, common_name: str) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.organisation),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, self.registration),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, self.unit),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )

    def _addresses(self, file: str, entry: list[str]) -> Addresses:
        mark = self.prefix.strip()
        file = f"{file}-{mark}" if mark else file
        folder = quote(f" {mark}".rstrip())
        entry = [*entry, f"ou={self.unit}", f"ou={self.registration}", f"o={self.organisation}"]
        directory = f"ldap://{self.host}/{quote(','.join(entry), safe=',=')},c=FR"
        scope = "binary?base?objectClass=pkiCA"
        return Addresses(
            crl=(
                f"http://{self.host}/CRL/{file}.crl",
                f"{directory}?certificaterevocationlist;{scope}",
            ),
            delta_crl=(f"{directory}?deltarevocationlist;{scope}",),
            ocsp=f"http://ocsp.{self.host}",
            certificate=f"http://{self.host}/AC{folder}/{file}.cer",
            policy=f"http://{self.host}/PC{folder}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate authority that can sign."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey
    addresses: Addresses

    def key_identifier(self) -> x509.AuthorityKeyIdentifier:
        """Return the extension by which what is signed here points to this key."""
        return authority_key_identifier(self.certificate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchy:
    """A root and the intermediate under it, which signs the cards' certificates."""

    root: Authority
    intermediate: Authority


@dataclass(frozen=True, slots=True, kw_only=True)
class HierarchyKeys:
    """Keys made beforehand; tests use shorter ones than the real authorities have."""

    root: rsa.RSAPrivateKey
    intermediate: rsa.RSAPrivateKey


def create_hierarchy(
    *,
    now: datetime,
    names: AuthorityNames | None = None,
    keys: HierarchyKeys | None = None,
) -> Hierarchy:
    """Return a new root with one intermediate under it.

    :param now: aware; both certificates are valid from then on, for 20 years.
    :param names: those of the simulator where absent.
    :param keys: two new keys of 4096 bits where absent, which takes seconds.
    """
    names = names or AuthorityNames()
    keys = keys or HierarchyKeys(root=_generate_key(), intermediate=_generate_key())
    root = create_root(now=now, names=names, key=keys.root)
    return Hierarchy(
        root=root,
        intermediate=create_intermediate(root, now=now, names=names, key=keys.intermediate),
    )


def create_root(*, now: datetime, names: AuthorityNames, key: rsa.RSAPrivateKey) -> Authority:
    """Return a self-signed authority.

    :param now: aware; the certificate is valid from then on, for 20 years.
    """
    name = names.root()
    addresses = names.root_addresses()
    builder = (
        _authority_builder(name, key, now, path_length=None)
        .issuer_name(name)
        .add_extension(
            addresses.certificate_policies(CertificatePoliciesOID.ANY_POLICY), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
        )
    )
    return Authority(certificate=builder.sign(key, hashes.SHA256()), key=key, addresses=addresses)


def create_intermediate(
    root: Authority, *, now: datetime, names: AuthorityNames, key: rsa.RSAPrivateKey
) -> Authority:
    """Return an authority for cards, certified by *root*.

    :param now: aware; the certificate is valid from then on, for 20 years.
    """
    addresses = names.intermediate_addresses()
    builder = (
        _authority_builder(names.intermediate(), key, now, path_length=0)
        .issuer_name(root.certificate.subject)
        .add_extension(
            addresses.certificate_policies(CertificatePoliciesOID.ANY_POLICY), critical=False
        )
        .add_extension(root.addresses.crl_distribution_points(), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(root.key_identifier(), critical=False)
    )
    return Authority(
        certificate=builder.sign(root.key, hashes.SHA256()), key=key, addresses=addresses
    )


def authority_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """Return the extension that points to the key of *issuer*.

    :raises ExtensionNotFound: where *issuer* has no subject key identifier.
    """
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value)


def years_later(moment: datetime, years: int) -> datetime:
    """Return the same second of the same day *years* later, 28 February for the 29th."""
    try:
        return moment.replace(year=moment.year + years)
    except ValueError:
        return moment.replace(year=moment.year + years, day=28)


def _authority_builder(
    subject: x509.Name, key: rsa.RSAPrivateKey, now: datetime, *, path_length: int | None
) -> x509.CertificateBuilder:
    start = now.replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(_authority_serial())
        .not_valid_before(start)
        .not_valid_after(years_later(start, AUTHORITY_YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(key_usage(key_cert_sign=True, crl_sign=True), critical=True)
    )


def _authority_serial() -> int:
    # The real authorities have serial numbers of 18 bytes that all begin with 1120.
    return int.from_bytes(b"\x11\x20" + secrets.token_bytes(16), "big")


def _generate_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(PUBLIC_EXPONENT, AUTHORITY_KEY_BITS)


def _distribution_point(url: str) -> x509.DistributionPoint:
    return x509.DistributionPoint(
        full_name=[x509.UniformResourceIdentifier(url)],
        relative_name=None,
        reasons=None,
        crl_issuer=None,
    )
