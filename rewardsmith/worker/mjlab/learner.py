"""The training loop on a device: collect a rollout, copy the named signals, score them in one call, update by PPO."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from rewardsmith.contract.fitness import Fitness
from rewardsmith.contract.records import CurvePoint, TrainJob
from rewardsmith.contract.reward_program import RewardProgram, parse_program
from rewardsmith.contract.signal_source import ENVIRONMENT_REWARD
from rewardsmith.worker.envs.base import ActionSpec, SignalLayout
from rewardsmith.worker.envs.signal_reader import select_signals
from rewardsmith.worker.mjlab import policies, recorder
from rewardsmith.worker.mjlab.catalogue import survey_lab_task
from rewardsmith.worker.mjlab.fields import SignalGatherer
from rewardsmith.worker.mjlab.rollouts import DeviceRollout, HostRollout
from rewardsmith.worker.mjlab.settings import apply_settings, build_learner_dict
from rewardsmith.worker.mjlab.tasks import LabTask, load_lab_task, make_lab_env, read_lab_actions
from rewardsmith.worker.training.episode_stats import EpisodeStatistics
from rewardsmith.worker.training.policy import Policy
from rewardsmith.worker.training.reward_scoring import EnvironmentReward, ProgramReward, ScoredRollout
from rewardsmith.worker.training.running_stats import RewardScaling
from rewardsmith.worker.training.training_loop import TrainingCallback, TrainingLoop

FOLLOWED_ENVS = 64
"""Environments whose episodes make the learning curve, spread evenly; the terms' means are of all."""


@dataclass
class PhaseTimes:
    """Wall time of a training's phases, in seconds; the device is waited for between them."""

    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("physics", "copy", "scoring", "learner"), 0.0)
    )

    @contextmanager
    def measure(self, phase: str, device: str) -> Iterator[None]:
        """Add the time of a block to a phase."""
        start = time.perf_counter()
        yield
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        self.seconds[phase] += time.perf_counter() - start


@dataclass(frozen=True)
class ScoredEnvs:
    """Facts about environments that scoring asks for (`ProgramReward`)."""

    n: int
    layout: SignalLayout
    actions: ActionSpec


