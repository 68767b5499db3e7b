"""A gateway's settings with addresses of revocation data, and the files its refresher leaves."""

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from cryptography import x509

from gateway.settings import Settings
from gateway.trust.crl import RevocationLists
from gateway.trust.list_entries import Reason
from gateway.trust.revocation_list import RevocationList
from gateway.trust.revocation_memory import KeptAnswer, KeptRevocation, owner_of
from gateway.trust.revocation_places import ListSlot, RevocationPlaces, list_slots
from gateway.trust.serial_table import SerialTable, encode_serial
from gateway.trust.store import TrustStore
from gateway.trust.table_file import TableFile
from tests.support import pki

CARDS = "http://lists.example/cards.crl"
CARDS_DELTA = "http://lists.example/cards-delta.crl"
AUTHORITIES = "http://lists.example/authorities.crl"
RESPONDER = "http://ocsp.example/"


class RevocationFolder:
    """One gateway of our hierarchy: its settings, and its files in a folder."""

    def __init__(
        self,
        folder: Path,
        *,
        cards: Iterable[str] = (CARDS,),
        delta: Iterable[str] = (CARDS_DELTA,),
        authorities: Iterable[str] = (AUTHORITIES,),
        ocsp: Iterable[str] = (RESPONDER,),
        root_ocsp: Iterable[str] = (),
        more: Mapping[str, object] | None = None,
        nonce: str = "required",
        designated: Iterable[x509.Certificate] = (),
        files: Iterable[Path] = (),
    ) -> None:
        ours = pki.hierarchy()
        for name, authority in (("root", ours.root), ("middle", ours.intermediate)):
            (folder / f"{name}.pem").write_bytes(pki.pem(authority.certificate))
        responders = []
        for number, certificate in enumerate(designated):
            responders.append(folder / f"responder-{number}.pem")
            responders[-1].write_bytes(pki.pem(certificate))
        tables = (
            {
                "authority": folder / "middle.pem",
                "crl": list(cards),
                "delta": list(delta),
                "ocsp": list(ocsp),
                "ocsp_nonce": nonce,
                "ocsp_responders": responders,
            },
            {
                "authority": folder / "root.pem",
                "crl": list(authorities),
                "delta": [],
                "ocsp": list(root_ocsp),
            },
        )
        (folder / "state").mkdir(mode=0o700, exist_ok=True)
        self.settings = Settings.model_validate(
            {
                "environment": "test",
                "state_dir": folder / "state",
                "portal": {
                    "origin": "https://portal.example",
                    "upstream": "http://127.0.0.1:8000",
                    "label": "Portail",
                },
                "trust": {
                    "anchors": [folder / "root.pem"],
                    "intermediates": [folder / "middle.pem"],
                    "crls": list(files),
                    "revocation": [
                        table for table in tables if table["crl"] or table["delta"] or table["ocsp"]
                    ],
                    **(more or {}),
                },
            }
        )
        self.store = TrustStore.load(self.settings.trust, "test", pki.NOW)
        self.places = RevocationPlaces.of(self.settings)
        self.places.folder.mkdir(mode=0o700, exist_ok=True)

    def slot(self, label: str) -> ListSlot:
        """Return the list with that first address, or in that file."""
        slots = list_slots(self.settings.trust, self.store)
        return next(slot for slot in slots if slot.label == label)

    def put(self, label: str, crl: RevocationList | bytes) -> None:
        """Leave the table of a list, as the refresher does, or other bytes in its place."""
        path = self.places.table(self.slot(label).name)
        if isinstance(crl, bytes):
            path.write_bytes(crl)
        else:
            crl.to_file(1).write(path)

    def put_answers(self, answers: Mapping[int, KeptAnswer]) -> None:
        """Leave what the responder said of our cards, by serial number."""
        records = [encode_serial(serial) + each.encode() for serial, each in answers.items()]
        table = SerialTable.of(records, value_bytes=KeptAnswer.VALUE_BYTES)
        owner = owner_of(pki.hierarchy().intermediate.certificate)
        TableFile(about={}, tables={owner: table}).write(self.places.answers)

    def put_revoked(self, *serials: int) -> None:
        """Leave what was once revoked of our cards."""
        value = KeptRevocation(reason=Reason.SUPERSEDED, kept_since=pki.NOW).encode()
        table = SerialTable.of(
            [encode_serial(serial) + value for serial in serials], value_bytes=len(value)
        )
        owner = owner_of(pki.hierarchy().intermediate.certificate)
        TableFile(about={}, tables={owner: table}).write(self.places.revoked)

    def beat(self, moment: datetime = pki.NOW) -> None:
        """Leave the refresher's sign of life."""
        self.places.pulse.touch()
        os.utime(self.places.pulse, (moment.timestamp(), moment.timestamp()))

    def follow(self, now: datetime = pki.NOW) -> RevocationLists:
        """Return what logins use."""
        return RevocationLists.follow(self.settings, self.store, now)
