"""The designer is asked for the policy's observation where the settings say so, and nowhere else."""

from __future__ import annotations

import pytest
from fakes.designer_case import BRIEF

from rewardsmith.search.steps.designer.prompt_builder import PromptOptions, build_messages
from rewardsmith.spec.settings import DesignerSettings


@pytest.mark.parametrize("form", ["terms", "sparse-dense"])
@pytest.mark.parametrize("asks", [True, False])
def test_the_prompt_asks_for_the_observation_if_the_setting_does(asks, form):
    settings = DesignerSettings(observation=asks, form=form)
    system, _ = build_messages(PromptOptions(settings), BRIEF, 0)
    rules = [line for line in system.content.splitlines() if line.startswith("- `OBSERVATION` is a literal list")]
    assert len(rules) == asks
    assert ("OBSERVATION" in system.content) == asks
