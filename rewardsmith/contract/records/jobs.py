"""What a worker is asked for, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge

from rewardsmith.contract.records.environment import EnvSpec, InfoEntry, Signal
from rewardsmith.contract.records.types import Count, Fraction, Positive, Status


@dataclass(frozen=True)
class OffPolicySettings:
    """Settings of SAC and TD3; the defaults are stable-baselines3's, but for the buffer and its first steps."""

    learning_rate: Positive = 3e-4
    batch_size: Count = 256
    buffer_size: Count = 300_000
    """Transitions, of all environments together."""
    learning_starts: Count = 1_000
    """Environment steps under random actions before the first update."""
    n_steps: Count = 1
    """Environment steps of each environment between updates."""
    updates_per_step: Positive = 1.0
    """Updates for each environment step."""
    tau: Fraction = 0.005
    action_noise: Annotated[float, Ge(0.0)] = 0.1
    """Standard deviation of TD3's exploration, in units of half an action's range; SAC learns its own."""
    net_arch: tuple[Count, ...] = (256, 256)
    """Widths of the hidden layers, of the actor and of the critics; their activation is relu."""


@dataclass(frozen=True)
class TrainSettings:
    """Settings of a training; the defaults are the measured ones (benchmarks/RESULTS.md)."""

    trainer: Literal["fast", "sb3", "sac", "td3"] = "fast"
    """fast: PPO with the update in NumPy, for standard MLP policies. sb3: stable-baselines3's own PPO update.
    sac and td3: its SAC and TD3, with `off_policy`, `n_envs`, `gamma` and `checkpoints`; no other key is theirs."""
    n_envs: Count = 8
    n_steps: Count = 256
    """Environment steps of each environment per rollout."""
    batch_size: Count = 64
    n_epochs: Count = 10
    learning_rate: Positive = 3e-4
    gamma: Fraction = 0.99
    gae_lambda: Fraction = 0.95
    clip_range: Positive = 0.2
    ent_coef: Annotated[float, Ge(0.0)] = 0.0
    vf_coef: Annotated[float, Ge(0.0)] = 0.5
    max_grad_norm: Positive = 0.5
    log_std_init: float = -0.5
    net_arch: tuple[Count, ...] = (64, 64)
    """Widths of the hidden layers, of the actor and of the critic."""
    activation: Literal["tanh", "relu"] = "tanh"
    """relu needs the trainer "sb3"."""
    ortho_init: bool = True
    normalize_obs: bool = True
    normalize_reward: bool = True
    checkpoints: Count = 10
    """How many points of the learning curve to report."""
    off_policy: OffPolicySettings = OffPolicySettings()


@dataclass(frozen=True)
class Limits:
    """What a reward process may use."""

    backend: Literal["auto", "local", "docker"] = "auto"
    """auto: local where the kernel can seal a process, docker elsewhere."""
    call_timeout_s: Positive = 10.0
    """Wall clock of one scoring call."""
    memory_mib: Annotated[int, Ge(128)] = 512
    max_terms: Count = 32


@dataclass(frozen=True)
class ProbeJob:
    """Look at an environment: its catalogue, and transitions under random actions."""

    env: EnvSpec
    seed: int
    transitions: int
    """How many transitions to record, over at least two episodes where they end."""
    kind: Literal["probe"] = "probe"


@dataclass(frozen=True)
class TrainJob:
    """Train a policy on a program, or on the environment's own reward."""

    env: EnvSpec
    program: str | None
    """The program's text; None trains on the environment's own reward (a baseline, never shown to a designer)."""
    fitness: str
    """Fitness expression, for the learning curve only."""
    seed: int
    env_steps: int
    settings: TrainSettings = TrainSettings()
    limits: Limits = Limits()
    rungs: tuple[int, ...] = ()
    """Environment steps, ascending, at which the training reports and waits to be told to go on or to stop."""
    kind: Literal["train"] = "train"


@dataclass(frozen=True)
class EvaluateJob:
    """Run a policy on held-out seeds; it never sees a program."""

    env: EnvSpec
    policy: str | None
    """Path of a policy folder (policy.safetensors, policy.json); None acts at random."""
    fitness: str
    seeds: tuple[int, ...]
    """One episode per seed."""
    record: tuple[str, ...] = ()
    """Signals to record beside those that the fitness and the figures name."""
    deterministic: bool = True
    figures: dict[str, str] = field(default_factory=dict)
    """Further figures of the task, name to expression; measured of the same episodes."""
    kind: Literal["evaluate"] = "evaluate"


@dataclass(frozen=True)
class RenderJob:
    """Film the episode that an evaluation runs under the same seed."""

    env: EnvSpec
    policy: str | None
    """Path of a policy folder; None acts at random."""
    fitness: str
    seed: int
    """Of the episode."""
    program: str | None = None
    """A program whose terms are shown; it is asked about the recorded signals in its sealed process."""
    title: str = ""
    """First line of the overlay."""
    deterministic: bool = True
    width: int = 480
    """Of a frame, in pixels; even, as the height."""
    height: int = 360
    overlay: bool = True
    """Write step, fitness so far and terms over the picture."""
    fast: bool = True
    """Without shadows, reflections and multisampling, where MuJoCo draws."""
    limits: Limits = Limits()
    stills: tuple[int, ...] = ()
    """Steps of the episode, 0 the start, of which single frames are wanted instead of a video, in `stills.npz`."""
    kind: Literal["render"] = "render"


