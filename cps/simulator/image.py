"""One card as it is kept on disk: files, PINs with their counters, keys.

The image is the chip's durable memory. Opened from its file, it belongs to one process until it
is closed, and each :meth:`CardImage.commit` is on the disk before it returns: killing the process
never gives a PIN try back.
"""

import base64
import binascii
import json
import os
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from cps.atr import CardType
from cps.errors import CardBusyError, CardDataError

FORMAT = "cps-card:1"
MAX_IMAGE_BYTES = 1_000_000
MAX_TRIES = 15
"""The status word 63Cx has four bits for them."""
MAX_USES = 0xFFFF
"""The card tells them in two bytes."""
LOCK_SUFFIX = ".lock"


@dataclass(slots=True, kw_only=True)
class FileImage:
    """One file of the card: dedicated where it has no content, else elementary."""

    path: bytes
    """File identifiers from the MF down, two bytes each, 3F00 first."""
    content: bytes | None = None
    """``None`` for a dedicated file."""
    aid: bytes | None = None
    """Only a dedicated file has one."""
    sfi: int | None = None
    """Short file identifier, 1 to 30."""
    contact: bytes
    """Six access conditions by contact: delete, terminate, activate, deactivate, update, read."""
    contactless: bytes
    """The same by radio."""

    @property
    def fid(self) -> bytes:
        """Return the file's own identifier, two bytes."""
        return self.path[-2:]


@dataclass(slots=True, kw_only=True)
class ReferenceData:
    """A PIN or a PUK and how often it may still be tried."""

    reference: int
    digits: bytes = field(repr=False)
    """ASCII digits, without padding."""
    tries_maximum: int
    tries_left: int
    uses_left: int | None = None
    """How often it may still be verified; ``None`` for ever."""
    length: int
    """How many digits a new value has."""
    access: bytes
    """Five access conditions: change, verify, reset the counter, put, get."""


@dataclass(slots=True, kw_only=True)
class KeyImage:
    """A private key and what may be done with it."""

    dfs: list[bytes]
    """The paths of the dedicated files it is found from."""
    reference: int
    private_key: rsa.RSAPrivateKey = field(repr=False)
    contact: bytes
    """Six access conditions by contact: sign, authenticate, decipher, generate, put, get."""
    contactless: bytes
    """The same by radio."""


@dataclass(slots=True, kw_only=True)
class CardImage:
    """What one card is; changes are durable where it was opened from its file."""

    card: CardType
    files: list[FileImage]
    cps2ter: list[FileImage]
    """The files of class A0, a tree of their own."""
    reference_data: list[ReferenceData]
    keys: list[KeyImage]
    _path: Path | None = field(default=None, init=False, repr=False)
    _lock: int | None = field(default=None, init=False, repr=False)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Return the card in *path*, which no other process can open until :meth:`close`.

        :raises CardBusyError: where another process, or another image here, has it open.
        :raises CardDataError: where the file is no card.
        :raises OSError: where it cannot be read.
        """
        # Under another name it is the same card: the lock must be the same, too.
        path = path.resolve()
        lock = _lock(path)
        try:
            _clear_drafts(path)
            image = cls.read(path)
        except BaseException:
            os.close(lock)
            raise
        image._path = path
        image._lock = lock
        return image

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the card in *path* as it is now; what is done to it is not kept.

        :raises CardDataError: where the file is no card.
        :raises OSError: where it cannot be read.
        """
        with path.open("rb") as file:
            raw = file.read(MAX_IMAGE_BYTES + 1)
        if len(raw) > MAX_IMAGE_BYTES:
            raise CardDataError(f"{path}: more than {MAX_IMAGE_BYTES} bytes")
        try:
            return cls._decode(json.loads(raw))
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            OverflowError,  # JSON of Python knows an infinite number
            RecursionError,
            UnsupportedAlgorithm,
        ):
            # The cause is left out: its text may quote the PIN.
            raise CardDataError(f"{path}: not a card of format {FORMAT}") from None

    def content(self, path: bytes) -> bytes:
        """Return the content of the elementary file *path*.

        :raises LookupError: where there is none.
        """
        for file in self.files:
            if file.path == path and file.content is not None:
                return file.content
        raise LookupError(f"no elementary file {path.hex().upper()}")

    def copy(self) -> "CardImage":
        """Return the same card in memory: what is done to the copy is not kept."""
        return CardImage(
            card=self.card,
            files=[replace(file) for file in self.files],
            cps2ter=[replace(file) for file in self.cps2ter],
            reference_data=[replace(entry) for entry in self.reference_data],
            keys=[replace(key) for key in self.keys],
        )

    def write(self, path: Path) -> None:
        """Write the card to the new file *path*, readable by its owner alone.

        :raises FileExistsError: where *path* is taken.
        """
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.close(descriptor)
        _replace(path, self._encode())

    def commit(self) -> None:
        """Put what has changed on the disk; an image that was not opened from a file keeps nothing.

        :raises OSError: where the disk refuses, or the image was closed; the file is unchanged.
        """
        if self._path is None:
            return
        if self._lock is None:
            raise OSError("the card was closed")
        _replace(self._path, self._encode())

    def delete(self) -> None:
        """Delete the card's file, for good, and close it.

        :raises OSError: where it is not open, or cannot be deleted.
        """
        if self._path is None or self._lock is None:
            raise OSError("the card is not open")
        self._path.unlink()
        self._path.with_name(self._path.name + LOCK_SUFFIX).unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let other processes open the card; safe to call twice."""
        if self._lock is not None:
            os.close(self._lock)
        self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @classmethod
    def _decode(cls, document: dict[str, Any]) -> Self:
        if document["format"] != FORMAT:
            raise ValueError("another format")
        return cls(
            card=CardType(document["card"]),
            files=[_file(entry) for entry in document["files"]],
            cps2ter=[_file(entry) for entry in document["cps2ter"]],
            reference_data=[_reference_data(entry) for entry in document["reference_data"]],
            keys=[_key(entry) for entry in document["keys"]],
        )

    def _encode(self) -> bytes:
        document = {
            "format": FORMAT,
            "card": self.card.value,
            "files": [_file_entry(file) for file in self.files],
            "cps2ter": [_file_entry(file) for file in self.cps2ter],
            "reference_data": [_reference_entry(entry) for entry in self.reference_data],
            "keys": [_key_entry(key) for key in self.keys],
        }
        return json.dumps(document, indent=1).encode("ascii") + b"\n"


def _lock(path: Path) -> int:
    # Only here: Windows, where no software card can run, has no such module.
    import fcntl

    # The card's own file is replaced by each commit, so the lock needs a file that stays.
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such card")
    lock = path.with_name(path.name + LOCK_SUFFIX)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        os.close(descriptor)
        raise CardBusyError(f"{path}: another process runs this card") from exc
    if not _is_still_there(lock, descriptor) or not path.exists():
        # Whoever held it a moment ago deleted the card.
        os.close(descriptor)
        raise FileNotFoundError(f"{path}: there is no such card")
    return descriptor


def _is_still_there(path: Path, descriptor: int) -> bool:
    """Return whether *path* is the file that *descriptor* was opened on."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _clear_drafts(path: Path) -> None:
    """Delete what killed processes left of commits: each draft has the PIN and the keys in it."""
    for file in path.parent.iterdir():
        if file.name.startswith(_draft_prefix(path)):
            file.unlink(missing_ok=True)


