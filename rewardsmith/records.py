"""The records that cross a border: between steps, processes, files and sessions.

Every record is a frozen dataclass of plain values, so that it travels as JSON (`dump`, `load`, `read`,
`write`). Arrays never travel inside a record: they lie in an .npz beside it, and the record names the file.

signals      Signal, EnvSpec
programs     Proposal, Finding, TermStats, DryRun, Verdict
jobs         TrainSettings, Limits, ProbeJob, TrainJob, EvaluateJob (in); Rung, Probe, Training, Evaluation (out)
search       Brief, CurvePoint, Episode, Feedback, Candidate, Interval, Baselines, Spent, Result

A missing figure is None, never 0. `status` says how a thing ended and is not a score.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Gt, Le

Status = Literal["ok", "invalid", "failed", "timeout", "pruned", "infrastructure"]
"""How something ended.

ok: it has a figure. invalid: the critic refused the program. failed: the program failed while training.
timeout: a wall clock ended it. pruned: stopped early on purpose. infrastructure: the machine's fault; retried,
and never told to the language model as a fault of its program.
"""

Severity = Literal["error", "warning"]
Scalar = bool | int | float | str
Count = Annotated[int, Ge(1)]
Positive = Annotated[float, Gt(0.0)]
Fraction = Annotated[float, Ge(0.0), Le(1.0)]
R = TypeVar("R")


# ---------------------------------------------------------------- signals


@dataclass(frozen=True)
class Signal:
    """A named quantity of the simulation, as a reward program or a fitness expression sees it."""

    name: str
    """A valid Python identifier."""
    shape: tuple[int, ...]
    """Shape of one transition's value; () is a scalar. A batch of n has shape (n, *shape)."""
    unit: str
    """SI unit as text: "m", "rad/s", "1" for a pure number."""
    meaning: str
    """One line for a reader who has never seen the environment."""
    source: str
    """Where the worker reads it, e.g. "qpos[0]", "obs[3]", "xpos[torso]". Opaque outside `worker/envs`."""


@dataclass(frozen=True)
class EnvSpec:
    """An environment as a worker builds it."""

    env_id: str
    kwargs: dict[str, Scalar] = field(default_factory=dict)
    """Keyword arguments for `gymnasium.make`."""
    signals: tuple[Signal, ...] = ()
    """The task's named signals, the card's first. Empty: the worker derives a catalogue."""
    max_episode_steps: int | None = None
    """Time limit in environment steps; None keeps the registered one."""


# ---------------------------------------------------------------- programs


@dataclass(frozen=True)
class Proposal:
    """A reward program as its author handed it in."""

    source: str
    """The program's text."""
    author: str
    """Who wrote it: "llm:<model>", "symbolic", "user", "weights"."""
    parents: tuple[str, ...] = ()
    """Ids of the candidates it was made from."""
    rationale: str = ""
    """The author's words about it, without the code."""
    transcript: str | None = None
    """Ledger key of the call that produced it."""


@dataclass(frozen=True)
class Finding:
    """One thing that a check found in a program."""

    code: str
    """Stable kebab-case name, e.g. "unknown-signal"."""
    message: str
    """What is wrong and what to do, in one line."""
    severity: Severity = "error"
    line: int | None = None
    """Line in the program, from 1."""


@dataclass(frozen=True)
class TermStats:
    """A term's values over a batch of transitions, before its weight."""

    name: str
    weight: float
    mean: float
    std: float
    min: float
    max: float
    share: float
    """Its part of the total's magnitude: mean |w * term| over the sum of that over all terms, in [0, 1]."""


@dataclass(frozen=True)
class DryRun:
    """What a program did on transitions recorded under random actions."""

    transitions: int
    us_per_transition: float
    """Cost of scoring in the reward process, in microseconds of wall time."""
    terms: tuple[TermStats, ...]


@dataclass(frozen=True)
class Verdict:
    """The critic's judgement of a program."""

    accepted: bool
    findings: tuple[Finding, ...] = ()
    dry_run: DryRun | None = None


# ---------------------------------------------------------------- jobs, in


@dataclass(frozen=True)
class TrainSettings:
    """Settings of a training; the defaults are the measured ones (benchmarks/RESULTS.md)."""

    trainer: Literal["fast", "sb3"] = "fast"
    """fast: the update in NumPy, for standard MLP policies. sb3: stable-baselines3's own PPO update."""
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
    """Signals to record beside those that the fitness names."""
    deterministic: bool = True
    kind: Literal["evaluate"] = "evaluate"


Job = ProbeJob | TrainJob | EvaluateJob


# ---------------------------------------------------------------- jobs, out


