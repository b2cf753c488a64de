"""Records that answer the jobs of a worker: what a probe, a training, an evaluation, a video or an export came to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from rewardsmith.contract.records.environment import EnvSpec, InfoEntry, Signal
from rewardsmith.contract.records.judge import JudgeScore
from rewardsmith.contract.records.types import JsonValue, LowerBound, Status, UpperBound


@dataclass(frozen=True)
class Probe:
    """The description of an environment; the recorded transitions lie in `transitions.npz` in the same folder.

    Its arrays are `before/<signal>`, `after/<signal>`, `start/<signal>` of shape (n, *shape), `action` of shape
    (n, a), `step` (n,), the transition's index in its episode, and `terminated` (n,), 1 where the episode ended with
    the transition by the environment's rule.
    """

    signals: tuple[Signal, ...]
    """The catalogue, the task's own signals first."""
    action_shape: tuple[int, ...]
    action_low: tuple[LowerBound, ...]
    """-inf if there is no lower bound."""
    action_high: tuple[UpperBound, ...]
    discrete_actions: int | None
    """Number of actions of a discrete space, else None."""
    observation_shape: tuple[int, ...]
    max_episode_steps: int | None
    transitions: int
    status: Status = "ok"
    cause: str | None = None
    privileged_signals: tuple[Signal, ...] = ()
    """Signals that only a fitness expression or a metric may name; they are not recorded in the transitions."""
    info: tuple[InfoEntry, ...] = ()
    """Entries that the environment reports in `info`, and how each is used."""
    observation_space: str = ""
    """As Gymnasium writes it."""
    action_space: str = ""
    batched: bool = False
    """All environments are stepped at once on batched physics; else one by one."""
    action_about: str = ""
    """The action in words, as far as the space tells; for tasks whose card does not say more."""
    action_names: tuple[str, ...] = ()
    """The environment's own names of its choices, or of the numbers of an action; empty where it has none."""
    about: str = ""
    """Docstring of the environment's class, without its sections on rewards; shown in a prompt where the task has no
    card."""
    remarks: tuple[str, ...] = ()
    """Remarks about the environment for the user, a line each."""
    robot_options: dict[str, JsonValue] = field(default_factory=dict)
    """Options of a robot from its file, with the values that hold where the card says nothing; empty for others."""
    unobserved: dict[str, tuple[int, ...]] | None = None
    """Signal name to its components, flattened, that the policy's observation does not tell; None where that is not
    known. A signal that is missing here is observed, or it is not known whether it is."""

    def complete_env(self, env: EnvSpec) -> EnvSpec:
        """Return the environment that was probed with its whole catalogue of signals, as jobs take it."""
        return replace(env, signals=self.signals, privileged_signals=self.privileged_signals)


@dataclass(frozen=True)
class CurvePoint:
    """One point of a learning curve: means over the episodes that ended since the point before."""

    env_steps: int
    episodes: int
    """How many episodes ended; the means below are None where none did."""
    reward: float | None
    """Mean episode return of the program's total (of the environment's own reward for a baseline). Terms that
    `training.constraints` holds at limits are not in it, and learned weights neither."""
    length: float | None
    """Mean episode length in environment steps."""
    fitness: float | None
    """Mean fitness of the training episodes, acting with exploration noise. Diagnosis, not a result."""
    terms: dict[str, float] = field(default_factory=dict)
    """Mean of each term per step, before its weight."""
    approx_kl: float | None = None
    """Mean approximate KL divergence of PPO's updates, as stable-baselines3 logs it; None for other trainers. People
    see it, prompts do not."""
    clip_fraction: float | None = None
    """Mean fraction of transitions whose ratio PPO's updates clipped; None for other trainers."""
    multipliers: dict[str, float] = field(default_factory=dict)
    """Limit of a term, "effort <= 0.3", to its Lagrange multiplier at the point; empty without constraints."""
    weights: dict[str, float] = field(default_factory=dict)
    """Term to its learned weight at the point, where the environment reward has 1; empty with fixed weights."""


