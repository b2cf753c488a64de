"""Jobs of a worker; `job_settings` has the settings that they carry, `job_results` the records that answer them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar

from annotated_types import Gt, Le

from rewardsmith.contract.records.environment import EnvSpec
from rewardsmith.contract.records.fitness import Motion
from rewardsmith.contract.records.job_results import (
    CurvePoint,
    Evaluation,
    JobResult,
    PolicyFile,
    PolicyFormat,
    Probe,
    Training,
    Video,
)
from rewardsmith.contract.records.job_settings import Limits, TrainSettings
from rewardsmith.contract.records.json_files import load
from rewardsmith.contract.records.types import Status


@dataclass(frozen=True)
class InitialPolicy:
    """The policy that a training begins with, in place of a random one."""

    folder: str
    """Path of the policy's folder."""
    owner: str
    """Candidate whose policy it is, or another name for messages."""
    share: Annotated[float, Gt(0.0), Le(1.0)] = 1.0
    """Share of its parameters: a training begins with share * inherited + (1 - share) * random ones (ROSKA, AAAI 2025,
    arXiv:2412.13492). The normalisation of observations is inherited as a whole."""


@dataclass(frozen=True)
class ReferenceScores:
    """Recorded transitions as a program takes them, with the scores that its trial scoring gave them."""

    action: tuple[float, ...]
    """(m, a), flattened; in time order from an episode's start where the program has memory."""
    before: dict[str, tuple[float, ...]]
    after: dict[str, tuple[float, ...]]
    start: dict[str, tuple[float, ...]]
    """Signal name to its values (m, *shape), flattened; only the signals that the program names."""
    terms: dict[str, tuple[float, ...]]
    """Term name to (m,)."""
    terminated: tuple[bool, ...] = ()
    """(m,), where the environment's rule ended the episode; empty where the program does not take it."""


@dataclass(frozen=True)
class Rung:
    """A training's standing where it waits to be told to go on or to stop."""

    env_steps: int
    """The rung, as the job names it; the training has done at least so many."""
    fitness: float | None
    """Mean fitness of the last 40 episodes that ended, acting with exploration noise; None before the first."""
    curve: tuple[CurvePoint, ...]
    """The learning curve so far."""


R_co = TypeVar("R_co", bound=JobResult, covariant=True)


class Job(ABC, Generic[R_co]):
    """A piece of work for a worker process; `R_co` is the record that answers it."""

    env: EnvSpec
    """The environment that it is about."""
    result_type: ClassVar[type[Any]]
    """Record type that answers the job."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """Name of the kind in job.json; a field of every job."""

    @property
    def policy_folder(self) -> str | None:
        """Path of the policy that the job reads; None where it reads none."""
        return None

    def with_policy(self, folder: Path) -> Self:
        """Return the job with its policy read from another folder."""
        return self

    @abstractmethod
    def build_unfinished(self, status: Status, cause: str, curve: tuple[CurvePoint, ...] = ()) -> R_co:
        """Return the result of the job where it could not be done.

        Args:
            status: how it ended; not "ok".
            cause: why; the first line is what a user reads.
            curve: the learning curve of a training up to its end.
        """


@dataclass(frozen=True)
class PolicyJob(Job[R_co]):
    """Base of the jobs that read a policy."""

    env: EnvSpec
    policy: str | None
    """Path of a policy folder (policy.safetensors, policy.json); None acts at random."""

    @property
    def policy_folder(self) -> str | None:
        """See `Job.policy_folder`."""
        return self.policy

    def with_policy(self, folder: Path) -> Self:
        """See `Job.with_policy`."""
        return replace(self, policy=str(folder))


@dataclass(frozen=True)
class ProbeJob(Job[Probe]):
    """Probe an environment: its signal catalogue, and transitions under random actions."""

    env: EnvSpec
    seed: int
    transitions: int
    """How many transitions to record, over at least two episodes where they end."""
    kind: Literal["probe"] = "probe"
    result_type: ClassVar[type[Probe]] = Probe

    def build_unfinished(self, status: Status, cause: str, curve: tuple[CurvePoint, ...] = ()) -> Probe:
        """See `Job.build_unfinished`."""
        return Probe((), (), (), (), None, (), None, 0, status, cause)


@dataclass(frozen=True)
class TrainJob(Job[Training]):
    """Train a policy on a program, or on the environment's own reward."""

    env: EnvSpec
    program: str | None
    """The program's text; None trains on the environment's own reward (a baseline, never shown to a designer)."""
    fitness: str
    """Fitness expression, for the learning curve only."""
    seed: int
    env_steps: int
    settings: TrainSettings = field(default_factory=TrainSettings)
    limits: Limits = field(default_factory=Limits)
    rungs: tuple[int, ...] = ()
    """Environment steps, ascending, at which the training reports and waits to be told to go on or to stop."""
    reference: ReferenceScores | None = None
    """Scores of the program's trial scoring: the training fails where its terms differ."""
    initial_policy: InitialPolicy | None = None
    """The policy to begin with; one that does not fit is not used, and the training says so in its `cause`."""
    kind: Literal["train"] = "train"
    result_type: ClassVar[type[Training]] = Training

    @property
    def policy_folder(self) -> str | None:
        """See `Job.policy_folder`."""
        return self.initial_policy.folder if self.initial_policy else None

    def with_policy(self, folder: Path) -> Self:
        """See `Job.with_policy`."""
        if self.initial_policy is None:
            return self
        return replace(self, initial_policy=replace(self.initial_policy, folder=str(folder)))

    def build_unfinished(self, status: Status, cause: str, curve: tuple[CurvePoint, ...] = ()) -> Training:
        """See `Job.build_unfinished`."""
        env_steps = curve[-1].env_steps if curve else 0
        return Training(status, self.seed, env_steps, curve, 0.0, 0.0, 0.0, cause)


