"""Chains made by chance, judged by our code, by pyhanko-certvalidator and by ``openssl verify``.

The environment variables CPS_CHAINS_SEED and CPS_CHAINS_COUNT ask for other and for more chains.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.conformance import DOCUMENT
from tests.support.oracles import (
    openssl_fault,
    our_fault,
    pyhanko_fault,
    why_openssl_differs,
    why_pyhanko_differs,
)
from tests.support.random_chains import RandomChain, random_chain

SEED = os.environ.get("CPS_CHAINS_SEED", "2026-11-23")
COUNT = int(os.environ.get("CPS_CHAINS_COUNT", "60"))
WORDS = ("form", "anchor", "addresses", "letters", "mapping", "wildcards")
Why = Callable[[RandomChain, str | None, str | None], str | None]


def chains() -> list[RandomChain]:
    return [random_chain(f"{SEED} {number}") for number in range(COUNT)]


def unexplained(judge: Callable[[RandomChain], str | None], why: Why) -> list[str]:
    """Return a line for every chain on which we disagree for no reason in the document."""
    told = set(re.findall(r"^\| `([a-z]+)` \|", DOCUMENT.read_text("utf-8"), re.MULTILINE))
    found = []
    for number, chain in enumerate(chains()):
        ours, theirs = our_fault(chain), judge(chain)
        if (ours is None) != (theirs is None) and why(chain, ours, theirs) not in told:
            found.append(f"seed {SEED}, chain {number} {chain.twists}: {ours!r} / {theirs!r}")
    return found


def test_the_chains_are_of_both_kinds() -> None:
    faults = [our_fault(chain) for chain in chains()]
    assert 0.2 < sum(fault is None for fault in faults) / len(faults) < 0.8


def test_pyhanko_agrees() -> None:
    print(f"CPS_CHAINS_SEED={SEED}")
    assert unexplained(pyhanko_fault, why_pyhanko_differs) == []


def test_openssl_agrees(tmp_path: Path) -> None:
    print(f"CPS_CHAINS_SEED={SEED}")

    def judge(chain: RandomChain) -> str | None:
        return openssl_fault(chain, tmp_path)

    assert unexplained(judge, why_openssl_differs) == []


@pytest.mark.parametrize("word", WORDS)
def test_each_reason_to_differ_is_told(word: str) -> None:
    assert f"| `{word}` |" in DOCUMENT.read_text("utf-8")
