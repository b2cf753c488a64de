"""A training under way: rollouts, their scores in one call, PPO's update, until the steps are done."""

from __future__ import annotations

from typing import Any, Protocol

import torch

from rewardsmith.contract.fitness.expression import Fitness
from rewardsmith.contract.records import CurvePoint, Rung, Status, TrainJob, TrainSettings
from rewardsmith.contract.reward_program import parse
from rewardsmith.contract.text import counted
from rewardsmith.worker.envs.make import make
from rewardsmith.worker.training import policy, ppo
from rewardsmith.worker.training.actor import Actor, make_actor
from rewardsmith.worker.training.episode_stats import Episodes
from rewardsmith.worker.training.images import ImageScaling
from rewardsmith.worker.training.reward_scoring import Array, OwnReward, ProgramReward, Scorer
from rewardsmith.worker.training.rollout import Collector, Rollout
from rewardsmith.worker.training.running_stats import ObsScaling, RewardScaling


class Control(Protocol):
    """Whom a training reports to."""

    def point(self, point: CurvePoint) -> None:
        """Take a new point of the learning curve."""

    def go_on(self, rung: Rung) -> bool:
        """Tell whether to go on after a rung; may take its time."""
        ...


class Unattended:
    """Nobody: the training runs to its end."""

    def point(self, point: CurvePoint) -> None:
        """Do nothing."""

    def go_on(self, rung: Rung) -> bool:
        """Go on."""
        return True


class Learner:
    """A training under way: everything that it consists of, put together and driven rollout by rollout."""

    model: Any
    """Of stable-baselines3: PPO, SAC or TD3."""

    def __init__(self, job: TrainJob, control: Control) -> None:
        torch.set_num_threads(1)
        self._job, self._control = job, control
        settings = job.settings
        program = parse(job.program) if job.program is not None else None
        fitness = Fitness.parse(job.fitness)
        signals = program.signals if program else ()
        self.env = env = make(job.env, settings.n_envs, signals, fitness.names)
        self.scorer: Scorer = ProgramReward(program, env, job.limits) if program else OwnReward()
        self.scaling, actor, steps = self._prepare(settings, job.seed)
        self.collector = Collector(env, actor, self.scaling, job.seed)
        self.rollout = Rollout(steps, env)
        self._episodes = Episodes(env.n, env.layout, fitness)
        self._rungs = sorted(rung for rung in job.rungs if rung < job.env_steps)
        self.curve: list[CurvePoint] = []
        self.done = 0
        self.reason: str | None = None

    def _prepare(self, settings: TrainSettings, seed: int) -> tuple[ObsScaling | ImageScaling, Actor, int]:
        """Build the model; return how observations are scaled, who acts, and a rollout's steps."""
        env = self.env
        self._rewards = RewardScaling(env.n, settings.gamma, settings.normalize_reward)
        self.model = ppo.build(settings, env.obs_dim, env.actions, seed, env.image)
        scaling = ImageScaling(env.image) if env.image else ObsScaling(env.n, env.obs_dim, settings.normalize_obs)
        return scaling, make_actor(self.model.policy, env.n, env.actions.n), settings.n_steps

    def run(self) -> Status:
        """Train to the end, or until a rung or the program stops it.

        Raises:
            RewardFailed: if the program misbehaves.
        """
        job = self._job
        reported, step = 0, job.env_steps / job.settings.checkpoints
        while self.done < job.env_steps:
            self.advance()
            if not self._is_sound():
                self.reason = "the policy's numbers stopped being finite: the rewards gave it no usable direction"
                return "failed"
            if self.done >= step * (reported + 1) or self.done >= job.env_steps:
                reported = int(self.done / step)
                self.curve.append(self._episodes.point())
                self._control.point(self.curve[-1])
            if not self._passes_rungs():
                return "pruned"
        return "ok"

    def policy(self) -> policy.Policy:
        """Return the policy as it stands."""
        return ppo.to_policy(self.model, self._job.settings, self.env.actions, self.scaling, self.env.image)

    def misfortune(self) -> str | None:
        """Return what the user should know of a training that went to its end all the same."""
        broken = self.collector.broken
        if not broken:
            return None
        episodes = counted(broken, "episode")
        return f"the simulation broke in {episodes}, which ended there: an observation or the physics was not finite"

    def close(self) -> None:
        """End the environments and the reward process."""
        self.scorer.close()
        self.env.close()

    def advance(self) -> None:
        """Collect one rollout, score it and learn from it.

        Raises:
            RewardFailed: if the program misbehaves.
        """
        self.collect()
        scored = self.scorer.score(self.rollout)
        self._episodes.take(self.rollout, scored)
        self._learn(scored.total)

    def collect(self) -> None:
        """Fill the rollout."""
        self.collector.collect(self.rollout)
        self.done += self.rollout.steps * self.rollout.n

    def _learn(self, total: Array) -> None:
        """Update the model by the rollout and its rewards (T, n)."""
        rewards = self._rewards.scaled(total, self.rollout.ended)
        ppo.fill_buffer(self.model, self.rollout, rewards, self.scaling)
        self.model._update_current_progress_remaining(self.done, self._job.env_steps)
        self.model.train()

    def _is_sound(self) -> bool:
        return all(bool(torch.isfinite(parameter).all()) for parameter in self.model.policy.parameters())

    def _passes_rungs(self) -> bool:
        """Wait at every rung that has been reached; return whether the training goes on."""
        while self._rungs and self.done >= self._rungs[0]:
            rung = Rung(self._rungs.pop(0), self._episodes.recent_fitness(), tuple(self.curve))
            if not self._control.go_on(rung):
                self.reason = f"stopped at the rung of {rung.env_steps:,} steps: its fitness was among the lower ones"
                return False
        return True