def _draft_prefix(path: Path) -> str:
    return f".{path.name}."


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(_draft_prefix(path) + secrets.token_hex(4))
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    # Without this the new name itself could be lost with the power.
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _file(entry: dict[str, Any]) -> FileImage:
    content, aid, sfi = entry.get("content"), entry.get("aid"), entry.get("sfi")
    path = bytes.fromhex(entry["path"])
    if not path or len(path) % 2:
        raise ValueError("a path is made of identifiers of two bytes")
    if sfi is not None and not 1 <= int(sfi) <= 30:
        raise ValueError("a short file identifier is 1 to 30")
    return FileImage(
        path=path,
        content=None if content is None else bytes.fromhex(content),
        aid=None if aid is None else bytes.fromhex(aid),
        sfi=None if sfi is None else int(sfi),
        contact=_conditions(entry["contact"], 6),
        contactless=_conditions(entry["contactless"], 6),
    )


def _file_entry(file: FileImage) -> dict[str, Any]:
    entry: dict[str, Any] = {"path": file.path.hex()}
    if file.content is not None:
        entry["content"] = file.content.hex()
    if file.aid is not None:
        entry["aid"] = file.aid.hex()
    if file.sfi is not None:
        entry["sfi"] = file.sfi
    return entry | {"contact": file.contact.hex(), "contactless": file.contactless.hex()}


def _reference_data(entry: dict[str, Any]) -> ReferenceData:
    uses_left = None if entry["uses_left"] is None else int(entry["uses_left"])
    tries_left, tries_maximum = int(entry["tries_left"]), int(entry["tries_maximum"])
    if not 0 <= tries_left <= tries_maximum <= MAX_TRIES:
        raise ValueError(f"tries are 0 to {MAX_TRIES}")
    if uses_left is not None and not 0 <= uses_left <= MAX_USES:
        raise ValueError(f"uses are 0 to {MAX_USES}")
    return ReferenceData(
        reference=int(entry["reference"]),
        digits=entry["digits"].encode("ascii"),
        tries_maximum=tries_maximum,
        tries_left=tries_left,
        uses_left=uses_left,
        length=int(entry["length"]),
        access=_conditions(entry["access"], 5),
    )


def _reference_entry(entry: ReferenceData) -> dict[str, Any]:
    return {
        "reference": entry.reference,
        "digits": entry.digits.decode("ascii"),
        "tries_maximum": entry.tries_maximum,
        "tries_left": entry.tries_left,
        "uses_left": entry.uses_left,
        "length": entry.length,
        "access": entry.access.hex(),
    }


def _key(entry: dict[str, Any]) -> KeyImage:
    try:
        der = base64.b64decode(entry["pkcs8"], validate=True)
    except binascii.Error as exc:
        raise ValueError("a key is base64") from exc
    # Proving the numbers prime takes longer than a signature, and the key came from our own file: a
    # damaged one makes wrong signatures, which every client checks.
    private_key = serialization.load_der_private_key(
        der, password=None, unsafe_skip_rsa_key_validation=True
    )
    if not isinstance(private_key, rsa.RSAPrivateKey):
        raise TypeError("a key is RSA")
    return KeyImage(
        dfs=[bytes.fromhex(df) for df in entry["dfs"]],
        reference=int(entry["reference"]),
        private_key=private_key,
        contact=_conditions(entry["contact"], 6),
        contactless=_conditions(entry["contactless"], 6),
    )


def _key_entry(key: KeyImage) -> dict[str, Any]:
    der = key.private_key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "dfs": [df.hex() for df in key.dfs],
        "reference": key.reference,
        "pkcs8": base64.b64encode(der).decode("ascii"),
        "contact": key.contact.hex(),
        "contactless": key.contactless.hex(),
    }


def _conditions(text: str, count: int) -> bytes:
    conditions = bytes.fromhex(text)
    if len(conditions) != count:
        raise ValueError(f"{count} access conditions are wanted")
    return conditions
