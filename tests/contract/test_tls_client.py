"""TLS client authentication with our card, by programs that know nothing of us, through OpenSC.

Three TLS stacks sign a TLS 1.2 handshake with the authentication key: OpenSSL by the PKCS#11 engine
(``openssl s_client``, ``curl``), GnuTLS by p11-kit (``gnutls-cli``), and NSS, the one of browsers,
with OpenSC in its module list (``tstclnt``). Chromium itself was not driven: it asks for the PIN in
a window that its headless mode does not have, and chooses a certificate by itself only where a
policy file of the whole machine says so.

TLS 1.3 is not here: it wants PSS, which the authentication key of a CPS3 does not do. In TLS 1.2
OpenSSL prefers PSS too where both sides know it, so its configuration must name the algorithm.
"""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cps.issuer.commands import system_clock
from cps.simulator.image import CardImage
from cps.simulator.personalise import AUTHENTICATION_CERTIFICATE
from cps.virtual.hand import CardInHand
from tests.support import cards, pki
from tests.support.card_readers import ChangingCard
from tests.support.opensc import Tools, module, tools_for

pytestmark = pytest.mark.pcscd

SECONDS = 30
HOST = "localhost"
REQUEST = "GET / HTTP/1.0\r\n\r\n"
ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nwelcome"
TOKEN = "Code porteur de la carte CPS"
KEY_ID = bytes.fromhex("E828BD080F8025000001FF001002")
KEY = f"pkcs11:token={quote(TOKEN)};id=" + "".join(f"%{byte:02X}" for byte in KEY_ID)
ENGINE = "libpkcs11.so"
PROGRAMS = {
    "openssl": ("openssl", "libengine-pkcs11-openssl"),
    "curl": ("curl", "libengine-pkcs11-openssl"),
    "gnutls": ("gnutls-cli", "gnutls-bin"),
    "nss": ("tstclnt", "libnss3-tools"),
}


@dataclass(slots=True)
class Server:
    """A TLS 1.2 server that wants a certificate of the test authority from its clients."""

    folder: Path
    anchors: bytes
    seen: list[bytes] = field(default_factory=list)
    """The certificate of each client whose handshake was good, DER."""
    refused: list[str] = field(default_factory=list)
    """Why other handshakes failed."""
    port: int = 0

    @property
    def own_certificate(self) -> Path:
        """The file for clients to trust."""
        return self.folder / "server.pem"

    def serve(self, listening: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.own_certificate, self.folder / "server.key")
        context.load_verify_locations(cadata=self.anchors.decode("ascii"))
        context.verify_mode = ssl.CERT_REQUIRED
        while True:
            try:
                link, _ = listening.accept()
            except OSError:
                return
            link.settimeout(SECONDS)
            with link:
                self._answer(context, link)

    def _answer(self, context: ssl.SSLContext, link: socket.socket) -> None:
        try:
            with context.wrap_socket(link, server_side=True) as tls:
                certificate = tls.getpeercert(binary_form=True)
                assert certificate is not None
                self.seen.append(certificate)
                tls.recv(4096)
                tls.sendall(ANSWER)
                tls.unwrap()
        except OSError as exc:
            self.refused.append(str(exc))


@pytest.fixture
def server(tmp_path: Path, cps_card: CardInHand) -> Iterator[Server]:
    _write_server_certificate(tmp_path)
    authority = cps_card.authority.path
    anchors = b"".join(
        (authority / f"{name}.pem").read_bytes() for name in ("root", "intermediate")
    )
    server = Server(tmp_path, anchors)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server.port = listening.getsockname()[1]
        thread = threading.Thread(target=server.serve, args=(listening,))
        thread.start()
        yield server
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(SECONDS)


@pytest.fixture
def tools(card_in_reader: ChangingCard, tmp_path: Path, cps_card: CardInHand) -> Tools:
    """Give the programs and a card that is valid now, for they look at the clock."""
    tools = tools_for(card_in_reader, tmp_path)
    tools.image = CardImage.read(cps_card.path)
    tools.card.become(tools.image)
    certificate = x509.load_der_x509_certificate(tools.image.content(AUTHENTICATION_CERTIFICATE))
    (tmp_path / "card.pem").write_bytes(pki.pem(certificate))
    return tools


def _write_server_certificate(folder: Path) -> None:
    key, name = pki.key("tls server"), x509.Name.from_rfc4514_string(f"CN={HOST}")
    now = system_clock()
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    (folder / "server.pem").write_bytes(pki.pem(certificate))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "server.key").write_bytes(private)


