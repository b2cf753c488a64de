"""Observation of a policy by names of signals, in place of the environment's own vector.

`training.observation` names them for a whole run. A program may declare them for its own trainings:

    OBSERVATION = ["torso_height", "joint_velocities"]

It is read from the program's text and counts before the setting. A policy sees what a program may read, and no more:
privileged signals and the fitness are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import Signal, TrainSettings
from rewardsmith.contract.text import suggest_names

if TYPE_CHECKING:
    from rewardsmith.contract.reward_program import RewardProgram

DECLARATION = "OBSERVATION"
"""Name that a program assigns its list to."""
IMAGE_AXES = 3
"""A signal with so many axes is a picture; the policy over signals is for vectors."""


def choose_observation(program: RewardProgram | None, settings: TrainSettings) -> tuple[str, ...]:
    """Return the names of the signals that a policy observes; none where it observes the environment's own vector.

    Args:
        program: what it is trained on; None for the environment reward.
        settings: of the training; they count where the program declares nothing.
    """
    if program is not None and program.observation:
        return program.observation
    return () if settings.observation == "environment" else tuple(dict.fromkeys(settings.observation))


def find_observation_fault(
    names: Iterable[str], signals: Sequence[Signal], privileged_signals: Sequence[Signal] = ()
) -> str | None:
    """Return in a sentence why a policy cannot observe the named signals; None if it can.

    >>> find_observation_fault(["heigth"], [Signal("height", (), "m", "", "obs[0]")])
    "there is no signal 'heigth'; did you mean 'height'?"

    Args:
        names: of the signals.
        signals: the catalogue.
        privileged_signals: those that only a fitness may name.
    """
    by_name = {signal.name: signal for signal in signals}
    privileged_names = {signal.name for signal in privileged_signals}
    for name in names:
        if name in privileged_names:
            return f"{name!r} tells the reward or the success, which no policy may see; name signals of the catalogue"
        if name not in by_name:
            return f"there is no signal {name!r}; {suggest_names(name, by_name)}"
        if by_name[name].is_learned:
            return f"{name!r} is a learned signal, whose values are computed after a rollout: name the simulator's own"
        shape = by_name[name].shape
        if len(shape) >= IMAGE_AXES:
            size = "x".join(map(str, shape))
            return f"{name!r} is a picture ({size}): name signals that are numbers or vectors"
    return None


def check_observation(settings: TrainSettings, signals: Sequence[Signal], privileged: Sequence[Signal]) -> None:
    """Make sure that a policy can observe the signals that the settings name.

    Args:
        settings: of the training.
        signals: the catalogue.
        privileged: the privileged signals.

    Raises:
        TaskError: if it cannot.
    """
    fault = find_observation_fault(choose_observation(None, settings), signals, privileged)
    if fault:
        raise TaskError(f"training.observation: {fault}")


def describe_observation(names: Sequence[str]) -> str:
    """Return what a policy sees, for people.

    >>> describe_observation(("height", "pitch")), describe_observation(())
    ('height, pitch', "the environment's own observation")
    """
    return ", ".join(names) or "the environment's own observation"
