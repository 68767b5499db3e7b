import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.edge.tls import OneCertificate, PortalCertificates, tls_context
from gateway.errors import ConfigurationError
from gateway.settings import ListenSettings
from tests.support.server_certificate import write_server_files

ONE, TWO = "one.example", "two.example:8443"


def listen(folder: Path, name: str) -> ListenSettings:
    folder = folder / name
    folder.mkdir()
    files = write_server_files(folder, name)
    return ListenSettings(tls_certificate=files.certificate, tls_key=files.key)


def shown_for(server: ssl.SSLContext, name: str | None) -> tuple[bytes | None, ssl.SSLContext]:
    """Return the certificate that a browser sees, and the context that the server went on with."""
    client_context = ssl.create_default_context()
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, ours):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    return client.getpeercert(binary_form=True), ours.context


@pytest.fixture(scope="module")
def listens(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ListenSettings]:
    folder = tmp_path_factory.mktemp("tls")
    return {
        f"https://{ONE}": listen(folder, "one.example"),
        f"https://{TWO}": listen(folder, "two.example"),
    }


def der_of(settings: ListenSettings) -> bytes:
    assert settings.tls_certificate is not None
    return ssl.PEM_cert_to_DER_cert(settings.tls_certificate.read_text())


@pytest.mark.parametrize("name", ["one.example", "two.example", "TWO.example"])
def test_each_portal_shows_its_certificate(listens: dict[str, ListenSettings], name: str) -> None:
    certificates = PortalCertificates(listens)
    shown, context = shown_for(certificates.context, name)
    (settings,) = [each for origin, each in listens.items() if name.lower() in origin]
    assert shown == der_of(settings)
    assert [certificates.is_of(host, context) for host in (ONE, TWO)].count(True) == 1
    assert certificates.is_of(ONE if name == "one.example" else TWO, context)


@pytest.mark.parametrize("name", [None, "other.example", "xn--one.example", "one.example.other"])
def test_another_name_or_none_ends_the_handshake(
    listens: dict[str, ListenSettings], name: str | None
) -> None:
    with pytest.raises(ssl.SSLError, match=r"UNRECOGNIZED_NAME|callback"):
        shown_for(PortalCertificates(listens).context, name)


def test_portals_that_share_a_certificate_are_told_apart(
    listens: dict[str, ListenSettings],
) -> None:
    shared = listens[f"https://{ONE}"]
    certificates = PortalCertificates(dict.fromkeys(listens, shared))
    _, context = shown_for(certificates.context, "one.example")
    assert certificates.is_of(ONE, context)
    assert not certificates.is_of(TWO, context)
    assert not certificates.is_of("other.example", context)
    assert not certificates.is_of(ONE, certificates.context)


def test_a_renewed_certificate_is_taken_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    listens = {f"https://{name}": listen(tmp_path, name) for name in ("one.example", "two.example")}
    certificates = PortalCertificates(listens)
    one, two = (listens[f"https://{name}"] for name in ("one.example", "two.example"))
    before = der_of(one)
    write_server_files(tmp_path / "one.example", "one.example")
    assert two.tls_certificate is not None
    good = two.tls_certificate.read_bytes()
    two.tls_certificate.write_bytes(b"broken")
    with pytest.raises(ConfigurationError):
        certificates.reload()
    assert shown_for(certificates.context, "one.example")[0] == before
    two.tls_certificate.write_bytes(good)
    certificates.reload()
    assert shown_for(certificates.context, "one.example")[0] == der_of(one) != before


def test_every_portal_needs_a_certificate(listens: dict[str, ListenSettings]) -> None:
    with pytest.raises(ConfigurationError, match="missing for a portal"):
        PortalCertificates({**listens, "https://three.example": ListenSettings()})


def test_one_portal_has_no_tls_where_it_names_no_certificate() -> None:
    alone = OneCertificate(ListenSettings())
    assert alone.context is tls_context(ListenSettings()) is None
    alone.reload()