def connect(name: str, tools: Tools, server: Server, pin: bytes) -> str:
    """Let one of the programs log in to the server, and return what it says that it received."""
    program, package = PROGRAMS[name]
    if shutil.which(program) is None or (
        name in ("openssl", "curl") and not any(Path("/usr/lib").glob(f"**/engines-3/{ENGINE}"))
    ):
        pytest.skip(f"{package} is not installed")
    run = {"openssl": _openssl, "curl": _curl, "gnutls": _gnutls, "nss": _nss}[name]
    done = subprocess.run(
        run(tools, server, pin),
        cwd=tools.folder,
        env=tools.environment | {"GNUTLS_PIN": pin.decode()},
        input=REQUEST,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.stdout + done.stderr


def _openssl(tools: Tools, server: Server, pin: bytes) -> list[str]:
    _configure_engine(tools, pin)
    address = ("-connect", f"{HOST}:{server.port}", "-4", "-tls1_2")
    trust = ("-CAfile", str(server.own_certificate), "-verify_return_error", "-quiet")
    return ["openssl", "s_client", *address, *trust, "-engine", "pkcs11", "-keyform", "engine",
            "-key", KEY, "-cert", "card.pem"]  # fmt: skip


def _curl(tools: Tools, server: Server, pin: bytes) -> list[str]:
    _configure_engine(tools, pin)
    card = ("--engine", "pkcs11", "--key-type", "ENG", "--key", KEY, "--cert", "card.pem")
    trust = ("--cacert", str(server.own_certificate), "--tls-max", "1.2", "-4")
    return ["curl", "--silent", "--show-error", *card, *trust, f"https://{HOST}:{server.port}/"]


def _gnutls(tools: Tools, server: Server, pin: bytes) -> list[str]:
    card = ("--provider", module(), "--x509keyfile", KEY + ";type=private")
    certificate = ("--x509certfile", KEY + ";type=cert")
    priority = "NORMAL:-VERS-ALL:+VERS-TLS1.2:-SIGN-ALL:+SIGN-RSA-SHA256"
    trust = ("--x509cafile", str(server.own_certificate), "--priority", priority)
    return ["gnutls-cli", *card, *certificate, *trust, "--port", str(server.port), HOST]


def _nss(tools: Tools, server: Server, pin: bytes) -> list[str]:
    database = f"sql:{tools.folder}"
    pins = tools.folder / "pin"
    pins.write_bytes(pin)
    tools.output("certutil", "-N", "-d", database, "--empty-password")
    tools.output("modutil", "-dbdir", database, "-add", "OpenSC", "-libfile", module(), "-force")
    own = str(server.own_certificate)
    tools.output("certutil", "-A", "-d", database, "-n", "server", "-t", "CT,,", "-i", own)
    card = ("-n", f"{TOKEN}:Certificat d'Authentification CPS", "-W", str(pins))
    request = tools.folder / "request"
    request.write_text(REQUEST)
    address = ("-4", "-h", HOST, "-p", str(server.port), "-V", "tls1.2:tls1.2")
    return ["tstclnt", "-d", database, *card, *address, "-A", str(request)]


def _configure_engine(tools: Tools, pin: bytes) -> None:
    """Tell OpenSSL where the card is, its PIN, and which algorithm it can do."""
    configuration = tools.folder / "openssl.cnf"
    configuration.touch(mode=0o600)
    configuration.write_text(
        "openssl_conf = all\n[all]\nengines = engines\nssl_conf = tls\n"
        "[engines]\npkcs11 = card\n"
        f"[card]\nengine_id = pkcs11\nMODULE_PATH = {module()}\nPIN = {pin.decode()}\ninit = 0\n"
        "[tls]\nsystem_default = defaults\n[defaults]\nSignatureAlgorithms = RSA+SHA256\n"
    )
    tools.environment["OPENSSL_CONF"] = str(configuration)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_card_authenticates_its_holder_to_a_server(
    tools: Tools, server: Server, program: str
) -> None:
    said = connect(program, tools, server, cards.PIN)

    assert "welcome" in said
    assert server.seen == [tools.image.content(AUTHENTICATION_CERTIFICATE)]
    assert tools.image.reference_data[0].tries_left == 3


@pytest.mark.parametrize("program", PROGRAMS)
def test_with_a_wrong_pin_nobody_is_let_in_and_a_try_is_gone(
    tools: Tools, server: Server, program: str
) -> None:
    said = connect(program, tools, server, cards.WRONG_PIN)

    assert "welcome" not in said
    assert server.seen == []
    assert tools.image.reference_data[0].tries_left < 3
