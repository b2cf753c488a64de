"""Why a search ends before its last generation, and what it says when it has no result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rewardsmith.contract.errors import BudgetExhausted, NoValidCandidate, RunFailed
from rewardsmith.contract.records import Candidate
from rewardsmith.contract.text import counted
from rewardsmith.search.steps import evaluator, evolution
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import Config


def due(
    config: Config, history: Sequence[Candidate], wall_s: float, *, programs: int = 0, target: bool = True
) -> str | None:
    """Return why no further generation should start; None if it should.

    Args:
        config: with the target and the budget.
        history: every candidate so far.
        wall_s: how long the search has been going, in all its sessions.
        programs: of the user's that the next generation tries beside its own.
        target: whether reaching the target is a reason; where the user asked for more, it is none.
    """
    wanted, budget = config.search.target_fitness if target else None, config.budget
    bound = lower_bound(evolution.incumbent(history, config.evolution))
    if wanted is not None and bound is not None and bound >= wanted:
        return f"the target fitness {wanted:g} is reached with confidence: the lower bound is {bound:.4g}"
    steps = sum(training.env_steps for candidate in history for training in candidate.trainings)
    coming = config.search.steps_of_a_generation + programs * config.search.seeds * config.search.env_steps
    if budget.env_steps is not None and steps + coming > budget.env_steps:
        done = f"{steps:,} of {budget.env_steps:,} environment steps are done"
        return f"budget: {done}, and a generation may take {coming:,} more"
    if budget.wall_s is not None and wall_s >= budget.wall_s:
        return f"budget: {budget.wall_s:g} s of wall time are over"
    return None


def lower_bound(candidate: Candidate | None) -> float | None:
    """Return the lower end of a candidate's 95 % interval: over its training seeds, or with one over its episodes."""
    if candidate is None or candidate.fitness is None:
        return None
    values = [evaluation.fitness for evaluation in candidate.evaluations if evaluation.fitness is not None]
    if len(values) == 1:
        values = [episode.fitness for episode in candidate.evaluations[0].episodes]
    interval = evaluator.interval(values)
    return None if interval is None else interval.mean if interval.low is None else interval.low


def of_budget(outcomes: Sequence[Candidate | BaseException]) -> str | None:
    """Return the budget's end if a generation met it; raise what else went wrong in it."""
    errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    others = [error for error in errors if not isinstance(error, BudgetExhausted)]
    if others:
        raise _joined(others)
    return f"budget: {errors[0]}" if errors else None


def _joined(errors: Sequence[BaseException]) -> BaseException:
    """Return what ended the programs of a generation as one error: each cause once, with how many programs it hit."""
    first = errors[0]
    if not all(isinstance(error, RunFailed) for error in errors) or len(errors) == 1:
        return first
    causes = Counter(str(error) for error in errors)
    lines = [cause if hit == 1 else f"{cause} (this hit {counted(hit, 'program')})" for cause, hit in causes.items()]
    joined = type(first)("\n".join(lines))
    joined.__cause__ = first
    return joined


def without_result(history: Sequence[Candidate], stopped: str | None, run: Run) -> NoValidCandidate:
    """Return the error for a search in which nothing could be scored."""
    why = f"{stopped}; " if stopped else ""
    first = "".join(f"; {c.id} ({c.status}): {c.cause}" for c in history[:1])
    return NoValidCandidate(
        f"{why}none of {counted(len(history), 'candidate')} could be scored{first}; see `rewardsmith show {run.path}`"
    )
