"""Trainings on this machine's cores: collect a rollout, score it in one call, update the model."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple

import torch

from rewardsmith.contract.fitness import Fitness
from rewardsmith.contract.observation import choose_observation
from rewardsmith.contract.records import TrainJob, TrainSettings
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.contract.text import pluralize
from rewardsmith.worker.envs.env_faults import describe_faults
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.envs.observed import list_observed_signals
from rewardsmith.worker.envs.thread_choice import FixedThreads, FreeCoreThreads, ThreadChoice
from rewardsmith.worker.learned_signals.base import JobUse
from rewardsmith.worker.training import initial_policy
from rewardsmith.worker.training.actor import Actor
from rewardsmith.worker.training.episode_stats import EpisodeStatistics
from rewardsmith.worker.training.images import ImageScaling
from rewardsmith.worker.training.policy import Policy
from rewardsmith.worker.training.reward_scoring import Array, EnvironmentReward, ProgramReward
from rewardsmith.worker.training.rollout import RolloutCollector, RolloutStorage
from rewardsmith.worker.training.running_stats import ObsScaling
from rewardsmith.worker.training.training_loop import TrainingCallback, TrainingLoop


class BuiltModel(NamedTuple):
    """A model before its first update, and what its rollouts need."""

    model: Any
    """Of stable-baselines3: PPO, SAC or TD3."""
    scaling: ObsScaling | ImageScaling
    """Scaling of the observations that it sees."""
    actor: Actor
    rollout_steps: int


class RolloutLearner(TrainingLoop):
    """Base of the trainings with a model of stable-baselines3; a subclass builds the model and updates it."""

    def __init__(self, job: TrainJob, callback: TrainingCallback) -> None:
        super().__init__(job, callback)
        torch.set_num_threads(1)
        settings = job.settings
        program = parse_program(job.program) if job.program is not None else None
        fitness = Fitness.parse(job.fitness)

        # Environments gather only the signals that the program or the fitness names.
        signals = program.signals if program else ()
        observation = choose_observation(program, settings)
        threads = choose_threads(settings, callback)
        use = JobUse("train", callback.send_message)
        self.env = env = make_envs(
            job.env, settings.n_envs, signals, fitness.names, observation=observation, threads=threads, use=use
        )
        self.observed_signals = list_observed_signals(env, observation)
        fitness = fitness.bind_environment(env.max_episode_steps, env.step_s)
        self.reward_source = ProgramReward(program, env, job) if program else EnvironmentReward()
        self.model, self.scaling, actor, rollout_steps = self._build_model(settings, job.seed)
        self._blend = self.reward_source.blend
        if self._blend:
            self._blend.bind_policy(self.model.policy, self.scaling.scale)
        self.collector = RolloutCollector(env, actor, self.scaling, job.seed)
        self.rollout = RolloutStorage(rollout_steps, env)

        self._episodes = EpisodeStatistics(env.n, env.layout, fitness)
        self._initial_problem = self._inherit_policy(job.initial_policy) if job.initial_policy else None

    @abstractmethod
    def _build_model(self, settings: TrainSettings, seed: int) -> BuiltModel:
        """Build the model for the environments in `env`."""

    @abstractmethod
    def _update_model(self, total: Array) -> None:
        """Update the model with the rollout and its rewards (T, n)."""

    @abstractmethod
    def _name_parameters(self) -> dict[str, torch.Tensor]:
        """Return the model's parameters by the names of a policy's tensors."""

    def run_iteration(self) -> None:
        """Collect one rollout, score it and learn from it.

        Raises:
            RewardFailed: if the program misbehaves.
        """
        self.collect_rollout()
        scored = self.reward_source.score(self.rollout)
        self._episodes.add_rollout(self.rollout, scored)
        if self._blend is None or not self._blend.is_watching:
            self._update_model(scored.total)

    def collect_rollout(self) -> None:
        """Fill the rollout."""
        self.collector.collect_rollout(self.rollout)
        self.num_timesteps += self.rollout.steps * self.rollout.n

    def warning(self) -> str | None:
        """Return what the user should know about a training that finished, e.g. that the simulation broke."""
        warnings = [*self.list_warnings(), *describe_faults(self.env.faults)]
        if self._blend and not self._blend.has_seen_reward:
            warnings.append(
                "the environment paid nothing that differed: training.blend = 'barfi' learned no weights, and the"
                " program's were used"
            )
        broken = self.collector.broken_episodes
        if broken:
            episodes = pluralize(broken, "episode")
            warnings.append(
                f"the simulation broke in {episodes}, which ended there: an observation or the physics was not finite"
            )
        return "; ".join(warnings) or None

    def close(self) -> None:
        """End the environments and the reward process."""
        self.reward_source.close()
        self.env.close()

    def _take_over(self, inherited: Policy, share: float) -> None:
        """Set the model's parameters and the scaling of observations from a policy that fits."""
        initial_policy.mix_parameters(self._name_parameters(), inherited, share)
        initial_policy.inherit_normalisation(self.scaling, inherited)

    def _has_finite_parameters(self) -> bool:
        return all(bool(torch.isfinite(parameter).all()) for parameter in self.model.policy.parameters())


def choose_threads(settings: TrainSettings, callback: TrainingCallback) -> ThreadChoice:
    """Return what chooses the number of threads that step the simulations of a training."""
    if settings.physics_threads == "auto":
        return FreeCoreThreads(settings.n_envs, callback.count_free_cores)
    return FixedThreads(min(settings.physics_threads, settings.n_envs))
