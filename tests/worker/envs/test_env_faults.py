"""Faults of environments that are told in a line."""

from __future__ import annotations

from typing import Any

import pytest

from rewardsmith.contract.errors import TaskError
from rewardsmith.worker.envs.env_faults import reset_checked, step_checked


class Env:
    """Returns the given info."""

    def __init__(self, info: Any) -> None:
        self._info = info

    def reset(self, *, seed: int | None = None) -> tuple[float, Any]:
        return 0.0, self._info

    def step(self, action: Any) -> tuple[float, float, bool, bool, Any]:
        return 0.0, 1.0, False, False, self._info


@pytest.mark.parametrize("info", [None, [1, 2], "ok"])
def test_an_info_that_is_no_dict_is_told_as_that(info: Any) -> None:
    says = f"is of type {type(info).__name__}, not a dict"
    with pytest.raises(TaskError, match=f"`reset` returns {says}"):
        reset_checked(Env(info), "Mine-v0")
    with pytest.raises(TaskError, match=f"`step` returns {says}"):
        step_checked(Env(info), "Mine-v0", 0)
    assert reset_checked(Env({}), "Mine-v0") == (0.0, {})