Job = ProbeJob | TrainJob | EvaluateJob | RenderJob


@dataclass(frozen=True)
class Probe:
    """What a look at an environment found; the transitions lie in `transitions.npz` beside it.

    Its arrays are `before/<signal>`, `after/<signal>`, `start/<signal>` of shape (n, *shape), `action` of shape
    (n, a), `step` (n,), the transition's index in its episode, and `terminated` (n,), 1 where the episode ended with
    the transition by the environment's rule.
    """

    signals: tuple[Signal, ...]
    """The catalogue, the task's own signals first."""
    action_shape: tuple[int, ...]
    action_low: tuple[float, ...]
    action_high: tuple[float, ...]
    discrete_actions: int | None
    """Number of actions of a discrete space, else None."""
    observation_shape: tuple[int, ...]
    max_episode_steps: int | None
    transitions: int
    status: Status = "ok"
    cause: str | None = None
    measures: tuple[Signal, ...] = ()
    """What a fitness expression may name beside the signals; they are not recorded in the transitions."""
    info: tuple[InfoEntry, ...] = ()
    """What the environment reports in `info`, and what is done with each entry."""
    observation_space: str = ""
    """As Gymnasium writes it."""
    action_space: str = ""
    batched: bool = False
    """All environments are stepped at once on batched physics; else one by one."""
    action_about: str = ""
    """What an action is, as far as the space tells; for tasks whose card does not say more."""


@dataclass(frozen=True)
class CurvePoint:
    """One point of a learning curve: means over the episodes that ended since the point before."""

    env_steps: int
    episodes: int
    """How many episodes ended; the means below are None where none did."""
    reward: float | None
    """Mean episode return of the program's total (of the environment's own reward for a baseline)."""
    length: float | None
    """Mean episode length in environment steps."""
    fitness: float | None
    """Mean fitness of the training episodes, acting with exploration noise. Diagnosis, not a result."""
    terms: dict[str, float] = field(default_factory=dict)
    """Mean of each term per step, before its weight."""


@dataclass(frozen=True)
class Rung:
    """A training's standing where it waits to be told to go on or to stop."""

    env_steps: int
    """The rung, as the job names it; the training has done at least so many."""
    fitness: float | None
    """Mean fitness of the last 40 episodes that ended, acting with exploration noise; None before the first."""
    curve: tuple[CurvePoint, ...]
    """The learning curve so far."""


@dataclass(frozen=True)
class Training:
    """A finished training; `policy.safetensors` and `policy.json` lie beside it when status is ok."""

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


@dataclass(frozen=True)
class Episode:
    """One evaluated episode."""

    seed: int
    fitness: float
    length: int
    terminated: bool
    """It ended by the environment's rule (a fall, a goal), not by the time limit."""
    figures: dict[str, float | None] = field(default_factory=dict)
    """The task's further figures by name; None where an expression has no value for the episode."""


@dataclass(frozen=True)
class Evaluation:
    """A policy's figures on held-out seeds; the episodes lie in `episodes.npz` beside it.

    Its arrays are `<index>/<signal>` of shape (T, *shape) for episode `index`: the values after each of the
    episode's T steps, with the value at the start in `<index>/start/<signal>`, and `<index>/action` (T, a).
    """

    status: Status
    episodes: tuple[Episode, ...]
    fitness: float | None
    """Mean over the episodes."""
    wall_s: float
    cause: str | None = None
    """Why there is no fitness. If ok: which further figure has no value, and why."""
    figures: dict[str, float | None] = field(default_factory=dict)
    """The task's further figures by name, each the mean over the episodes; None where one of them has no value."""


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
    """Of the episode, in environment steps."""
    fitness: float | None = None
    """Of the episode; None where the expression has no value for it."""
    terminated: bool = False
    """It ended by the environment's rule, not by the time limit."""
    backend: str = ""
    """What rendered it: "egl", "osmesa", or "disable" where no OpenGL was needed."""
    steps: tuple[int, ...] = ()
    """Which environment step each frame shows; 0 is the start."""
    fitness_so_far: tuple[float | None, ...] = ()
    """Of the episode up to each frame; None where the expression has no value yet."""
    terms: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Each term at each frame, before its weight: what the step that led to it was paid, 0 at the start."""
    weights: dict[str, float] = field(default_factory=dict)
    """Weight of each of these terms."""
    note: str | None = None
    """What the viewer should know: why terms are missing, for instance."""
    cause: str | None = None
    """Why there is no video, unless ok."""


JobResult = Probe | Training | Evaluation | Video
