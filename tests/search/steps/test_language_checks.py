"""The names that a program may not use: what the static checks, the reward process and the exporter say agrees."""

from __future__ import annotations

import inspect

import pytest

from rewardsmith.contract import shaping
from rewardsmith.contract.reward_program import PROVIDED_MODULES
from rewardsmith.report.export.allow_list import BUILTINS, MODULES, NODES
from rewardsmith.sandbox.inside import harness
from rewardsmith.search.steps.critic.language_checks import CONSTRUCTS, FORBIDDEN_BUILTINS, IMPORTABLE, NUMPY_MISFITS
from rewardsmith.search.steps.critic.static_checks import check_source


@pytest.mark.parametrize("name", harness.WITHHELD)
def test_what_the_reward_process_withholds_is_refused_with_a_reason(name):
    _, findings = check_source(f"def reward(action):\n    {name}('1')\n    return {{'t': action[:, 0]}}", ())
    assert [(finding.code, finding.line) for finding in findings] == [("forbidden-name", 2)]
    assert findings[0].message == f"{name}: {FORBIDDEN_BUILTINS[name]}"


@pytest.mark.parametrize("module", IMPORTABLE)
def test_what_the_checks_let_a_program_import_is_there(module):
    program = f"import {module}\ndef reward(action):\n    return {{'t': action[:, 0]}}"
    assert check_source(program, ())[1] == []
    assert inspect.isfunction(harness.compile_reward(program, shaping))


def test_every_program_has_the_modules_that_the_contract_names():
    reward = harness.compile_reward("def reward(action):\n    return {}", shaping)
    assert inspect.isfunction(reward)
    assert {name for name, value in reward.__globals__.items() if inspect.ismodule(value)} == PROVIDED_MODULES.keys()


def test_nothing_that_the_checks_forbid_can_be_exported():
    assert not BUILTINS & set(FORBIDDEN_BUILTINS)
    assert not MODULES["numpy"] & set(NUMPY_MISFITS)
    assert not set(NODES) & set(CONSTRUCTS)
