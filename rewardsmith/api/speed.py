"""Speed of trainings on this machine, and the time that a search is expected to take."""

from __future__ import annotations

from rewardsmith.contract.errors import RewardsmithError
from rewardsmith.report.text import format_duration
from rewardsmith.search.storage import Run

GUESSED_SPEED = 3_000.0
"""Environment steps per second of one training, where nothing is measured: Hopper-v5 on a slow core."""
COUNTED_RUNS = 5
"""Largest number of runs that a speed is measured from."""


def measure_training_speed(env_id: str) -> float | None:
    """Return the environment steps per second of one training, from the newest runs on an environment below `runs/`."""
    from rewardsmith.api.searches import RUNS  # planning a search imports this module

    env_steps, seconds, counted = 0, 0.0, 0
    configs = sorted(RUNS.glob("*/config.toml"), key=lambda path: path.stat().st_mtime, reverse=True)
    for config in configs:
        try:
            run = Run.open(config.parent)
            trainings = [event.data for event in run.read_events() if event.step == "trainer"]
        except RewardsmithError:
            continue
        if run.task.env.env_id == env_id and trainings:
            env_steps += sum(training["env_steps"] for training in trainings)
            seconds += sum(training["wall_s"] for training in trainings)
            counted += 1
        if counted == COUNTED_RUNS:
            break
    return env_steps / seconds if seconds else None


def describe_time(trainings: int, env_steps: int, slots: int, speed: float | None) -> str:
    """Return the expected time of trainings in words.

    >>> describe_time(12, 60_000, 2, 3_000.0)
    'about 2 min 0 s, at 3,000 steps/s per training (measured here)'

    Args:
        trainings: how many there are at most.
        env_steps: of each training.
        slots: trainings at the same time.
        speed: environment steps per second of one training; None if nothing was measured yet.
    """
    seconds = trainings * env_steps / (speed or GUESSED_SPEED) / slots
    return f"about {format_duration(seconds)}, at {describe_speed(speed)}"


def describe_speed(speed: float | None) -> str:
    """Return the speed of one training in words, and whether it was measured on this machine."""
    source = "measured here" if speed else "a guess: no training on this environment in runs/ yet"
    return f"{speed or GUESSED_SPEED:,.0f} steps/s per training ({source})"
