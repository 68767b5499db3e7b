"""Refused logins: whole cards, well used, with a certificate that must not open the portal."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from cps.authtoken.codes import ErrorCode
from cps.issuer.leaf import CATEGORY_TEST_CARD
from cps.issuer.numbers import rpps_national_id
from cps.simulator.image import CardImage
from cps.simulator.personalise import Credential
from gateway.errors import ConfigurationError
from tests.support import cards, pki
from tests.support.browser import Browser, Page
from tests.support.line import REVOKED_SERIAL, Line, running_line, usual_lists

REAL_CARD, REAL_SOFTWARE, TEST_SOFTWARE = 0x00, 0x03, 0x83
YEAR = timedelta(days=365)
NOT_A_DOCTOR = replace(
    pki.DOCTOR, national_id=rpps_national_id("9990000001")[:-1] + "5"
)  # its key is wrong


def card_with(
    certificate: Callable[[rsa.RSAPrivateKey], x509.Certificate],
    key: rsa.RSAPrivateKey | None = None,
) -> CardImage:
    """Return a card that logs in with what *certificate* makes of its key."""
    key = key or cards.authentication_key()
    return cards.image(authentication=Credential(certificate=certificate(key), key=key))


def issued(**changes: object) -> Callable[[], CardImage]:
    """Return what makes a card whose certificate differs from a good one in *changes*."""
    return lambda: card_with(lambda key: pki.leaf(leaf_key=key, **changes))  # type: ignore[arg-type]


def foreign(**changes: object) -> Callable[[], CardImage]:
    """Return the same under the foreign authority that bears our authority's name."""
    return lambda: issued(issuer=pki.foreign_hierarchy().intermediate, **changes)()


CASES: Mapping[str, tuple[Callable[[], CardImage], ErrorCode]] = {
    "expired": (
        issued(not_before=pki.NOW - 4 * YEAR, not_after=pki.NOW - timedelta(seconds=1)),
        ErrorCode.CERT_EXPIRED,
    ),
    "not yet valid": (
        issued(not_before=pki.NOW + timedelta(seconds=1)),
        ErrorCode.CERT_NOT_YET,
    ),
    "revoked": (issued(serial=REVOKED_SERIAL), ErrorCode.CERT_REVOKED),
    "unknown authority": (
        lambda: issued(issuer=pki.production_looking_hierarchy().intermediate)(),
        ErrorCode.CERT_UNTRUSTED,
    ),
    "authority of the same name with another key": (foreign(), ErrorCode.CERT_UNTRUSTED),
    "the same, revoked in ours": (foreign(serial=REVOKED_SERIAL), ErrorCode.CERT_UNTRUSTED),
    "another intermediate of our root": (
        lambda: issued(issuer=pki.sibling_intermediate())(),
        ErrorCode.CERT_UNTRUSTED,
    ),
    "authority for organisations": (
        lambda: issued(issuer=pki.organisations_authority())(),
        ErrorCode.CERT_UNTRUSTED,
    ),
    "issued by the root": (
        lambda: issued(issuer=pki.hierarchy().root)(),
        ErrorCode.CERT_UNTRUSTED,
    ),
    "issued by another card": (
        lambda: issued(issuer=pki.subordinate_authority())(),
        ErrorCode.CERT_UNTRUSTED,
    ),
    "software certificate for tests": (issued(category=TEST_SOFTWARE), ErrorCode.CERT_TYPE),
    "software certificate": (issued(category=REAL_SOFTWARE), ErrorCode.CERT_TYPE),
    "real card where test cards are let in": (issued(category=REAL_CARD), ErrorCode.CERT_TYPE),
    "number of something else than a card": (
        issued(token_prefix="8025000002"),
        ErrorCode.CERT_TYPE,
    ),
    "employee's card": (lambda: cards.image(pki.CLERK), ErrorCode.CERT_TYPE),
    "RPPS number with a wrong key": (
        lambda: cards.image(NOT_A_DOCTOR),
        ErrorCode.CERT_MALFORMED,
    ),
    "RSA key of 1024 bits": (
        lambda: card_with(lambda key: pki.leaf(leaf_key=key), pki.key("short", 1024)),
        ErrorCode.CERT_UNTRUSTED,
    ),
    "no purpose named": (
        issued(without=[x509.ExtendedKeyUsage.oid]),
        ErrorCode.CERT_PURPOSE,
    ),
}


def sign_in(line: Line, image: CardImage) -> tuple[Page, Page]:
    """Log in up to the agent's answer; return the login page and that answer."""
    browser = line.browser()
    login = browser.open("/_cps/login")
    with line.desk(image) as desk:
        return login, browser.to_agent(login, desk.port)


def require_refused(line: Line, image: CardImage, code: ErrorCode) -> None:
    """Check that the card opens nothing, for that cause, which the person is told."""
    with line.nobody_gets_in():
        login, page = sign_in(line, image)
        page.require_failed(code)
        line.require_dead(login.rid)
    assert line.audit("login_refused")[-1]["reason"] == code
    assert line.audit("login_refused")[-1]["rid"] == login.rid


def require_let_in(line: Line, image: CardImage) -> Browser:
    """Check that the card opens the portal, and return the browser that is in."""
    browser = line.browser()
    with line.desk(image) as desk:
        line.log_in(browser, desk)
    return browser


@pytest.mark.parametrize("case", CASES)
def test_the_card_is_refused(line: Line, case: str) -> None:
    make_card, code = CASES[case]
    require_refused(line, make_card(), code)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_person_is_told_in_their_language(line: Line, language: str) -> None:
    browser = line.browser(language=language)
    login = browser.open("/_cps/login")
    with line.desk(issued(serial=REVOKED_SERIAL)()) as desk:
        page = browser.to_agent(login, desk.port)
    page.require_failed(ErrorCode.CERT_REVOKED, language)


