"""Rollouts of thousands of environments: tensors on the device, of which the named signals go to the host at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rewardsmith.worker.mjlab.fields import SignalGatherer
from rewardsmith.worker.mjlab.recorder import RewardRecorder
from rewardsmith.worker.training.rollout import EpisodeEnd, RolloutStorage

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
NO_OBSERVATION: Array = np.empty(0)


class HostRollout(RolloutStorage):
    """A rollout on the host, as scoring and statistics take it: (T, n, ...) of float64."""

    def __init__(
        self, before: Array, after: Array, start: Array, actions: Array, own: Array, ended: Bools, terminated: Bools
    ) -> None:
        """Take the arrays over.

        Args:
            before: (T, n, width) signals before each action.
            after: the same after it.
            start: the same at the start of its episode.
            actions: (T, n, a) as the environments took them.
            own: (T, n) mjlab's own rewards.
            ended: (T, n), where an episode ended.
            terminated: (T, n), where the environment's rule ended it.
        """
        self.steps, self.n = ended.shape
        self.before, self.after, self.start, self.clipped_actions = before, after, start, actions
        self.environment_reward, self.ended, self._terminated = own, ended, terminated
        self.discrete_actions = None
        self.episode_ends = [
            EpisodeEnd(int(step), int(row), NO_OBSERVATION, not terminated[step, row])
            for step, row in np.argwhere(ended)
        ]

    def mark_terminations(self) -> Bools:
        """Return (T, n): where the environment's rule ended an episode, not the time limit."""
        return self._terminated

    def select_envs(self, rows: NDArray[np.intp]) -> HostRollout:
        """Return the rollout of some environments."""
        floats = (self.before, self.after, self.start, self.clipped_actions, self.environment_reward)
        before, after, start, actions, own = (array[:, rows] for array in floats)
        return HostRollout(before, after, start, actions, own, self.ended[:, rows], self._terminated[:, rows])


class DeviceRollout:
    """Buffers on the device for T steps of n environments, and what of a running episode goes from one to the next."""

    def __init__(self, steps: int, env: Any, gatherer: SignalGatherer, recorder: RewardRecorder) -> None:
        """Allocate the buffers, after the environments were reset.

        Args:
            steps: T.
            env: mjlab's ManagerBasedRlEnv.
            gatherer: of the signals.
            recorder: which records them after each step.
        """
        self._env, self._gatherer, self._recorder = env, gatherer, recorder
        n, width, device = env.num_envs, gatherer.layout.width, env.device
        self._signals = torch.zeros((3, steps, n, width), device=device)
        """before, after, start."""
        self._actions = torch.zeros((steps, n, env.action_manager.total_action_dim), device=device)
        self._own = torch.zeros((steps, n), device=device)
        self._flags = torch.zeros((2, steps, n), dtype=torch.bool, device=device)
        """ended, terminated."""
        self._present = gatherer.gather_signals()
        self._start = self._present.clone()
        self.broken = torch.zeros((), dtype=torch.int64, device=device)
        """Steps after which a signal was not finite."""

    def record_before(self, step: int, actions: torch.Tensor) -> None:
        """Record what precedes a step: the present signals and the actions (n, a) that are about to be taken."""
        self._signals[0, step], self._signals[2, step] = self._present, self._start
        self._actions[step] = actions

    def record_after(self, step: int, own: torch.Tensor, terminated: torch.Tensor, ended: torch.Tensor) -> None:
        """Record what a step led to.

        Args:
            step: its place in the rollout.
            own: (n,) mjlab's own rewards.
            terminated: (n,), where the environment's rule ended an episode.
            ended: (n,), where it ended.
        """
        # A simulation that diverged keeps its last finite signals until its episode ends.
        after, before = self._recorder.after, self._present
        finite = torch.isfinite(after)
        self.broken += (~finite).any(dim=1).sum()
        self._signals[1, step] = torch.where(finite, after, before)
        self._own[step] = torch.nan_to_num(own, posinf=0.0, neginf=0.0)
        self._flags[0, step], self._flags[1, step] = ended, terminated

        # Commands and pushes between two steps belong to the next one.
        present = self._gatherer.gather_signals()
        self._present = torch.where(torch.isfinite(present), present, self._signals[1, step])
        self._start = torch.where(ended.bool()[:, None], self._present, self._start)

    def copy_to_host(self) -> HostRollout:
        """Return the rollout on the host."""
        before, after, start = self._signals.cpu().numpy().astype(np.float64)
        ended, terminated = self._flags.cpu().numpy()
        actions, own = (tensor.cpu().numpy().astype(np.float64) for tensor in (self._actions, self._own))
        return HostRollout(before, after, start, actions, own, ended, terminated)
