"""Stand-in for mjlab's reward manager: called after the terminations and before the reset, it sees the last state.

mjlab's derived quantities (places of bodies, velocities of bodies) are one physics substep old at that moment, and
current at an episode's start. A program that subtracts the two would find a motion that is a substep short: so the
positions and velocities that a signal reads are computed again, which costs a part of what a substep does. Readings of
sensors, contacts included, stay those of the last substep, as mjlab's own rewards see them.
"""

from __future__ import annotations

import gc
from typing import Any

import torch

from rewardsmith.worker.mjlab.fields import SignalGatherer


class RewardRecorder:
    """Records the signals after each step, and pays mjlab's own reward or nothing."""

    def __init__(self, env: Any, gatherer: SignalGatherer, pays: bool) -> None:
        """Take the place of the reward manager of an environment.

        Args:
            env: mjlab's ManagerBasedRlEnv.
            gatherer: of the signals to record.
            pays: whether the environment's own reward is computed; without it every step pays 0.
        """
        self._manager, self._sim, self._gatherer, self._pays = env.reward_manager, env.sim, gatherer, pays
        self._nothing = torch.zeros(env.num_envs, device=env.device)
        self._graph: Any = None
        self.after = gatherer.gather_signals()
        """(n, width): the signals after the last step, before any reset."""
        self.overflows = torch.zeros(env.num_envs, dtype=torch.int32, device=env.device)
        """(n,): kinds of overflow of Warp's buffers so far, as bits of its `OverflowType`."""
        env.reward_manager = self

    def compute(self, dt: float) -> torch.Tensor:
        """Record the state, and return the rewards (n,).

        Args:
            dt: length of the step in seconds, which mjlab multiplies its rewards by.
        """
        reward: torch.Tensor = self._manager.compute(dt) if self._pays else self._nothing
        self._gatherer.environment_reward = reward
        if self._gatherer.needs_kinematics:
            self._refresh_kinematics()
        self.after = self._gatherer.gather_signals()
        self.overflows |= self._sim.data.overflow[:]
        return reward

    def reset(self, env_ids: torch.Tensor | slice | None = None) -> Any:
        """Start the episodes of some environments; returns what mjlab logs of the ended ones."""
        return self._manager.reset(env_ids)

    def __getattr__(self, name: str) -> Any:
        # Curricula change the weights of mjlab's own terms.
        return getattr(self._manager, name)

    def _refresh_kinematics(self) -> None:
        """Compute places and velocities of bodies from the present positions and velocities of joints."""
        import mujoco_warp
        import warp

        sim = self._sim
        with warp.ScopedDevice(sim.wp_device):
            if self._graph is None:
                if not sim.use_cuda_graph:
                    _launch_kinematics(mujoco_warp, sim)
                    return
                # As mjlab captures its own: what the garbage collector frees meanwhile would become part of the graph.
                gc.disable()
                try:
                    with warp.ScopedCapture() as capture:
                        _launch_kinematics(mujoco_warp, sim)
                finally:
                    gc.enable()
                self._graph = capture.graph
            warp.capture_launch(self._graph)


def _launch_kinematics(mujoco_warp: Any, sim: Any) -> None:
    mujoco_warp.fwd_kinematics(sim.wp_model, sim.wp_data)
    mujoco_warp.com_vel(sim.wp_model, sim.wp_data)


def describe_overflows(bits: int, n: int) -> str | None:
    """Return an alarm about the overflows of Warp's buffers; None where there was none.

    Args:
        bits: as `RewardRecorder.overflows`, of all environments together.
        n: in how many environments there was one.
    """
    if not bits:
        return None
    from mujoco_warp._src.types import OverflowType

    kinds = ", ".join(kind.name for kind in OverflowType if bits & kind)
    return (
        f"Warp's buffers overflowed in {n:,} environments ({kinds}), so contacts or constraints were left out there:"
        " the task's njmax or nconmax is too small for what the robot does"
    )
