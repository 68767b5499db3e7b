"""A pytest plugin for portals' own tests: a test authority, a software card, a real reader.

Pytest loads it wherever this package is installed, so it imports nothing of weight until a test
asks for one of its fixtures. ``docs/how-to/test-your-portal.md`` shows how they are used.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from cps.issuer.folder import AuthorityFolder
    from cps.virtual.hand import CardInHand
    from cps.virtual.reader import VirtualReader

MARKER = "cps_card"
DEFAULTS: dict[str, Any] = {"family_name": "EXEMPLE", "given_name": "CAMILLE"}
PHYSICIAN = 10
AUTHORITY_KEY_BITS = 2048
"""Those of the real authorities have twice as many, and take seconds to make."""


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the marker."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(type='CPS', generation='cps3', family_name=…, given_name=…, profession=…, "
        "rpps=…, pin=…, not_before=…, not_after=…): what card the fixture cps_card gives",
    )


@pytest.fixture(scope="session")
def cps_issuer(tmp_path_factory: pytest.TempPathFactory) -> "AuthorityFolder":
    """Give a test authority of this session, shaped like the real one.

    Its folder, ``cps_issuer.path``, has the ``root.pem``, ``intermediate.pem``, ``root.crl`` and
    ``intermediate.crl`` that a gateway's settings name.
    """
    from cryptography.hazmat.primitives.asymmetric import rsa

    from cps.issuer.commands import system_clock
    from cps.issuer.folder import AuthorityFolder
    from cps.issuer.hierarchy import HierarchyKeys

    root, intermediate = (rsa.generate_private_key(65537, AUTHORITY_KEY_BITS) for _ in range(2))
    return AuthorityFolder.create(
        tmp_path_factory.mktemp("cps") / "authority",
        now=system_clock(),
        keys=HierarchyKeys(root=root, intermediate=intermediate),
    )


@pytest.fixture
def cps_card(
    request: pytest.FixtureRequest, tmp_path: Path, cps_issuer: "AuthorityFolder"
) -> "CardInHand":
    """Give a new software card; the marker ``cps_card`` says whose and of what kind.

    Without the marker it is a physician's CPS3 with the PIN 1234.
    """
    marker = request.node.get_closest_marker(MARKER)
    return _make_card(tmp_path / "cps-cards", cps_issuer, marker.kwargs if marker else {})


@pytest.fixture
def make_cps_card(tmp_path: Path, cps_issuer: "AuthorityFolder") -> "Callable[..., CardInHand]":
    """Give a function that makes more cards; it takes what the marker ``cps_card`` takes."""
    return lambda **wanted: _make_card(tmp_path / "cps-cards", cps_issuer, wanted)


@pytest.fixture(scope="session")
def cps_reader(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[VirtualReader]":
    """Give the virtual PC/SC reader, empty; a test is skipped, with the reason, where none is."""
    from contextlib import ExitStack

    from cps.virtual.reader import ReaderUnavailableError, virtual_reader

    with ExitStack() as stack:
        try:
            reader = stack.enter_context(virtual_reader(tmp_path_factory.mktemp("cps") / "pcscd"))
        except ReaderUnavailableError as exc:
            pytest.skip(str(exc))
        yield reader


def _make_card(home: Path, authority: "AuthorityFolder", wanted: dict[str, Any]) -> "CardInHand":
    from cps.atr import CardType
    from cps.issuer.hierarchy import Gamme
    from cps.virtual.hand import CardInHand
    from cps.virtual.holders import CardKind
    from cps.virtual.store import TEST_PIN, TEST_PUK, VirtualCards

    values = DEFAULTS | wanted
    kind = CardKind(values.pop("type", CardKind.CPS))
    if kind.gamme is Gamme.FORT:
        values.setdefault("profession", PHYSICIAN)
    pin, puk = values.pop("pin", TEST_PIN), values.pop("puk", TEST_PUK)
    path = VirtualCards(home).new(
        authority,
        kind=kind,
        generation=CardType(values.pop("generation", CardType.CPS3)),
        pin=pin,
        puk=puk,
        **values,
    )
    pin_file = path.with_suffix(".pin")
    pin_file.touch(mode=0o600)
    pin_file.write_text(pin, encoding="ascii")
    return CardInHand(path=path, pin=pin, puk=puk, pin_file=pin_file, authority=authority)
