"""The training loop: collect a rollout, score it in one call, update the policy, until the steps are done."""

from __future__ import annotations

from typing import Any, Protocol

import torch

from rewardsmith.contract.fitness import Fitness
from rewardsmith.contract.job_messages import JobMessage
from rewardsmith.contract.observation import choose_observation
from rewardsmith.contract.records import CurvePoint, InitialPolicy, Rung, Status, TrainJob, TrainSettings
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.contract.term_limits import describe_missed_limit, parse_limit
from rewardsmith.contract.text import pluralize
from rewardsmith.worker.envs.env_faults import describe_faults
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.envs.observed import list_observed_signals
from rewardsmith.worker.envs.thread_choice import FixedThreads, FreeCoreThreads, ThreadChoice
from rewardsmith.worker.learned_signals.base import JobUse
from rewardsmith.worker.training import initial_policy, policy, ppo
from rewardsmith.worker.training.actor import Actor, make_actor
from rewardsmith.worker.training.checkpoints import BestCheckpoint
from rewardsmith.worker.training.episode_stats import EpisodeStatistics
from rewardsmith.worker.training.images import ImageScaling
from rewardsmith.worker.training.reward_scoring import Array, EnvironmentReward, ProgramReward, RewardSource
from rewardsmith.worker.training.rollout import RolloutCollector, RolloutStorage
from rewardsmith.worker.training.running_stats import ObsScaling, PictureScaling, RewardScaling


class TrainingCallback(Protocol):
    """Receiver of a training's reports."""

    def on_curve_point(self, point: CurvePoint) -> None:
        """Take a new point of the learning curve."""

    def should_continue(self, rung: Rung) -> bool:
        """Decide whether the training goes on after a rung; may block."""
        ...

    def count_free_cores(self) -> int:
        """Return how many cores the training may use now, its own included."""
        ...

    def send_message(self, message: JobMessage) -> None:
        """Send a message to the orchestrator."""


class NullTrainingCallback:
    """Callback of a training that runs to its end and reports to nobody."""

    def on_curve_point(self, point: CurvePoint) -> None:
        """Do nothing."""

    def should_continue(self, rung: Rung) -> bool:
        """Go on."""
        return True

    def count_free_cores(self) -> int:
        """Return one, the core on which the training runs."""
        return 1

    def send_message(self, message: JobMessage) -> None:
        """Do nothing."""


