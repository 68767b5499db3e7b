"""The examples for portals do what they say: the person comes in, every forgery is refused."""

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from werkzeug.test import Client

from cps.portal.assertion import AssertionVerifier
from cps.portal.keys import KeySource
from tests.support.assertions import AUDIENCE, FORGERIES, GATEWAY, INSTANT, NOW, Issuer

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "portal"
NODE = """
import { assertionVerifier } from "file://%s";
import { readFileSync } from "node:fs";
const { gateway, audience, keySets, instant, assertions } = JSON.parse(readFileSync(0));
let asked = 0;
let seconds = instant;
const check = assertionVerifier({
  gateway, audience, now: () => seconds * 1000,
  fetchKeys: async () => keySets[Math.min(asked++, keySets.length - 1)],
});
const outcomes = {};
for (const [name, after, assertion] of assertions) {
  seconds = instant + after;
  try { outcomes[name] = (await check(assertion)).SubjectNameID; } catch { outcomes[name] = null; }
}
console.log(JSON.stringify({ outcomes, asked }));
"""


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["flask_portal", "wsgi_portal"])
def test_the_python_examples_know_the_person_and_refuse_others(name: str) -> None:
    issuer = Issuer()
    keys = KeySource(issuer.key_set)
    portal = Client(
        example(name).create_app(AssertionVerifier(GATEWAY, AUDIENCE, keys=keys, clock=lambda: NOW))
    )
    answer = portal.get("/", headers={"X-CPS-Assertion": issuer.sign()})
    assert (answer.status_code, answer.text) == (200, "Bonjour CAMILLE")
    for forge in FORGERIES.values():
        value = forge(issuer).replace("\n", "%0A")
        assert portal.get("/", headers={"X-CPS-Assertion": value}).status_code == 403


def run_node(
    key_sets: list[bytes], assertions: list[tuple[str, int, str]]
) -> tuple[dict[str, str | None], int]:
    """Return what the Node example makes of each assertion, and how often it asked for keys."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    told = {
        "gateway": GATEWAY,
        "audience": AUDIENCE,
        "keySets": [key_set.decode() for key_set in key_sets],
        "instant": INSTANT,
        "assertions": assertions,
    }
    done = subprocess.run(
        [node, "--input-type=module", "--eval", NODE % (EXAMPLES / "assertion.mjs")],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    answer = json.loads(done.stdout)
    return answer["outcomes"], answer["asked"]


def test_the_node_example_knows_the_person_and_refuses_others() -> None:
    issuer = Issuer()
    told = [("genuine", 0, issuer.sign())]
    told += [(name, 0, forge(issuer)) for name, forge in FORGERIES.items()]
    outcomes, asked = run_node([issuer.key_set()], told)
    assert outcomes.pop("genuine") == "899900000017"
    assert outcomes == dict.fromkeys(FORGERIES)
    assert asked == 1


def test_the_node_example_follows_a_rotation_and_asks_seldom() -> None:
    old, new = Issuer(), Issuer()
    both = json.dumps({"keys": [old.public(), new.public()]}).encode()
    outcomes, asked = run_node(
        [old.key_set(), both],
        [
            ("old", 0, old.sign()),
            ("new, too soon to ask again", 1, new.sign()),
            ("new", 10, new.sign()),
            *[(f"made up {n}", 11, new.sign(head={"kid": f"made up {n}"})) for n in range(20)],
            ("old still", 12, old.sign()),
        ],
    )
    assert {name for name, person in outcomes.items() if person} == {"old", "new", "old still"}
    assert asked == 2


def test_the_text_names_every_example_and_says_which_are_not_run() -> None:
    text = (EXAMPLES.parents[1] / "how-to" / "protect-a-portal.md").read_text(encoding="utf-8")
    for file in EXAMPLES.iterdir():
        if file.is_file():
            assert file.name in text
    for name in ("Assertion.java", "assertion.php"):
        assert "Not run by our tests" in (EXAMPLES / name).read_text(encoding="utf-8")
