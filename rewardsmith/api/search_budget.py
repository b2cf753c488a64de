"""One budget for a whole search: it is divided into programs, generations, fresh trainings of finalists and a report.

A training keeps the environment steps of the task's card: with fewer, programs that are good look like bad ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rewardsmith.api.speed import GUESSED_SPEED, describe_speed, measure_training_speed
from rewardsmith.contract.errors import ConfigError
from rewardsmith.executors import slots_for
from rewardsmith.search.finalists import ROUND_SIZE
from rewardsmith.spec.config import Config, Layer

SIZE_OPTIONS = {
    "population": "--population",
    "generations": "--generations",
    "seeds": "--seeds",
    "env_steps": "--steps",
}
"""Settings of the search that a budget decides, and their options."""
SMALL_POPULATION, LARGE_POPULATION = 4, 16
ONE_GENERATION = 18
"""Number of programs up to which three generations were not separated from one (docs/evidence.md)."""


@dataclass(frozen=True)
class SearchBudget:
    """Limit of a whole search, the report and its baseline included; one of the two is set."""

    env_steps: int | None = None
    """Environment steps of all trainings together."""
    minutes: float | None = None
    """Wall clock of the trainings, by the measured speed of this machine; calls of a language model come on top."""

    @property
    def option(self) -> str:
        """The option that sets it."""
        return "--budget-steps" if self.env_steps is not None else "--budget-minutes"


@dataclass(frozen=True)
class SearchShape:
    """The division of a number of trainings."""

    population: int
    generations: int
    finalist_trainings: int
    final_seeds: int
    """Training seeds of the report, and of each baseline beside it."""

    @property
    def layer(self) -> Layer:
        """The division as settings."""
        in_generations = self.population * self.generations
        share = self.finalist_trainings / (self.finalist_trainings + in_generations)
        sizes = {"population": self.population, "generations": self.generations, "seeds": 1}
        return {"search": sizes | {"finalist_share": round(share, 6), "final_seeds": self.final_seeds}}

    def count_waves(self, reports: int, slots: int) -> int:
        """Return how many trainings follow one another where so many run at the same time."""
        waves = self.generations * math.ceil(self.population / slots)
        rounds = [min(ROUND_SIZE, left) for left in range(self.finalist_trainings, 0, -ROUND_SIZE)]
        waves += sum(math.ceil(size / slots) for size in rounds)
        return waves + math.ceil(self.final_seeds * reports / slots)


def parse_budget(env_steps: int | None, minutes: float | None) -> SearchBudget | None:
    """Return the budget of the options; None if the options set no budget.

    Raises:
        ConfigError: if both are given, or one is not positive.
    """
    if env_steps is None and minutes is None:
        return None
    if env_steps is not None and minutes is not None:
        raise ConfigError("--budget-steps and --budget-minutes are two limits for one search; give one of them")
    budget = SearchBudget(env_steps, minutes)
    if env_steps is not None and env_steps < 1:
        raise ConfigError(f"--budget-steps {env_steps}: must be at least 1; it is the steps of all trainings together")
    if minutes is not None and not 0.0 < minutes < math.inf:
        raise ConfigError(f"--budget-minutes {minutes:g}: must be a number of minutes above 0")
    return budget


def refuse_sizes(budget: SearchBudget, *layers: Layer) -> None:
    """Refuse sizes that the user gave beside a budget.

    Args:
        budget: the budget.
        layers: of the command's options and of --set.

    Raises:
        ConfigError: if there is one.
    """
    for layer in layers:
        search = layer.get("search", {})
        given = [option for key, option in SIZE_OPTIONS.items() if isinstance(search, Mapping) and key in search]
        if given:
            raise ConfigError(
                f"{given[0]} and {budget.option} contradict each other: a budget decides programs, generations, seeds"
                " and steps; leave one of them out"
            )


def divide_budget(budget: SearchBudget, config: Config, env_id: str) -> Layer:
    """Return the settings of a search that a budget pays for.

    Args:
        budget: the budget.
        config: of the search without it; its environment steps of a training stay.
        env_id: the environment, whose speed on this machine counts for minutes.

    Raises:
        ConfigError: if the budget is too small for one training.
    """
    if budget.env_steps is not None:
        return divide_trainings(_count_affordable(budget.env_steps, config), config).layer

    # Minutes: as many trainings as follow one another in this time, on all slots.
    minutes, slots, speed = budget.minutes or 0.0, slots_for(config), measure_training_speed(env_id)
    training_minutes = config.search.env_steps / (speed or GUESSED_SPEED) / 60.0
    waves = int(minutes / training_minutes + 1e-9)
    if waves < 1:
        least = math.ceil(10.0 * training_minutes) / 10.0
        raise ConfigError(
            f"--budget-minutes {minutes:g} is too little for one training of {config.search.env_steps:,} environment"
            f" steps at {describe_speed(speed)}; the least is --budget-minutes {least:g}"
        )
    reports = _count_reports(config)
    shapes = (divide_trainings(trainings, config) for trainings in range(waves * slots, 0, -1))
    return next(shape for shape in shapes if shape.count_waves(reports, slots) <= waves).layer


def divide_trainings(trainings: int, config: Config) -> SearchShape:
    """Divide a number of trainings: up to half for the report, a share of the rest for finalists.

    >>> divide_trainings(16, Config())
    SearchShape(population=8, generations=1, finalist_trainings=0, final_seeds=4)

    Args:
        trainings: how many, at least 1.
        config: with the share of the finalists, the seeds of the report, and whether there is a baseline.
    """
    search, reports = config.search, _count_reports(config)

    # The report: the program and what it is compared with, each with the same seeds.
    final_seeds = min(search.final_seeds, trainings // (2 * reports))
    left = trainings - final_seeds * reports

    # The programs: in one generation, or in several.
    programs = max(1, left - round(left * search.finalist_share))
    if search.generations == 1 and programs <= ONE_GENERATION:
        population = programs
    else:
        population = _choose_population(programs)
    generations = programs // population

    # The finalists also get what does not fill a generation.
    finalist_trainings = left - population * generations if search.finalist_share and programs > 1 else 0
    return SearchShape(population, generations, finalist_trainings, final_seeds)


def _choose_population(programs: int) -> int:
    """Return the size of a generation: four at first; in a longer search both their size and their number grow."""
    smallest = max(min(SMALL_POPULATION, programs), math.isqrt(7 * programs // 4) - 1)
    sizes = range(min(smallest, LARGE_POPULATION), min(smallest + 3, LARGE_POPULATION, programs) + 1)
    return min(sizes, key=lambda size: programs % size)


def _count_affordable(env_steps: int, config: Config) -> int:
    trainings = env_steps // config.search.env_steps
    if trainings < 1:
        least = config.search.env_steps
        raise ConfigError(
            f"--budget-steps {env_steps} is too little for one training; the least is --budget-steps {least}, what the"
            " task's card says for a training"
        )
    return trainings


def _count_reports(config: Config) -> int:
    return 1 + config.search.baseline + bool(config.search.ensemble)
