"""What a portal's own tests may look like: who comes in, who does not, and what each may see."""

import time
import urllib.error
import urllib.request

import pytest
from browser import Browser


def test_without_a_card_there_is_no_page(browser):
    page = browser.open("/")

    assert "/_cps/login" in page.url
    assert "Bonjour" not in page.text


def test_a_physician_is_greeted_and_may_prescribe(browser, agent_with, cps_card):
    agent = agent_with(cps_card)

    page = browser.log_in("/prescription", agent)

    assert page.status == 200
    assert page.text == f"Prescription de {cps_card.details.national_id}"
    assert browser.open("/").text == "Bonjour CAMILLE EXEMPLE"


@pytest.mark.cps_card(profession=60, given_name="ÉLODIE", generation="cps4")
def test_a_nurse_is_greeted_and_may_not(browser, agent_with, cps_card):
    page = browser.log_in("/", agent_with(cps_card))

    assert page.text == "Bonjour ÉLODIE EXEMPLE"
    assert browser.open("/prescription").status == 403


@pytest.mark.cps_card(type="CPF")
def test_a_student_is_not_let_in(browser, agent_with, cps_card):
    page = browser.log_in("/", agent_with(cps_card))

    assert "Bonjour" not in page.text
    assert "Bonjour" not in browser.open("/").text


def test_a_revoked_card_is_not_let_in(browser, agent_with, cps_card):
    cps_card.revoke()
    # The gateway looks for new lists every five seconds.
    time.sleep(6)

    page = browser.log_in("/", agent_with(cps_card))

    assert "Bonjour" not in page.text


def test_a_blocked_card_is_told_so(browser, agent_with, cps_card):
    cps_card.block()

    page = browser.log_in("/", agent_with(cps_card))

    assert "bloqué" in page.text


def test_two_people_are_not_confused(gateway, browser, agent_with, cps_card, make_cps_card):
    other = make_cps_card(given_name="SACHA")
    first, second = browser, Browser(gateway)

    first.log_in("/", agent_with(cps_card))
    second.log_in("/", agent_with(other))

    assert first.open("/").text == "Bonjour CAMILLE EXEMPLE"
    assert second.open("/").text == "Bonjour SACHA EXEMPLE"


def test_around_the_gateway_nobody_is_served(gateway, upstream):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://127.0.0.1:{upstream}/", timeout=10)
    caught.value.close()

    assert caught.value.code == 403


def test_a_card_in_a_real_reader_opens_the_portal(browser, agent_with, cps_card, cps_reader):
    with cps_card.opened() as card, cps_reader.holding(card):
        page = browser.log_in("/", agent_with(cps_card, in_reader=True))

    assert page.text == "Bonjour CAMILLE EXEMPLE"