@dataclass(frozen=True)
class Probe:
    """What a look at an environment found; the transitions lie in `transitions.npz` beside it.

    Its arrays are `before/<signal>`, `after/<signal>`, `start/<signal>` of shape (n, *shape), `action` of shape
    (n, a), and `step` (n,), the transition's index in its episode.
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
    """Why it ended, unless ok: the first line is what a user and the designer read."""


@dataclass(frozen=True)
class Episode:
    """One evaluated episode."""

    seed: int
    fitness: float
    length: int
    terminated: bool
    """It ended by the environment's rule (a fall, a goal), not by the time limit."""


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


JobResult = Probe | Training | Evaluation


# ---------------------------------------------------------------- search


@dataclass(frozen=True)
class Brief:
    """What a designer is told for one generation."""

    task: str
    """The user's sentence."""
    env_id: str
    env_about: str
    """What the environment is, in a few lines; from its card, or its id."""
    signals: tuple[Signal, ...]
    action: str
    """What an action is, in a line: its shape, bounds and meaning."""
    generation: int
    """From 0."""
    population: int
    seed: int
    """Seed of the search; a designer without a model draws from (seed, generation, slot)."""
    parents: tuple[Candidate, ...] = ()
    """Chosen by evolution, best first, with fitness and feedback; empty in generation 0."""
    history: tuple[Candidate, ...] = ()
    """Every candidate so far, oldest first."""
    notes: tuple[str, ...] = ()
    """What the user said."""


@dataclass(frozen=True)
class Feedback:
    """What an analysis hands to the next prompt."""

    text: str
    """For the designer, in words and figures."""
    alarms: tuple[str, ...] = ()
    """For the user, one line each."""


@dataclass(frozen=True)
class Candidate:
    """A reward program with everything that is known of it."""

    id: str
    """"g<generation>c<slot>", e.g. "g1c03"."""
    generation: int
    slot: int
    proposal: Proposal
    status: Status
    verdict: Verdict | None = None
    trainings: tuple[Training, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    """One per training, in the same order."""
    fitness: float | None = None
    """Mean over the training seeds of the mean over the selection episodes."""
    feedback: Feedback | None = None
    cause: str | None = None
    """Why it has no fitness, unless ok."""
    repairs: int = 0
    """How often it went back to its author."""


@dataclass(frozen=True)
class Interval:
    """A mean over training seeds with its 95 % confidence interval (Student's t; None with one seed)."""

    mean: float
    low: float | None
    high: float | None
    values: tuple[float, ...]
    """One per training seed."""


@dataclass(frozen=True)
class Baselines:
    """What the result is measured against, under the same budget and seeds."""

    random: float | None = None
    own_reward: Interval | None = None
    """Policies trained on the environment's own reward."""


@dataclass(frozen=True)
class Spent:
    """What a search has cost in language-model calls, earlier sessions of it included."""

    calls: int = 0
    tokens: int = 0
    """Prompt and completion together."""
    cost_usd: float | None = 0.0
    """None where the price of a call is unknown."""


@dataclass(frozen=True)
class Result:
    """The outcome of a search. Reported figures come from seeds that selection never used."""

    run: str
    """Path of the run directory."""
    task: str
    env_id: str
    fitness: str
    best: Candidate
    candidates: tuple[Candidate, ...]
    reported: Interval | None
    """The best program's fitness, trained anew; None where the final training was switched off."""
    baselines: Baselines
    normalised: float | None
    """(reported - random) / (own reward - random); None where that is not defined."""
    env_steps: int
    """Environment steps of all trainings, the final ones and the baseline's included."""
    spent: Spent
    stopped: str | None = None
    """Why the search ended before its last generation, if it did."""


@dataclass(frozen=True)
class Check:
    """One thing that a machine can or cannot do."""

    name: str
    ok: bool
    detail: str
    """What was found."""
    fix: str | None = None
    """What to do where it is not ok."""
    needed: bool = True
    """False for what rewardsmith can do without."""


# ---------------------------------------------------------------- JSON


_ADAPTERS: dict[Any, Any] = {}
"""Record type to pydantic's adapter of it, made when it is first needed."""


def _adapter(kind: Any) -> Any:
    if kind not in _ADAPTERS:
        from pydantic import TypeAdapter

        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def dump(record: Any) -> Any:
    """Return the record as plain JSON values."""
    return _adapter(type(record)).dump_python(record, mode="json")


def load(kind: type[R], data: Any) -> R:
    """Return the record of type `kind` that `dump` turned into `data`.

    Raises:
        pydantic.ValidationError: if the data does not fit.
    """
    result: R = _adapter(kind).validate_python(data)
    return result


def write(record: Any, path: Path) -> None:
    """Write the record as JSON; the file is complete or absent, also after a crash."""
    write_text(path, json.dumps(dump(record), indent=1) + "\n")


def read(kind: type[R], path: Path) -> R:
    """Read a record that `write` wrote."""
    return load(kind, json.loads(path.read_text(encoding="utf-8")))


def write_text(path: Path, text: str) -> None:
    """Write a text file that is complete or absent, also after a crash."""
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