def test_the_agents_page_has_the_number_under_which_the_gateway_recorded_it(line: Line) -> None:
    _, page = sign_in(line, issued(serial=REVOKED_SERIAL)())
    assert page.incident == line.audit("login_refused")[-1]["ref"]


# --- the revocation lists ------------------------------------------------------------------------


def test_no_card_is_let_in_under_a_revoked_intermediate(tmp_path: Path) -> None:
    ours = pki.hierarchy()
    lists = usual_lists() | {
        "root.crl": pki.der(pki.crl(ours.intermediate.certificate, issuer=ours.root))
    }
    with running_line(tmp_path, lists=lists) as line:
        require_refused(line, cards.image(), ErrorCode.CERT_REVOKED)


def forged_list() -> bytes:
    """Return a list in our intermediate's name that somebody else signed."""
    return pki.der(pki.crl(issuer=pki.foreign_hierarchy().intermediate))


@pytest.mark.parametrize(
    "lists",
    [
        pytest.param({"root.crl": None}, id="list of the intermediate missing"),
        pytest.param({"middle.crl": None}, id="list of the root missing"),
        pytest.param({"root.crl": None, "middle.crl": forged_list}, id="list of somebody else"),
        pytest.param({"root.crl": None, "middle.crl": lambda: b"\x30\x82"}, id="torn list"),
    ],
)
def test_without_a_good_list_nobody_gets_in(
    tmp_path: Path, lists: Mapping[str, Callable[[], bytes] | None]
) -> None:
    contents = {
        name: usual_lists()[name] if make is None else make() for name, make in lists.items()
    }
    with running_line(tmp_path, lists=contents) as line:
        require_refused(line, cards.image(), ErrorCode.REVOCATION_UNAVAILABLE)


def test_a_list_that_grows_stale_stops_logins_and_a_new_one_opens_them_again(
    tmp_path: Path,
) -> None:
    with running_line(tmp_path) as line:
        browser = require_let_in(line, cards.image())
        line.clock.advance(timedelta(days=2, minutes=5, seconds=1).total_seconds())
        require_refused(line, cards.image(), ErrorCode.REVOCATION_UNAVAILABLE)
        now, ours = line.clock(), pki.hierarchy()
        for name, authority in (("root", ours.root), ("middle", ours.intermediate)):
            fresh = pki.crl(
                issuer=authority, number=2, this_update=now, next_update=now + timedelta(days=2)
            )
            (tmp_path / f"{name}.crl").write_bytes(pki.der(fresh))
        line.clock.advance(5)
        require_let_in(line, cards.image())
        assert browser.open("/").status == 303, "of the days before"


def test_a_card_revoked_since_its_last_login_is_refused(tmp_path: Path) -> None:
    image = cards.image()
    with running_line(tmp_path) as line:
        require_let_in(line, image)
        certificate = cards.certificate_of(image, "3F000001C002")
        fresh = pki.crl(certificate, number=2, this_update=pki.NOW)
        (tmp_path / "middle.crl").write_bytes(pki.der(fresh))
        line.clock.advance(5)
        require_refused(line, image, ErrorCode.CERT_REVOKED)
        # Whoever put the old list back would not bring the card back.
        (tmp_path / "middle.crl").write_bytes(usual_lists()["middle.crl"])
        line.clock.advance(5)
        require_refused(line, image, ErrorCode.CERT_REVOKED)


# --- other settings ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Run a gateway for real cards, under authorities whose names do not say TEST."""
    with running_line(
        tmp_path_factory.mktemp("production"),
        environment="production",
        hierarchy=pki.production_looking_hierarchy(),
    ) as line:
        yield line


def of_production(category: int) -> CardImage:
    """Return a card of that category under those authorities."""
    return issued(issuer=pki.production_looking_hierarchy().intermediate, category=category)()


def test_a_real_card_opens_a_portal_in_production(production: Line) -> None:
    require_let_in(production, of_production(REAL_CARD))


@pytest.mark.parametrize(
    "category",
    [
        pytest.param(CATEGORY_TEST_CARD, id="test card"),
        pytest.param(REAL_SOFTWARE, id="software"),
        pytest.param(TEST_SOFTWARE, id="software for tests"),
    ],
)
def test_in_production_only_real_cards_are_let_in(production: Line, category: int) -> None:
    require_refused(production, of_production(category), ErrorCode.CERT_TYPE)


def test_a_card_of_the_test_authority_is_refused_in_production(production: Line) -> None:
    require_refused(production, cards.image(), ErrorCode.CERT_UNTRUSTED)


def test_in_production_a_gateway_with_a_test_authority_does_not_start(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigurationError, match="TEST authority"),
        running_line(tmp_path, environment="production"),
    ):
        pass


def test_a_profession_that_is_not_let_in_is_refused(tmp_path: Path) -> None:
    nurses = {"professions": [pki.NURSE.profession]}
    with running_line(tmp_path, login=nurses) as line:
        require_refused(line, cards.image(pki.DOCTOR), ErrorCode.NOT_AUTHORISED)
        require_let_in(line, cards.image(pki.NURSE))


def test_employees_are_let_in_where_the_settings_say_so(tmp_path: Path) -> None:
    with running_line(tmp_path, login={"card_types": ["CPE"]}) as line:
        browser = require_let_in(line, cards.image(pki.CLERK))
        assert browser.open("/").received["x-cps-subject"] == "30B9900001%2FCPET0001"
        require_refused(line, cards.image(pki.DOCTOR), ErrorCode.CERT_TYPE)
