"""Numbers of a result in words: fitness with its interval, baselines, verdict, metrics and costs, a line each."""

from __future__ import annotations

from collections.abc import Sequence

from rewardsmith.contract.fitness.judged import describe_fitness_source
from rewardsmith.contract.observation import describe_observation
from rewardsmith.contract.records import Candidate, EnsembleRule, Interval, ReportedMetric, Result
from rewardsmith.contract.text import format_number, pluralize
from rewardsmith.report.estimates import CandidateEstimates, build_estimates
from rewardsmith.report.text import collect_remarks, compare_with_baseline, replace_control_chars
from rewardsmith.search.steps.evolution import BehaviourArchive
from rewardsmith.search.storage.layout import MEASURED_ID

LABEL_WIDTH = 44
"""Width of the labels in front of the numbers of a result."""
ENSEMBLE_RULES: dict[EnsembleRule, str] = {"worst": "worst of", "cautious": "cautious mean of"}


def summarize_result(result: Result) -> list[str]:
    """Return the numbers of a result, line by line: fitness, verdict, metrics, costs, remarks."""
    lines = [
        *_summarize_fitness(result),
        *_summarize_metrics(result),
        *_summarize_stages(result),
        *_describe_archive(result),
        _summarize_costs(result),
        *collect_remarks(result.best),
    ]
    if result.stopped:
        lines.append(f"ended early: {result.stopped}")
    return [replace_control_chars(line) for line in lines]


def _summarize_fitness(result: Result) -> list[str]:
    baselines, ensemble = result.baselines, result.ensemble
    lines = [f"fitness = {describe_fitness_source(result.fitness)}"]
    lines += _format_estimates(
        result,
        result.reported,
        ensemble.reported if ensemble else None,
        baselines.environment_reward,
        baselines.random,
        result.best.fitness,
    )
    lines += _format_lineage(result)
    lines += _format_expectation(result)
    if result.normalised is not None:
        score = f"{format_number(result.normalised, 3):<6} (0 = random, 1 = environment reward)"
        lines.append(_format_row("normalised score", score))
    verdict = compare_with_baseline(result)
    return [*lines, f"  {verdict}"] if verdict else lines


def _summarize_metrics(result: Result) -> list[str]:
    lines = []
    for metric in result.metrics:
        lines.append(f"{metric.name} = {metric.expression}: {metric.meaning}")
        selected = metric.chosen.mean if metric.chosen else None
        lines += _format_estimates(
            result, metric.reported, metric.ensemble, metric.environment_reward, metric.random, selected
        )
    return lines


def _summarize_stages(result: Result) -> list[str]:
    """Return a line for each stage before the last, and one on what the policy sees where it was chosen."""
    lines = []
    for number, stage in enumerate(result.stages, start=1):
        reached = "none" if stage.reached is None else format_number(stage.reached)
        lines.append(f"stage {number}, {pluralize(stage.env_steps, 'step')}: {stage.text} (selection score {reached})")
    if result.observation:
        lines.append(f"the policy observes: {describe_observation(result.observation)}")
    return lines


def _summarize_costs(result: Result) -> str:
    costs = [pluralize(result.env_steps, "environment step")]
    if result.best.id != MEASURED_ID:
        costs.insert(0, pluralize(len(result.candidates), "candidate"))
    if result.spent.calls:
        usd = "cost unknown" if result.spent.cost_usd is None else f"${result.spent.cost_usd:.2f}"
        costs += [pluralize(result.spent.calls, "model call"), pluralize(result.spent.tokens, "token"), usd]
    return ", ".join(costs)


def _describe_archive(result: Result) -> list[str]:
    """Return a line on the archive of behaviours; none without descriptors, or where no candidate was measured."""
    archive = BehaviourArchive.build(result.behaviour, result.candidates)
    if not result.behaviour or not archive.elites:
        return []
    line = f"archive of {' and '.join(one.name for one in result.behaviour)}: {archive.describe_coverage()}"
    if result.baselines.random is not None:
        score = archive.compute_qd_score(result.baselines.random)
        line += f", QD score {format_number(score)} above random actions"
    return [line]


