"""The tasks that the tests of families run over."""

from __future__ import annotations

import pytest

from rewardsmith.contract import env_families
from rewardsmith.spec.task_cards import cards


def needs(env_id: str) -> pytest.MarkDecorator:
    """Return a mark that skips where an environment's family is not installed."""
    family = env_families.family_of(env_id)
    assert family is not None
    return pytest.mark.skipif(not env_families.installed(env_id), reason=f"needs rewardsmith[{family.extra}]")


def tasks(*names: str):
    """Return the cards of the families of these extras, as parameters."""
    found = []
    for task in cards():
        family = env_families.family_of(task.env.env_id)
        if family is not None and family.extra in names:
            found.append(pytest.param(task, id=task.name, marks=needs(task.env.env_id)))
    return found


def ids(*env_ids: str):
    """Return environments as parameters."""
    return [pytest.param(env_id, marks=needs(env_id)) for env_id in env_ids]
