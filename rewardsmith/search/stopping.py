"""Stopping criteria of a search: target fitness reached, or a budget exhausted; and the error without a result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rewardsmith.contract.errors import BudgetExhausted, NoValidCandidate, RunFailed
from rewardsmith.contract.records import Candidate
from rewardsmith.contract.text import format_number, pluralize
from rewardsmith.search.intervals import confidence_interval
from rewardsmith.search.steps import evolution
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import Config


def stop_reason(
    config: Config, history: Sequence[Candidate], wall_s: float, *, programs: int = 0, target: bool = True
) -> str | None:
    """Return why no further generation should start; None if it should.

    Args:
        config: with the target and the budget.
        history: every candidate so far.
        wall_s: how long the search has been going, in all its sessions.
        programs: how many of the user's programs the next generation tries as well.
        target: whether reaching the target is a reason; it is not where the user asked for more generations.
    """
    # The target.
    target_fitness = config.search.target_fitness if target else None
    if target_fitness is not None:
        bound = fitness_lower_bound(evolution.find_incumbent(history, config.evolution))
        if bound is not None and bound.value >= target_fitness:
            return f"the target fitness {target_fitness:g} is reached: {bound.meaning} is {format_number(bound.value)}"

    # The budget of environment steps, of which the finalists keep their share once there is something to choose from.
    limit, done = config.budget.env_steps, count_env_steps(history)
    next_generation = config.search.steps_per_generation + programs * config.search.seeds * config.search.env_steps
    reserved = _reserve_finalist_steps(config) if history else 0
    if limit is not None and done + next_generation + reserved > limit:
        progress = f"{done:,} of {limit:,} environment steps are done"
        finalists = f", and {reserved:,} are for the finalists" if reserved else ""
        return f"budget: {progress}, and a generation may take {next_generation:,} more{finalists}"
    return wall_time_reason(config, wall_s)


def wall_time_reason(config: Config, wall_s: float) -> str | None:
    """Return why nothing new starts when a search has been going for so long; None while it may."""
    limit = config.budget.wall_s
    return f"budget: {limit:g} s of wall time are over" if limit is not None and wall_s >= limit else None


def count_env_steps(history: Sequence[Candidate]) -> int:
    """Return the environment steps of all trainings in the generations."""
    return sum(training.env_steps for candidate in history for training in candidate.trainings)


def count_finalist_trainings(config: Config, history: Sequence[Candidate], generations: int) -> int:
    """Return how many trainings the finalists get: those planned, as far as the budget of environment steps allows.

    Args:
        config: with the share of the finalists and the budget.
        history: every candidate.
        generations: of the search, those that people asked for included.
    """
    planned = config.search.model_copy(update={"generations": generations}).finalist_trainings
    limit = config.budget.env_steps
    if limit is None:
        return planned
    return min(planned, max(0, limit - count_env_steps(history)) // config.search.env_steps)


def _reserve_finalist_steps(config: Config) -> int:
    """Return the environment steps of a budget that are kept for the finalists, in whole trainings."""
    search, limit = config.search, config.budget.env_steps or 0
    affordable = int(search.finalist_share * limit) // search.env_steps
    return min(search.finalist_trainings, affordable) * search.env_steps


@dataclass(frozen=True)
class LowerBound:
    """A fitness that a candidate is taken to have at least."""

    value: float
    meaning: str
    """The quantity, in words."""


def fitness_lower_bound(candidate: Candidate | None) -> LowerBound | None:
    """Return the lower end of a candidate's 95 % interval: over its training seeds, or with one over its episodes.

    A single score, a judge's or one episode's, has no interval and stands for itself.
    """
    if candidate is None or candidate.fitness is None:
        return None
    values, source = list(candidate.seed_fitness), "training seeds"
    judge = candidate.evaluations[0].judge if candidate.evaluations else None
    if len(values) == 1 and not (judge and judge.gives_fitness):
        values, source = [episode.fitness for episode in candidate.evaluations[0].episodes], "episodes"

    interval = confidence_interval(values)
    if interval is None:
        return None
    if interval.low is None:
        return LowerBound(interval.mean, f"the one score of {candidate.id}")
    return LowerBound(interval.low, f"the lower end of {candidate.id}'s 95 % interval over its {len(values)} {source}")


def raise_or_budget_reason(outcomes: Sequence[Candidate | BaseException]) -> str | None:
    """Return the exhausted budget that a generation met, if any; raise what else went wrong in it."""
    errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    others = [error for error in errors if not isinstance(error, BudgetExhausted)]
    if others:
        raise _join_errors(others)
    return f"budget: {errors[0]}" if errors else None


def _join_errors(errors: Sequence[BaseException]) -> BaseException:
    """Join the errors that ended the programs of a generation: each cause once, with the number of programs."""
    first = errors[0]
    if not all(isinstance(error, RunFailed) for error in errors) or len(errors) == 1:
        return first
    causes = Counter(str(error) for error in errors)
    lines = []
    for cause, count in causes.items():
        lines.append(cause if count == 1 else f"{cause} (this hit {pluralize(count, 'program')})")
    joined = type(first)("\n".join(lines))
    joined.__cause__ = first
    return joined


def no_result_error(history: Sequence[Candidate], stopped: str | None, run: Run) -> NoValidCandidate:
    """Return the error for a search in which nothing could be scored."""
    reason = f"{stopped}; " if stopped else ""
    count = pluralize(len(history), "candidate")
    example = f"; {history[0].id} ({history[0].status}): {history[0].cause}" if history else ""
    return NoValidCandidate(f"{reason}none of {count} could be scored{example}; see `rewardsmith show {run.path}`")