def _format_estimates(
    result: Result,
    reported: Interval | None,
    ensemble: Interval | None,
    baseline: Interval | None,
    random: float | None,
    selected: float | None,
) -> list[str]:
    """Return a line for each estimate of one quantity that is known."""
    lines = []
    if reported is not None:
        seeds = pluralize(len(reported.values), "seed" if result.best.id == MEASURED_ID else "fresh seed")
        verb = "trained" if result.best.id == MEASURED_ID else "retrained"
        lines.append(_format_row(f"this program, {verb} on {seeds}", _format_mean_and_bounds(reported)))
    if ensemble is not None and result.ensemble is not None:
        name = f"{ENSEMBLE_RULES[result.ensemble.rule]} {', '.join(result.ensemble.members)}"
        lines.append(_format_row(name, _format_mean_and_bounds(ensemble)))
    if baseline is not None:
        seeds = pluralize(len(baseline.values), "seed")
        lines.append(_format_row(f"environment reward, trained on {seeds}", _format_mean_and_bounds(baseline)))
    if random is not None:
        lines.append(_format_row("random actions", format_number(random)))
    if selected is not None:
        lines.append(_format_row("selection score (biased upwards)", format_number(selected)))
    return lines


def _format_lineage(result: Result) -> list[str]:
    """Return the lines about the policies that the search itself trained, where they begin with others'."""
    lineage = result.lineage
    if lineage is None or lineage.reached is None:
        return []
    label = f"warm-started lineage, {pluralize(lineage.env_steps, 'step')}"
    path = f"    ({' > '.join(lineage.members)}: the policies of the search, not trained from nothing)"
    return [_format_row(label, _format_mean_and_bounds(lineage.reached)), path]


def _format_expectation(result: Result) -> list[str]:
    """Return a line with the fitness to expect of the best program, from the trainings that it was chosen by."""
    estimate = build_estimates(result.candidates, result.finalists).by_candidate.get(result.best.id)
    if estimate is None:
        return []
    value = f"{format_number(estimate.mean):<6} ± {format_number(estimate.deviation, 2)}"
    return [_format_row(f"expected, from {pluralize(estimate.trainings, 'training')}", value)]


def _format_row(label: str, value: str) -> str:
    """Return a label and its value, the values below each other."""
    return f"  {label:<{LABEL_WIDTH - 2}}{value}"


def _format_mean_and_bounds(interval: Interval) -> str:
    if interval.low is None:
        return format_number(interval.mean)
    return f"{format_number(interval.mean):<6} [{format_number(interval.low)}, {format_number(interval.high)}]"


def format_interval(value: Interval) -> str:
    """Format a mean with its interval and the number of seeds behind it.

    >>> format_interval(Interval(2.0, 1.5, 2.5, (1.75, 2.25)))
    '2      [1.5, 2.5]  2 training seeds'
    """
    return f"{_format_mean_and_bounds(value):<6}  {pluralize(len(value.values), 'training seed')}"


def describe_fitness(candidate: Candidate, result: Result | None) -> str:
    """Return a candidate's fitness: of the final evaluation, else the selection score with what is to be expected."""
    if result is not None and result.reported is not None and result.best.id == candidate.id:
        return format_estimate(result.reported)
    if candidate.fitness is None:
        return "not measured"
    estimates = build_estimates(result.candidates, result.finalists) if result is not None else CandidateEstimates()
    expected = estimates.find_mean(candidate.id)
    note = "" if expected is None else f", {format_number(expected, 3)} expected when retrained"
    return f"{format_number(candidate.fitness, 3)} (selection score{note})"


def format_metrics(metrics: Sequence[ReportedMetric]) -> str:
    """Format the metrics of a reported program, to append to its fitness.

    >>> format_metrics([ReportedMetric("fell", "1 - survived", reported=Interval(0.1, 0.0, 0.2, (0.05, 0.15)))])
    ', fell 0.1 [0, 0.2]'
    """
    return "".join(f", {metric.name} {format_estimate(metric.reported)}" for metric in metrics if metric.reported)


def format_estimate(value: Interval) -> str:
    """Format a mean with its interval.

    >>> format_estimate(Interval(2.0, 1.5, 2.5, (1.75, 2.25))), format_estimate(Interval(2.0, None, None, (2.0,)))
    ('2 [1.5, 2.5]', '2')
    """
    bounds = "" if value.low is None else f" [{format_number(value.low, 3)}, {format_number(value.high, 3)}]"
    return f"{format_number(value.mean, 3)}{bounds}"


def describe_updates(candidate: Candidate) -> str | None:
    """Return a line about the size of PPO's updates in a candidate's last training; None for other trainers."""
    curve = candidate.trainings[-1].curve if candidate.trainings else ()
    divergences = [point.approx_kl for point in curve if point.approx_kl is not None]
    fractions = [point.clip_fraction for point in curve if point.clip_fraction is not None]
    if not divergences or not fractions:
        return None
    kl = f"approx_kl {format_number(divergences[-1], 2)} (at most {format_number(max(divergences), 2)})"
    clipped = f"clip_fraction {format_number(fractions[-1], 2)} (at most {format_number(max(fractions), 2)})"
    return f"PPO updates at the end of training: {kl}, {clipped}"
