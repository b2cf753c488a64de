"""The loop that every training has: rollouts until the steps are done, the learning curve, rungs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from rewardsmith.contract.job_messages import JobMessage
from rewardsmith.contract.records import CurvePoint, InitialPolicy, Rung, Status, TrainJob
from rewardsmith.contract.term_limits import describe_missed_limit, parse_limit
from rewardsmith.worker.training import initial_policy
from rewardsmith.worker.training.episode_stats import EpisodeStatistics
from rewardsmith.worker.training.policy import Policy
from rewardsmith.worker.training.reward_scoring import RewardSource


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


class TrainingLoop(ABC):
    """Base of trainings: `run` drives it, `run_iteration` is one rollout of it."""

    _episodes: EpisodeStatistics
    """Statistics of the training's episodes; set by the subclass."""
    reward_source: RewardSource
    """Source of the rewards; set by the subclass."""

    def __init__(self, job: TrainJob, callback: TrainingCallback) -> None:
        self._job, self._callback = job, callback
        self._rungs = sorted(rung for rung in job.rungs if rung < job.env_steps)
        self.curve: list[CurvePoint] = []
        self.num_timesteps = 0
        self.stop_reason: str | None = None
        self.inherited_from: str | None = None
        """Owner of the policy that the training begins with; None where it begins from nothing."""
        self._initial_problem: str | None = None

    @abstractmethod
    def run_iteration(self) -> None:
        """Collect one rollout, score it and learn from it.

        Raises:
            RewardFailed: if the program misbehaves.
        """

    @abstractmethod
    def extract_policy(self) -> Policy:
        """Return the policy in its present state."""

    @abstractmethod
    def _has_finite_parameters(self) -> bool:
        """Return whether every number of the policy is finite."""

    @abstractmethod
    def _take_over(self, inherited: Policy, share: float) -> None:
        """Set the parameters and the scaling of observations from a policy that fits."""

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
                self._report_point(self._pop_curve_point())

            if not self._wait_at_rungs():
                return "pruned"
        return "ok"

    def list_warnings(self) -> list[str]:
        """Return what the user should know about a training that finished: an initial policy or a limit not kept."""
        warnings = [self._initial_problem] if self._initial_problem else []
        for text, multiplier in self.curve[-1].multipliers.items() if self.curve else ():
            limit = parse_limit(text)
            means = [point.terms[limit.term] for point in self.curve if limit.term in point.terms]
            missed = describe_missed_limit(limit, means, multiplier)
            warnings += [missed] if missed else []
        return warnings

    def _pop_curve_point(self) -> CurvePoint:
        return self._episodes.pop_curve_point()

    def _report_point(self, point: CurvePoint) -> None:
        self.curve.append(point)
        self._callback.on_curve_point(point)

    def _wait_at_rungs(self) -> bool:
        """Wait at every rung that has been reached; return whether the training goes on."""
        while self._rungs and self.num_timesteps >= self._rungs[0]:
            env_steps = self._rungs.pop(0)
            rung = Rung(env_steps, self._episodes.compute_recent_fitness(), tuple(self.curve))
            if not self._callback.should_continue(rung):
                self.stop_reason = f"stopped at the rung of {env_steps:,} steps: its fitness was among the lower ones"
                return False
        return True

    def _inherit_policy(self, initial: InitialPolicy) -> str | None:
        """Begin with an earlier policy if it fits; return a line for the user if it does not."""
        inherited, problem = initial_policy.load_fitting_policy(initial, self.extract_policy())
        if inherited is None:
            return f"trained from nothing: {problem}"
        self._take_over(inherited, initial.share)
        self.inherited_from = initial.owner
        return None
