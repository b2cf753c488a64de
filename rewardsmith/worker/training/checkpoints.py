"""Checkpoints of a training: the policy of the one with the highest return, where that is kept in place of the last."""

from __future__ import annotations

from collections.abc import Callable

from rewardsmith.contract.records import CurvePoint
from rewardsmith.worker.training.policy import Policy


class BestCheckpoint:
    """Copy of the policy at the checkpoint with the highest generated return so far.

    The return is that of the training episodes since the checkpoint before, by the training's own reward: no fitness
    is looked at. Of equal returns the later one counts; a checkpoint before which no episode ended is passed over.
    """

    def __init__(self) -> None:
        self.policy: Policy | None = None
        """None before the first checkpoint with an episode."""
        self.env_steps: int | None = None
        """Environment steps at which the policy was copied."""
        self._highest_return = -float("inf")

    def add_checkpoint(self, point: CurvePoint, extract_policy: Callable[[], Policy]) -> None:
        """Copy the policy if its checkpoint is the best so far.

        Args:
            point: of the learning curve at the checkpoint.
            extract_policy: returns a copy of the policy in its present state.
        """
        if point.reward is None or point.reward < self._highest_return:
            return
        self._highest_return = point.reward
        self.policy, self.env_steps = extract_policy(), point.env_steps