class Learner:
    """A training with PPO; `run` drives it, `run_iteration` is one rollout of it."""

    model: Any
    """A model of stable-baselines3: PPO, SAC or TD3."""

    def __init__(self, job: TrainJob, callback: TrainingCallback) -> None:
        torch.set_num_threads(1)
        self._job, self._callback = job, callback
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
        self.reward_source: RewardSource = ProgramReward(program, env, job) if program else EnvironmentReward()
        self.scaling, actor, n_steps = self._build_model(settings, job.seed)
        self.collector = RolloutCollector(env, actor, self.scaling, job.seed)
        self.rollout = RolloutStorage(n_steps, env)

        # Progress
        self._episodes = EpisodeStatistics(env.n, env.layout, fitness)
        self._rungs = sorted(rung for rung in job.rungs if rung < job.env_steps)
        self.curve: list[CurvePoint] = []
        self.num_timesteps = 0
        self.stop_reason: str | None = None
        self._best = BestCheckpoint() if settings.keep == "best_return" else None

        self.inherited_from: str | None = None
        """Owner of the policy that the training begins with; None where it begins from nothing."""
        self._initial_problem = self._inherit_policy(job.initial_policy) if job.initial_policy else None

    def _build_model(self, settings: TrainSettings, seed: int) -> tuple[ObsScaling | ImageScaling, Actor, int]:
        """Build the model; return the scaling of observations, the actor of rollouts, and a rollout's steps."""
        env = self.env
        self._reward_scaling = RewardScaling(env.n, settings.gamma, settings.normalize_reward)
        self.model = ppo.build_model(settings, env.obs_dim, env.actions, seed, env.image, env.image_parts)
        scaling: ObsScaling | ImageScaling
        if env.image:
            scaling = ImageScaling(env.image)
        elif env.image_parts:
            scaling = PictureScaling(env.n, env.obs_dim, env.image_parts, settings.normalize_obs)
        else:
            scaling = ObsScaling(env.n, env.obs_dim, settings.normalize_obs)
        return scaling, make_actor(self.model.policy, env.n, env.actions.n), settings.n_steps

    def run(self) -> Status:
        """Train to the end, or until a rung or the program stops it.

        Raises:
            RewardFailed: if the program misbehaves.
        """
        total_timesteps = self._job.env_steps
        checkpoint_steps = total_timesteps / self._job.settings.checkpoints
        checkpoint = 0
        while self.num_timesteps < total_timesteps:
            self.run_iteration()

            if not self._has_finite_parameters():
                self.stop_reason = "the policy's numbers stopped being finite: the rewards gave it no usable direction"
                return "failed"

            # Report a point of the learning curve at each checkpoint, and at the end
            is_finished = self.num_timesteps >= total_timesteps
            if is_finished or self.num_timesteps >= checkpoint_steps * (checkpoint + 1):
                checkpoint = int(self.num_timesteps / checkpoint_steps)
                self.curve.append(self._episodes.pop_curve_point())
                self._callback.on_curve_point(self.curve[-1])
                if self._best:
                    self._best.add_checkpoint(self.curve[-1], self.extract_policy)

            if not self._wait_at_rungs():
                return "pruned"
        return "ok"

    def run_iteration(self) -> None:
        """Collect one rollout, score it and learn from it.

        Raises:
            RewardFailed: if the program misbehaves.
        """
        self.collect_rollout()
        scored = self.reward_source.score(self.rollout)
        self._episodes.add_rollout(self.rollout, scored)
        self._update_model(scored.total)

    def collect_rollout(self) -> None:
        """Fill the rollout."""
        self.collector.collect_rollout(self.rollout)
        self.num_timesteps += self.rollout.steps * self.rollout.n

    def _update_model(self, total: Array) -> None:
        """Update the model with the rollout and its rewards (T, n)."""
        rewards = self._reward_scaling.scale(total, self.rollout.ended)
        ppo.fill_buffer(self.model, self.rollout, rewards, self.scaling)

        # Schedules of SB3 (learning rate, clip range) read the progress
        self.model._update_current_progress_remaining(self.num_timesteps, self._job.env_steps)
        self.model.train()

        logged = self.model.logger.name_to_value
        self._episodes.add_update(logged["train/approx_kl"], logged["train/clip_fraction"])

    def extract_policy(self) -> policy.Policy:
        """Return the policy in its present state."""
        settings, env = self._job.settings, self.env
        return ppo.extract_policy(
            *(self.model, settings, env.actions, self.scaling, env.image),
            observation=self.observed_signals,
            image_parts=env.image_parts,
        )

    def kept_policy(self) -> policy.Policy:
        """Return the policy that the training gives, as `training.keep` says."""
        return (self._best.policy if self._best else None) or self.extract_policy()

    @property
    def kept_env_steps(self) -> int | None:
        """Environment steps at which the kept policy was copied; None where it is the last one."""
        return self._best.env_steps if self._best else None

    def warning(self) -> str | None:
        """Return what the user should know about a training that finished, e.g. that the simulation broke."""
        warnings = [*([self._initial_problem] if self._initial_problem else []), *describe_faults(self.env.faults)]
        warnings += self._describe_missed_limits()
        broken = self.collector.broken_episodes
        if broken:
            episodes = pluralize(broken, "episode")
            warnings.append(
                f"the simulation broke in {episodes}, which ended there: an observation or the physics was not finite"
            )
        return "; ".join(warnings) or None

    def _describe_missed_limits(self) -> list[str]:
        """Return a line for each limit of a term that was not kept at the end."""
        lines = []
        for text, multiplier in self.curve[-1].multipliers.items() if self.curve else ():
            limit = parse_limit(text)
            means = [point.terms[limit.term] for point in self.curve if limit.term in point.terms]
            lines.append(describe_missed_limit(limit, means, multiplier))
        return [line for line in lines if line]

    def close(self) -> None:
        """End the environments and the reward process."""
        self.reward_source.close()
        self.env.close()

    def _inherit_policy(self, initial: InitialPolicy) -> str | None:
        """Begin with an earlier policy if it fits; return a line for the user if it does not."""
        inherited, problem = initial_policy.load_fitting_policy(initial, self.extract_policy())
        if inherited is None:
            return f"trained from nothing: {problem}"
        self._take_over(inherited, initial.share)
        self.inherited_from = initial.owner
        return None

    def _take_over(self, inherited: policy.Policy, share: float) -> None:
        """Set the model's parameters and the scaling of observations from a policy that fits."""
        initial_policy.mix_parameters(self._name_parameters(), inherited, share)
        initial_policy.inherit_normalisation(self.scaling, inherited)

    def _name_parameters(self) -> dict[str, torch.Tensor]:
        """Return the model's parameters by the names of a policy's tensors."""
        return ppo.name_parameters(self.model)

    def _has_finite_parameters(self) -> bool:
        return all(bool(torch.isfinite(parameter).all()) for parameter in self.model.policy.parameters())

    def _wait_at_rungs(self) -> bool:
        """Wait at every rung that has been reached; return whether the training goes on."""
        while self._rungs and self.num_timesteps >= self._rungs[0]:
            env_steps = self._rungs.pop(0)
            rung = Rung(env_steps, self._episodes.compute_recent_fitness(), tuple(self.curve))
            if not self._callback.should_continue(rung):
                self.stop_reason = f"stopped at the rung of {env_steps:,} steps: its fitness was among the lower ones"
                return False
        return True


def choose_threads(settings: TrainSettings, callback: TrainingCallback) -> ThreadChoice:
    """Return what chooses the number of threads that step the simulations of a training."""
    if settings.physics_threads == "auto":
        return FreeCoreThreads(settings.n_envs, callback.count_free_cores)
    return FixedThreads(min(settings.physics_threads, settings.n_envs))
