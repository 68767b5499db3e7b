"""Each stage of a sign-in has its words."""

import pytest

from cps.agent.progress import Stage
from cps.agent.texts import words


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("stage", Stage)
def test_a_stage_says_what_to_do(stage: Stage, language: str) -> None:
    said = words("agent", stage, language)
    assert said.title
    assert said.sentence.endswith(".")
