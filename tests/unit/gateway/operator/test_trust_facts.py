import json
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.operator.trust_facts import trust_facts
from gateway.operator.trust_status import TrustLook
from gateway.refresh.memory import AnswerTable
from gateway.trust.national import fingerprint
from gateway.trust.revocation_journal import SourceJournal
from gateway.trust.revocation_memory import KeptAnswer, owner_of
from gateway.trust.revocation_report import report
from tests.support import pki
from tests.support.revocation import entry, make_list
from tests.support.revocation_folder import AUTHORITIES, CARDS, RESPONDER, RevocationFolder

HOUR = timedelta(hours=1)


@pytest.fixture
def look(tmp_path: Path) -> TrustLook:
    folder = RevocationFolder(tmp_path)
    folder.put(AUTHORITIES, make_list(issuer=pki.hierarchy().root))
    cards = make_list(
        entry(1), number=10, this_update=pki.NOW - 3 * HOUR, next_update=pki.NOW + HOUR
    )
    folder.put(CARDS, cards)
    journal = SourceJournal().taken(cards, now=pki.NOW, address=CARDS).failed("no", now=pki.NOW)
    journal.save(folder.places.journal(folder.slot(CARDS).name))
    answers = AnswerTable(folder.places.answers)
    kept = KeptAnswer(held=False, this_update=pki.NOW - HOUR / 2, expires=pki.NOW + HOUR / 2)
    answers.keep(owner_of(pki.hierarchy().intermediate.certificate), 7, kept)
    answers.write(pki.NOW)
    return TrustLook(
        settings=folder.settings,
        store=folder.store,
        reports=report(folder.settings, folder.store, pki.NOW),
        problems=("something",),
    )


def test_everything_is_told_in_json(look: TrustLook) -> None:
    facts = json.loads(json.dumps(trust_facts(look, pki.NOW)))
    ours = pki.hierarchy()
    assert facts["environment"] == "test"
    assert facts["problems"] == ["something"]
    (anchor,) = facts["anchors"]
    assert anchor["sha256"] == fingerprint(ours.root.certificate)
    assert anchor["national"] is None
    root, cards = facts["revocation"]
    assert root["authority"] == anchor["sha256"]
    assert root["answers"] is None
    assert cards["authority"] == facts["intermediates"][0]["sha256"]
    assert cards["in_force"]
    assert cards["answers"] == {
        "count": 1,
        "age_seconds": 1800,
        "first_end": (pki.NOW + HOUR / 2).isoformat(),
    }
    assert [each["address"] for each in cards["responders"]] == [RESPONDER]


def test_a_list_is_told_with_its_age(look: TrustLook) -> None:
    cards = json.loads(json.dumps(trust_facts(look, pki.NOW)))["revocation"][1]
    complete, delta = cards["lists"]
    assert complete["in_use"]
    assert complete["bytes"] > 0
    assert (complete["number"], complete["entries"], complete["delta"]) == (10, 1, False)
    assert (complete["age_seconds"], complete["life_used"]) == (10_800, 0.75)
    assert complete["taken_at"] == pki.NOW.isoformat()
    assert (complete["address"], complete["error"]) == (CARDS, "no")
    assert not delta["in_use"]
    assert delta["error"] == "nothing was taken yet"
    assert "age_seconds" not in delta
