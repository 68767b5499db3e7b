"""The test hierarchy with all that it publishes, over real sockets, at the fixed clock."""

from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Self

from cps.issuer.hierarchy import Addresses
from cps.issuer.ocsp_answer import CertificateStatus
from cps.issuer.publication import LIST_TYPE, delta_path, list_path
from cps.issuer.responder import answer_request
from cps.issuer.server import OCSP_PATH, AuthorityServer, Document
from tests.support import pki
from tests.support.responder import faulty_responder, responder


class PublishedAuthority:
    """Root and intermediate of the tests with lists and OCSP on a real HTTP server.

    Use it in a ``with`` statement. It begins with empty lists, a delta list, and everything good.
    """

    def __init__(self, *, clock: Callable[[], datetime] = lambda: pki.NOW) -> None:
        ours = pki.hierarchy()
        self.documents: dict[str, Document] = {}
        """By path; what is not there is not found."""
        self.statuses: dict[int, CertificateStatus] = {}
        """What OCSP says, by serial number; what is not there is good."""
        self.responder = faulty_responder(self.statuses, clock=clock)
        """That of the intermediate, delegated; set its ``fault``."""
        self.root_responder = responder(self.statuses, authority=ours.root, clock=clock)
        """That of the root, which signs for itself."""
        self.server = AuthorityServer(self)
        """Set its ``faults`` by path; ``requests`` tells who asked for what."""
        self.root_list_path = list_path(ours.root.addresses)
        self.list_path = list_path(ours.intermediate.addresses)
        self.delta_path = delta_path(ours.intermediate.addresses)
        self.publish(self.root_list_path, pki.der(pki.crl(issuer=ours.root)))
        self.publish(self.list_path, pki.der(pki.crl()))
        self.publish(self.delta_path, pki.der(pki.delta_crl()))

    def publish(self, path: str, raw: bytes, *, modified: datetime = pki.NOW) -> None:
        """Put a list, right or wrong, under *path*."""
        self.documents[path] = Document(content=raw, media_type=LIST_TYPE, modified=modified)

    def url(self, path: str) -> str:
        """Return the address of a document."""
        return self.server.url + path

    @property
    def ocsp_url(self) -> str:
        """Return the address of both responders."""
        return self.url(OCSP_PATH)

    def addresses(self) -> Addresses:
        """Return addresses for certificates that point here."""
        return Addresses(
            crl=(self.url(self.list_path),),
            delta_crl=(self.url(self.delta_path),),
            ocsp=self.ocsp_url,
            certificate=self.url("/intermediate.cer"),
            policy=self.url("/policy"),
        )

    def document(self, path: str) -> Document | None:
        return self.documents.get(path)

    def answer(self, request: bytes) -> bytes:
        return answer_request(request, (self.responder, self.root_responder))

    def __enter__(self) -> Self:
        self.server.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.server.__exit__(kind, exc, traceback)