class LabLearner(TrainingLoop):
    """A training of a task of mjlab."""

    def __init__(self, job: TrainJob, callback: TrainingCallback, n_envs: int | None = None) -> None:
        """Build environments, learner and reward process.

        Args:
            job: what to train.
            callback: receives the reports.
            n_envs: how many environments, in place of those of the settings.

        Raises:
            UserError: if the task, a signal or a setting does not fit.
            RuntimeError: if the device's memory is too small (`is_out_of_memory`).
        """
        super().__init__(job, callback)
        program = parse_program(job.program) if job.program is not None else None
        fitness = Fitness.parse(job.fitness)
        self.task = task = load_lab_task(job.env)
        chosen = apply_settings(task, job.settings, program)
        policies.check_learner(task.learner_config, job.env.env_id)
        self.n_envs = n_envs or chosen

        torch.manual_seed(job.seed)
        self.env = make_lab_env(task, self.n_envs, job.seed % 2**31)
        self._wrapped, self.layout = self._wrap_env(program, fitness)
        self._fitness = fitness.bind_environment(task.max_episode_steps, task.step_s)
        self._obs = self._wrapped.get_observations()
        self.algorithm = self._build_algorithm(job.seed)
        self.rollout = DeviceRollout(task.learner_config.num_steps_per_env, self.env, self._gatherer, self._recorder)
        self.actions = read_lab_actions(self.env, task.learner_config.clip_actions)
        self._initial_problem = self._inherit_policy(job.initial_policy) if job.initial_policy else None
        self._open_scoring(program)
        self.times = PhaseTimes()

    def _wrap_env(self, program: RewardProgram | None, fitness: Fitness) -> tuple[Any, SignalLayout]:
        """Put the recorder in place; return the environments as rsl_rl takes them, and the layout."""
        from mjlab.rl import RslRlVecEnvWrapper

        layout = choose_layout(self.task, self.env, tuple(program.signals) if program else (), tuple(fitness.names))
        self._gatherer = SignalGatherer(self.env, layout)
        pays = program is None or reads_environment_reward(layout)
        self._recorder = recorder.RewardRecorder(self.env, self._gatherer, pays)
        wrapped = RslRlVecEnvWrapper(self.env, clip_actions=self.task.learner_config.clip_actions)
        # As mjlab's own training begins: else all episodes would end in the same step.
        wrapped.episode_length_buf = torch.randint_like(wrapped.episode_length_buf, high=wrapped.max_episode_length)
        return wrapped, layout

    def _build_algorithm(self, seed: int) -> Any:
        from rsl_rl.algorithms import PPO

        torch.manual_seed(seed)
        made = PPO.construct_algorithm(
            self._obs, self._wrapped, build_learner_dict(self.task.learner_config), self.task.device
        )
        made.train_mode()
        return made

    def _open_scoring(self, program: RewardProgram | None) -> None:
        job, n = self._job, self.n_envs
        envs: Any = ScoredEnvs(n, self.layout, self.actions)
        self.reward_source = ProgramReward(program, envs, job) if program else EnvironmentReward()
        # mjlab's own reward has the scale that its settings were made for; a program's is unknown.
        is_scaled = program is not None and job.settings.normalize_reward
        self._scaling = RewardScaling(n, self.algorithm.gamma, is_scaled)
        self._followed = np.unique(np.linspace(0, n - 1, min(n, FOLLOWED_ENVS)).astype(np.intp))
        self._episodes = EpisodeStatistics(len(self._followed), self.layout, self._fitness)

    def run_iteration(self) -> None:
        """Collect one rollout, score it and learn from it.

        Raises:
            RewardFailed: if the program misbehaves.
        """
        device, measure = self.task.device, self.times.measure
        with measure("physics", device):
            self._collect_rollout()
        with measure("copy", device):
            host = self.rollout.copy_to_host()
        with measure("scoring", device):
            scored = self.reward_source.score(host)
            self._follow_episodes(host, scored)
            rewards = self._scaling.scale(scored.total, host.ended)
        with measure("learner", device):
            # The storage holds the bootstrapped values of time limits; the rewards are added to them.
            with torch.no_grad():
                self.algorithm.storage.rewards += torch.from_numpy(rewards).to(device)[:, :, None]
                self.algorithm.compute_returns(self._obs)
            self.algorithm.update()
        self.num_timesteps += host.steps * host.n

    def _collect_rollout(self) -> None:
        """Act in the environments; nothing is rewarded yet."""
        algorithm, wrapped, rollout = self.algorithm, self._wrapped, self.rollout
        nothing = torch.zeros(self.n_envs, device=self.task.device)
        with torch.no_grad():
            for step in range(self.task.learner_config.num_steps_per_env):
                actions = algorithm.act(self._obs)
                rollout.record_before(step, self._clip(actions))
                self._obs, own, dones, extras = wrapped.step(actions)
                rollout.record_after(step, own, self.env.reset_terminated, dones)
                algorithm.process_env_step(self._obs, nothing, dones, extras)

    def _clip(self, actions: torch.Tensor) -> torch.Tensor:
        bound = self.task.learner_config.clip_actions
        return actions if bound is None else actions.clamp(-bound, bound)

    def _follow_episodes(self, host: HostRollout, scored: ScoredRollout) -> None:
        rows = self._followed
        goal = None if scored.goal is None else scored.goal[:, rows]
        followed = host if host.n == len(rows) else host.select_envs(rows)
        self._episodes.add_rollout(followed, replace(scored, total=scored.total[:, rows], goal=goal))

    def _pop_curve_point(self) -> CurvePoint:
        # The statistics count the steps of the followed environments alone.
        return replace(super()._pop_curve_point(), env_steps=self.num_timesteps)

    def _has_finite_parameters(self) -> bool:
        return all(bool(torch.isfinite(tensor).all()) for tensor in self.algorithm.actor.parameters())

    def extract_policy(self) -> Policy:
        """Return the policy in its present state."""
        return policies.extract_policy(self.algorithm, self.task.learner_config, self.actions)

    def list_warnings(self) -> list[str]:
        """Return what the user should know about the training, such as overflows of Warp's buffers."""
        warnings = super().list_warnings()
        bits = int(np.bitwise_or.reduce(self._recorder.overflows.cpu().numpy(), initial=0))
        alarm = recorder.describe_overflows(bits, int((self._recorder.overflows != 0).sum()))
        broken = int(self.rollout.broken)
        if alarm:
            warnings.append(alarm)
        if broken:
            warnings.append(f"the simulation broke in {broken:,} steps: a signal was not finite there")
        return warnings

    def close(self) -> None:
        """End the environments and the reward process."""
        self.reward_source.close()
        self.env.close()

    def _take_over(self, inherited: Policy, share: float) -> None:
        policies.inherit_policy(self.algorithm, inherited, share)


def choose_layout(task: LabTask, env: Any, gather: tuple[str, ...], measured: tuple[str, ...]) -> SignalLayout:
    """Return the layout of the named signals, the spec's own before the task's catalogue.

    Args:
        task: the task.
        env: its environments.
        gather: names of signals; that of a privileged one is unknown here.
        measured: names in fitness expressions, which may be those of privileged signals.

    Raises:
        TaskError: if a name is unknown.
    """
    signals, privileged = task.spec.signals, task.spec.privileged_signals
    if not {signal.name for signal in (*signals, *privileged)}.issuperset((*gather, *measured)):
        survey = survey_lab_task(task, env)
        signals, privileged = survey.signals, survey.privileged_signals
    select_signals(signals, gather)
    return select_signals((*signals, *privileged), (*gather, *measured))


def reads_environment_reward(layout: SignalLayout) -> bool:
    """Return whether a signal reads the environment's own reward, which is computed only then."""
    return any(ENVIRONMENT_REWARD in signal.source for signal in layout.signals)
