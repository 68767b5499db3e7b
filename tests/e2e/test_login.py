"""The whole line on real parts: card in a PC/SC reader, agent, gateway, portal, Chromium."""

import re
from pathlib import Path

import pytest

from cps.demo.login import AGENT_LINK, chromium, run_login
from cps.demo.run import Demo
from tests.e2e.conftest import PIN


@pytest.mark.pcscd
@pytest.mark.browser
def test_no_log_of_a_run_holds_a_secret(demo: Demo) -> None:
    codes: list[str] = []
    with chromium() as context:
        context.on("request", lambda request: codes.extend(re.findall(r"code=(\S+)", request.url)))
        page = context.new_page()
        page.goto(demo.origin)
        page.locator(AGENT_LINK).click()
        page.wait_for_url(f"{demo.origin}/")
        cookies = [str(cookie.get("value")) for cookie in context.cookies()]
    assert codes, "the code went through the browser"
    assert cookies, "the session stands"
    secrets = re.compile("|".join([*map(re.escape, codes + cookies), rf"(?<!\d){PIN}(?!\d)"]))
    logs = [*demo.folder.glob("*.log"), *demo.folder.glob("*.jsonl")]
    assert {"agent.log", "gateway.log", "audit.jsonl"} <= {log.name for log in logs}
    for log in logs:
        assert not secrets.search(log.read_text(encoding="utf-8")), log.name


# Last: it takes the card out.
@pytest.mark.pcscd
@pytest.mark.browser
def test_a_card_in_a_reader_opens_the_portal_and_pulled_out_closes_it(
    demo: Demo, tmp_path: Path
) -> None:
    assert demo.card is not None
    run_login(demo.origin, demo.holder, pull_card=demo.card.pull, screenshots=tmp_path, say=print)
    assert len(list(tmp_path.glob("*.png"))) == 7