@dataclass(frozen=True)
class EvaluateJob(PolicyJob[Evaluation]):
    """Run a policy on held-out seeds; it never sees a program."""

    fitness: str
    seeds: tuple[int, ...]
    """One episode per seed."""
    record: tuple[str, ...] = ()
    """Signals to record in addition to those that the fitness and the metrics name."""
    deterministic: bool = True
    metrics: dict[str, str] = field(default_factory=dict)
    """Auxiliary metrics of the task, name to expression; measured on the same episodes."""
    motion: Motion | None = None
    """Scripted motion that acts in place of a policy."""
    actor: str | None = None
    """A user's function "module:function" that acts in place of a policy: one observation to one action."""
    kind: Literal["evaluate"] = "evaluate"
    result_type: ClassVar[type[Evaluation]] = Evaluation

    def build_unfinished(self, status: Status, cause: str, curve: tuple[CurvePoint, ...] = ()) -> Evaluation:
        """See `Job.build_unfinished`."""
        return Evaluation(status, (), None, 0.0, cause)


@dataclass(frozen=True)
class RenderJob(PolicyJob[Video]):
    """Render the episode that an evaluation runs under the same seed."""

    fitness: str
    seed: int
    """Seed of the episode."""
    program: str | None = None
    """A program whose terms are shown; it is asked about the recorded signals in its sealed process."""
    title: str = ""
    """First line of the overlay."""
    deterministic: bool = True
    width: int = 480
    """Width of a frame, in pixels; even, as the height."""
    height: int = 360
    overlay: bool = True
    """Write step, fitness so far and terms over the picture."""
    fast: bool = True
    """Without shadows, reflections and multisampling, where MuJoCo draws."""
    limits: Limits = field(default_factory=Limits)
    stills: tuple[int, ...] = ()
    """Steps of the episode (0 is the start) whose single frames are wanted instead of a video, in `stills.npz`."""
    evaluation: str | None = None
    """Folder of the evaluation that recorded the episode, where no other run of it comes out the same: it is drawn
    from the recording. None runs it again."""
    kind: Literal["render"] = "render"
    result_type: ClassVar[type[Video]] = Video

    def build_unfinished(self, status: Status, cause: str, curve: tuple[CurvePoint, ...] = ()) -> Video:
        """See `Job.build_unfinished`."""
        return Video(status, seed=self.seed, cause=cause)


@dataclass(frozen=True)
class ExportJob(PolicyJob[PolicyFile]):
    """Write a trained policy in a format of others."""

    policy: str
    """Path of the policy's folder."""
    format: PolicyFormat
    kind: Literal["export"] = "export"
    result_type: ClassVar[type[PolicyFile]] = PolicyFile

    def build_unfinished(self, status: Status, cause: str, curve: tuple[CurvePoint, ...] = ()) -> PolicyFile:
        """See `Job.build_unfinished`."""
        return PolicyFile(status, cause=cause)


AnyJob = ProbeJob | TrainJob | EvaluateJob | RenderJob | ExportJob


def load_job(data: Mapping[str, Any]) -> Job[JobResult]:
    """Return the job that `dump` turned into `data`, of the class that its `kind` names.

    Raises:
        pydantic.ValidationError: if the data is no job.
    """
    job: AnyJob = load(AnyJob, dict(data))  # type: ignore[arg-type]
    return job
