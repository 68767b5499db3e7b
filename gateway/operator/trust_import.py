"""Take authorities' certificates from files that came from elsewhere, and only those to trust."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.errors import GatewayError
from gateway.trust.certificate import load_certificate
from gateway.trust.national import NationalAuthority, fingerprint, national_authority
from gateway.trust.store import Environment, is_issued_by, is_named_test, require_authority

MAX_FILE_BYTES = 1024 * 1024
"""All nine national authorities have 16 kB together."""
MAX_FILES = 200
"""Of one folder."""
SUFFIXES = frozenset({".cer", ".crt", ".der", ".pem"})
"""What is looked at in a folder."""
_PEM_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class ImportRefusedError(GatewayError):
    """Nothing was imported."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A certificate that was found in a file."""

    file: Path
    certificate: x509.Certificate

    @property
    def sha256(self) -> str:
        """Return its fingerprint, in small hexadecimal letters."""
        return fingerprint(self.certificate)

    @property
    def known(self) -> NationalAuthority | None:
        """Return which national authority it is."""
        return national_authority(self.certificate)

    @property
    def is_root(self) -> bool:
        """Return whether it signed itself."""
        return is_issued_by(self.certificate, self.certificate)

    @property
    def file_name(self) -> str:
        """Return the name that the certificate gets, the same for the same certificate."""
        names = self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        common = str(names[-1].value) if names else "authority"
        slug = re.sub(r"[^a-z0-9]+", "-", common.lower()).strip("-")[:60]
        return f"{slug or 'authority'}-{self.sha256[:8]}.pem"


def read_candidates(paths: Sequence[Path]) -> list[Candidate]:
    """Return every certificate in *paths*, each once, in the order of the paths.

    :param paths: files in DER or PEM, of one certificate or several, and folders of such files.
    :raises ImportRefusedError: where one cannot be read, or there is none.
    """
    found: dict[str, Candidate] = {}
    for file in _files(paths):
        for der in _certificates(file):
            try:
                certificate = load_certificate(der)
            except ValueError as exc:
                raise ImportRefusedError(f"{file}: {exc}") from exc
            candidate = Candidate(file=file, certificate=certificate)
            found.setdefault(candidate.sha256, candidate)
    if not found:
        raise ImportRefusedError("no certificate found")
    return list(found.values())


def require_acceptable(
    candidates: Sequence[Candidate],
    *,
    accepted: Collection[str],
    environment: Environment,
    now: datetime,
) -> None:
    """Refuse unless every one is an authority that may be trusted.

    :param accepted: fingerprints that the operator compared with a source of their own: whatever
        is no national authority must be among them.
    :param environment: only ``test`` takes authorities that are named TEST.
    :param now: aware UTC.
    :raises ImportRefusedError: with a line for each that cannot be taken.
    """
    faults = [
        f"{each.file}: {fault}"
        for each in candidates
        if (fault := _fault(each, accepted, environment, now)) is not None
    ]
    faults += [
        f"no certificate found with the fingerprint {sha256}"
        for sha256 in sorted(set(accepted) - {each.sha256 for each in candidates})
    ]
    if faults:
        raise ImportRefusedError("\n".join(faults))


def write_authorities(candidates: Sequence[Candidate], folder: Path) -> list[Path]:
    """Write each certificate into *folder*, as PEM under a name of its own.

    :param folder: made where it is missing; its parent must exist.
    :returns: the files, in the order of *candidates*.
    :raises ImportRefusedError: where a file cannot be written.
    """
    written = []
    try:
        folder.mkdir(mode=0o755, exist_ok=True)
        for each in candidates:
            file = folder / each.file_name
            draft = file.with_suffix(".draft")
            draft.write_bytes(each.certificate.public_bytes(Encoding.PEM))
            draft.chmod(0o644)
            draft.replace(file)
            written.append(file)
    except OSError as exc:
        raise ImportRefusedError(f"{folder} cannot be written: {exc.strerror}") from exc
    return written


def parse_fingerprint(text: str) -> str:
    """Return a SHA-256 as small hexadecimal letters, from the ways in which it is printed.

    :raises ValueError: where it is none.
    """
    plain = text.replace(":", "").replace(" ", "").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", plain):
        raise ValueError(f"{text!r} is not a SHA-256 fingerprint of 64 hexadecimal digits")
    return plain


def _fault(
    candidate: Candidate, accepted: Collection[str], environment: Environment, now: datetime
) -> str | None:
    certificate = candidate.certificate
    try:
        require_authority(certificate)
    except ValueError as exc:
        return str(exc)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        return "outside its validity"
    if environment == "production" and is_named_test(certificate.subject):
        return "a TEST authority: only with --environment test, for a gateway that is no other"
    if candidate.known is None and candidate.sha256 not in accepted:
        return (
            "not one of the national authorities: compare the fingerprint with its publisher's, "
            f"then add --accept-unknown {candidate.sha256}"
        )
    return None


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        files = sorted(each for each in path.iterdir() if each.suffix.lower() in SUFFIXES)
        if len(files) > MAX_FILES:
            raise ImportRefusedError(f"{path}: more than {MAX_FILES} files")
        yield from files


def _certificates(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise ImportRefusedError(f"{file} cannot be read: {exc.strerror}") from exc
    if len(raw) > MAX_FILE_BYTES:
        raise ImportRefusedError(f"{file}: larger than {MAX_FILE_BYTES} bytes")
    if b"-----BEGIN" not in raw:
        yield raw
        return
    for block in _PEM_BLOCK.findall(raw):
        try:
            yield x509.load_pem_x509_certificate(block).public_bytes(Encoding.DER)
        except (ValueError, x509.InvalidVersion) as exc:
            raise ImportRefusedError(f"{file}: {exc}") from exc