@dataclass(frozen=True)
class Training:
    """A finished training; `policy.safetensors` and `policy.json` are in the same folder when status is ok."""

    status: Status
    seed: int
    env_steps: int
    """Environment steps really done."""
    curve: tuple[CurvePoint, ...]
    wall_s: float
    cpu_s: float
    reward_s: float
    """Wall time spent waiting for the reward process."""
    cause: str | None = None
    """Why it ended: the first line is what a user and the designer read. If ok: what the user should know."""
    layers: tuple[str, ...] = ()
    """Layers of the seal that held its reward process; empty for the environment reward and in older records."""
    inherited_from: str | None = None
    """Owner of the policy that the training began with; None where it began from nothing."""


@dataclass(frozen=True)
class Episode:
    """One evaluated episode."""

    seed: int
    fitness: float
    length: int
    terminated: bool
    """It ended by the environment's rule (a fall, a goal), not by the time limit."""
    metrics: dict[str, float | None] = field(default_factory=dict)
    """The task's metrics by name; None where an expression has no value for the episode."""


@dataclass(frozen=True)
class Evaluation:
    """A policy's results on held-out seeds; the episodes lie in `episodes.npz` in the same folder (`EpisodeFile`)."""

    status: Status
    episodes: tuple[Episode, ...]
    fitness: float | None
    """Mean over the episodes."""
    wall_s: float
    cause: str | None = None
    """Why there is no fitness. If ok: which metric has no value, and why."""
    metrics: dict[str, float | None] = field(default_factory=dict)
    """The task's metrics by name, each the mean over the episodes; None where one of them has no value."""
    judge: JudgeScore | None = None
    """A judge's score of the episodes; None where no judge was asked. Where it judges in place of a fitness
    expression, `fitness` is its score, and the fitness of each episode is still the expression's."""


@dataclass(frozen=True)
class Video:
    """A filmed episode, with what there is to say about each of its frames."""

    status: Status
    file: str = ""
    """Name of the file, "video.mp4" (h264) or "video.webp" (animated), beside this record. "stills.npz" where stills
    were wanted: an array (bytes,) of uint8 for each of `steps`, named after the step, each a PNG."""
    fps: float = 0.0
    """Frames a second; played so, the episode passes at the simulation's own speed."""
    frames: int = 0
    stride: int = 1
    """Environment steps between two frames; the last frame shows the last state, wherever it falls."""
    width: int = 0
    height: int = 0
    seed: int = 0
    length: int = 0
    """Length of the episode, in environment steps."""
    fitness: float | None = None
    """Fitness of the episode; None where the expression has no value for it."""
    terminated: bool = False
    """It ended by the environment's rule, not by the time limit."""
    backend: str = ""
    """OpenGL backend that rendered it: "egl", "osmesa", or "disable" where no OpenGL was needed."""
    steps: tuple[int, ...] = ()
    """Environment step that each frame shows; 0 is the start."""
    fitness_so_far: tuple[float | None, ...] = ()
    """Fitness of the episode up to each frame; None where the expression has no value yet."""
    terms: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Term name to its value at each frame, before its weight: that of the step that led there, 0 at the start."""
    weights: dict[str, float] = field(default_factory=dict)
    """Weight of each of these terms."""
    note: str | None = None
    """Remark for those who watch the video: why terms are missing, for instance."""
    cause: str | None = None
    """Why there is no video, unless ok."""


PolicyFormat = Literal["onnx", "sb3", "torchscript"]
"""Formats in which a policy leaves rewardsmith."""


@dataclass(frozen=True)
class PolicyFile:
    """A policy in a format of others."""

    status: Status
    file: str = ""
    """Name of the file beside this record: "policy.onnx", "policy.zip" (stable-baselines3) or "policy.pt"."""
    obs_dim: int = 0
    """Length of the observation that it takes; an image has so many bytes."""
    observation: tuple[str, ...] = ()
    """Signals that it observes, in their order; empty: the environment's own observation, flattened."""
    cause: str | None = None
    """Why there is no file, unless ok."""


JobResult = Probe | Training | Evaluation | Video | PolicyFile
