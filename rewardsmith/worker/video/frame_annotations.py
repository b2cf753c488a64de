"""What a film has to tell of each frame: the fitness so far, and what the program's terms paid for the step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rewardsmith import sandbox
from rewardsmith.contract import reward_program as programs
from rewardsmith.contract.errors import FitnessError, ProgramError, RewardFailed
from rewardsmith.contract.fitness.expression import Fitness, Rollout
from rewardsmith.contract.records import Limits
from rewardsmith.contract.reward_program import RewardProgram, Transitions
from rewardsmith.worker.envs.base import Layout
from rewardsmith.worker.evaluate import Recording

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Story:
    """One value per frame of everything."""

    steps: tuple[int, ...]
    length: int
    """Of the episode, in environment steps."""
    fitness: tuple[float | None, ...]
    """Up to the frame; None where the expression has no value yet."""
    terms: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Before their weight; 0 at the start, as no step led to it."""
    weights: dict[str, float] = field(default_factory=dict)
    note: str | None = None
    """Why there are no terms, where a program should have given some."""


def tell(
    recording: Recording, layout: Layout, steps: Sequence[int], fitness: Fitness, source: str | None, limits: Limits
) -> Story:
    """Work out what there is to tell.

    Args:
        recording: the episode.
        layout: of its signals.
        steps: the environment step of each frame.
        fitness: what is measured.
        source: the program's text; None tells of no terms.
        limits: of the reward process.

    Raises:
        SandboxUnavailable: if programs cannot be sealed on this machine.
        WorkerFailed: if the reward process cannot be started.
    """
    so_far = tuple(_fitness(recording, layout, fitness, step) for step in steps)
    length = len(recording.actions)
    if source is None:
        return Story(tuple(steps), length, so_far)
    try:
        program = programs.parse(source)
        paid = _scores(program, recording, layout, limits)
    except (ProgramError, RewardFailed) as error:
        note = f"without the program's terms: {str(error).partition(chr(10))[0]}"
        return Story(tuple(steps), length, so_far, note=note)
    terms = {name: tuple(float(values[step - 1]) if step else 0.0 for step in steps) for name, values in paid.items()}
    return Story(tuple(steps), length, so_far, terms, {name: program.weight(name) for name in terms})


def _fitness(recording: Recording, layout: Layout, fitness: Fitness, step: int) -> float | None:
    """Return the fitness of the episode's first `step` steps; None where the expression has no value for so few."""
    if step == 0:
        return None
    over = step == len(recording.actions)
    signals, start = layout.unpack(recording.after[:step]), layout.unpack(recording.start)
    try:
        return fitness.evaluate(Rollout(signals, start, recording.actions[:step], over and recording.terminated))
    except FitnessError:
        return None


def _scores(program: RewardProgram, recording: Recording, layout: Layout, limits: Limits) -> Mapping[str, Array]:
    """Return each term (T,) as the sealed process gives it for the episode.

    Raises:
        RewardFailed: if the program misbehaves.
        SandboxUnavailable: if it cannot be sealed.
        WorkerFailed: if the process cannot be started.
    """
    shapes = {signal.name: signal.shape for signal in layout.signals if signal.name in program.signals}
    transitions = _transitions(program, recording, layout)
    length = transitions.n
    with sandbox.open_process(program, sandbox.Layout(shapes, recording.actions.shape[1:]), limits) as process:
        if not program.memory:
            return process.score(transitions).terms
        ended = np.zeros((length, 1), np.bool_)
        return process.walk(
            transitions, ended, {name: np.full(1, value) for name, value in program.memory.items()}
        ).terms


def _transitions(program: RewardProgram, recording: Recording, layout: Layout) -> Transitions:
    """Return an episode's transitions, as far as the program names their signals."""
    states = {
        "before": np.concatenate([recording.start[None], recording.after[:-1]]),
        "after": recording.after,
        "start": np.repeat(recording.start[None], len(recording.after), axis=0),
    }
    named = {state: layout.unpack(packed, program.reads[state]) for state, packed in states.items()}
    return Transitions(recording.actions, **named)
