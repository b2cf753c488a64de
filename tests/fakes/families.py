"""The tasks that the tests of families run over."""

from __future__ import annotations

import os

import pytest

from rewardsmith.contract import env_families
from rewardsmith.spec.task_cards import load_cards

EXPECTED = os.environ.get("REWARDSMITH_TEST_FAMILIES", "").split(",")
"""Extras whose tests fail where they are not installed; those of the others are skipped."""


def needs(env_id: str) -> pytest.MarkDecorator:
    """Return a mark that skips where an environment's family is not installed."""
    family = env_families.find_family(env_id)
    assert family is not None
    is_skipped = family.extra not in EXPECTED and not env_families.is_family_installed(env_id)
    return pytest.mark.skipif(is_skipped, reason=f"needs rewardsmith[{family.extra}]")


def tasks(*names: str):
    """Return the cards of the families of these extras, as parameters."""
    found = []
    for task in load_cards():
        family = env_families.find_family(task.env.env_id)
        if family is not None and family.extra in names:
            found.append(pytest.param(task, id=task.name, marks=needs(task.env.env_id)))
    return found


def ids(*env_ids: str):
    """Return environments as parameters."""
    return [pytest.param(env_id, marks=needs(env_id)) for env_id in env_ids]
