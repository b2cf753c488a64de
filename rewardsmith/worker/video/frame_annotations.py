"""Annotations of a video's frames: the fitness so far, and the value of each of the program's terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rewardsmith import sandbox
from rewardsmith.contract import reward_program as programs
from rewardsmith.contract.errors import FitnessError, ProgramError, RewardFailed
from rewardsmith.contract.fitness import Fitness, Rollout
from rewardsmith.contract.records import Limits
from rewardsmith.contract.reward_program import RewardProgram, Transitions
from rewardsmith.worker.envs.base import SignalLayout
from rewardsmith.worker.evaluate import Trajectory

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FrameAnnotations:
    """Annotations of a video; every tuple has one value per frame."""

    steps: tuple[int, ...]
    length: int
    """Length of the episode, in environment steps."""
    fitness: tuple[float | None, ...]
    """Fitness up to the frame; None where the expression has no value yet."""
    terms: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Value of each term for the step that led to the frame, before its weight; 0 at the start."""
    weights: dict[str, float] = field(default_factory=dict)
    note: str | None = None
    """Reason for missing terms, where the program failed."""


def annotate_frames(
    trajectory: Trajectory,
    layout: SignalLayout,
    steps: Sequence[int],
    fitness: Fitness,
    source: str | None,
    limits: Limits,
) -> FrameAnnotations:
    """Compute the annotations of an episode's frames.

    Args:
        trajectory: the episode.
        layout: of its signals.
        steps: the environment step of each frame.
        fitness: of the task.
        source: the program's text; None for annotations without terms.
        limits: of the reward process.

    Raises:
        SandboxUnavailable: if programs cannot be sealed on this machine.
        WorkerFailed: if the reward process cannot be started.
    """
    fitness_so_far = tuple(_compute_fitness_so_far(trajectory, layout, fitness, step) for step in steps)
    annotations = FrameAnnotations(tuple(steps), len(trajectory.actions), fitness_so_far)
    if source is None:
        return annotations
    try:
        program = programs.parse_program(source)
        term_values = _score_terms(program, trajectory, layout, limits)
    except (ProgramError, RewardFailed) as error:
        cause = str(error).partition("\n")[0]
        return replace(annotations, note=f"without the program's terms: {cause}")

    # The frame of step k shows the reward of the transition that led to it, which is number k - 1.
    terms: dict[str, tuple[float, ...]] = {}
    for name, values in term_values.items():
        terms[name] = tuple(float(values[step - 1]) if step else 0.0 for step in steps)
    weights = {name: program.weight(name) for name in terms}
    return replace(annotations, terms=terms, weights=weights)


def _compute_fitness_so_far(trajectory: Trajectory, layout: SignalLayout, fitness: Fitness, step: int) -> float | None:
    """Return the fitness of the episode's first `step` steps; None where the expression has no value for so few."""
    if step == 0:
        return None
    try:
        return fitness.evaluate(_read_rollout(trajectory, layout, step))
    except FitnessError:
        return None


def _read_rollout(trajectory: Trajectory, layout: SignalLayout, steps: int) -> Rollout:
    """Return the first steps of an episode."""
    signals, start = layout.unpack_signals(trajectory.after[:steps]), layout.unpack_signals(trajectory.start)
    is_over = steps == len(trajectory.actions)
    return Rollout(signals, start, trajectory.actions[:steps], is_over and trajectory.terminated)


def _score_terms(
    program: RewardProgram, trajectory: Trajectory, layout: SignalLayout, limits: Limits
) -> Mapping[str, Array]:
    """Return the values (T,) of each term for the episode, from the sealed process.

    Raises:
        RewardFailed: if the program misbehaves.
        SandboxUnavailable: if it cannot be sealed.
        WorkerFailed: if the process cannot be started.
    """
    shapes = {signal.name: signal.shape for signal in layout.signals if signal.name in program.signals}
    transitions = Transitions.of_episode(program, _read_rollout(trajectory, layout, len(trajectory.actions)))
    length = transitions.n
    with sandbox.open_process(program, sandbox.ProgramLayout(shapes, trajectory.actions.shape[1:]), limits) as process:
        if not program.memory:
            return process.score(transitions).terms
        ended = np.zeros((length, 1), np.bool_)
        return process.walk(
            transitions, ended, {name: np.full(1, value) for name, value in program.memory.items()}
        ).terms
