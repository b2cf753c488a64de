"""Tables of the evidence (evidence.md), from the rows that `evidence.py` writes for each search."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from statistics import fmean, median, variance
from typing import Any

import numpy as np

from rewardsmith.api.sweep.statistics import (
    Estimate,
    bootstrap_interval,
    interquartile_mean,
    probability_of_improvement,
)
from rewardsmith.report.text import format_duration
from rewardsmith.search.intervals import confidence_interval

KINDS = {
    **dict.fromkeys(("half_cheetah", "hopper", "walker2d", "ant", "swimmer"), "locomotion"),
    **dict.fromkeys(("hopper_back_flip_land", "ant_wave_leg", "half_cheetah_target_speed"), "behaviour"),
    **dict.fromkeys(("reacher_hold", "pusher", "window_open", "door_unlock"), "goal"),
}
REWARDED = ("locomotion", "goal")
"""Kinds of tasks that the environment's own reward pays for: those of Eureka's two figures."""
ARMS = ("smith", "best_of_n", "best_of_six", "eureka", "no_reflection", "reviewed")
"""Order of the arms in the tables."""
RANDOM, ENVIRONMENT = "random", "environment reward"
Row = Mapping[str, Any]


def complete_rows(rows: Iterable[Row]) -> list[Row]:
    """Return rows in which a search that failed has the random actions and the baseline of its task's other arms."""
    rows = list(rows)
    known = {row["task"]: row for row in rows if row["random"] is not None and row["environment_reward"]}
    taken = ("random", "environment_reward")
    return [
        {**row, **{name: row[name] or known[row["task"]][name] for name in taken}} if row["task"] in known else row
        for row in rows
    ]


def list_fitness(row: Row) -> list[float]:
    """Return the fitness of each final training of an arm; a training without one counts as random actions."""
    missing = row["final_seeds"] - len(row["fitness"])
    return [*row["fitness"], *([row["random"]] * missing if row["random"] is not None else [])]


def normalize_row(row: Row) -> list[float] | None:
    """Return (fitness - random) / (environment reward - random) of each final training.

    None where that says nothing: the task's kind is one that the environment's own reward does not pay for, or policies
    that were trained on it are no better than random actions.
    """
    if row["kind"] not in REWARDED or row["random"] is None or not row["environment_reward"]:
        return None
    scale = fmean(row["environment_reward"]) - row["random"]
    return [(value - row["random"]) / scale for value in list_fitness(row)] if scale > 0.0 else None


def group_fitness(rows: Sequence[Row]) -> dict[str, dict[str, list[float]]]:
    """Return arm to task to the fitness of its final trainings, with the environment's own reward as an arm."""
    arms: defaultdict[str, dict[str, list[float]]] = defaultdict(dict)
    for row in rows:
        arms[row["arm"]].setdefault(row["task"], []).extend(list_fitness(row))
    # Its trainings are the same in all arms of a task.
    human = {row["task"]: row["environment_reward"] for row in rows if row["environment_reward"]}
    return {**arms, ENVIRONMENT: human} if human else dict(arms)


def compare_arms(
    first: Mapping[str, Sequence[float]], second: Mapping[str, Sequence[float]]
) -> tuple[list[float], Estimate, Estimate] | None:
    """Compare two arms by the probability that a final training of the first is better than one of the second.

    Returns:
        The probability of each task; their mean with the interval over training seeds, which holds for these programs;
        and with the interval over tasks, which holds for searches on tasks like these. None without a common task.
    """
    over_seeds = probability_of_improvement(first, second)
    if over_seeds is None:
        return None
    tasks = [task for task in first if task in second]
    single = [probability_of_improvement({task: first[task]}, {task: second[task]}) for task in tasks]
    values = [estimate.value for estimate in single if estimate is not None]
    over_tasks = bootstrap_interval(lambda drawn: np.asarray(drawn[0].mean(axis=1)), [np.asarray(values)])
    return values, over_seeds, over_tasks


def is_separated(over_tasks: Estimate) -> bool:
    """Return whether the interval over tasks leaves out one half: what the protocol calls a difference."""
    return over_tasks.low is not None and over_tasks.high is not None and not over_tasks.low <= 0.5 <= over_tasks.high


def render_tables(rows: Sequence[Row]) -> str:
    """Render all tables as Markdown, each below a line that says what it shows."""
    rows = sort_rows(complete_rows(rows))
    arms = sorted({row["arm"] for row in rows}, key=rank_arm)
    tables = [render_fitness(rows, arms), render_headline(rows, arms), render_pairs(group_fitness(rows))]
    tables += [render_generations(rows, arms), render_kept_leads(rows, arms), render_spreads(rows)]
    tables.append(render_costs(rows, arms))
    return "\n\n".join(tables) + "\n"


def sort_rows(rows: Iterable[Row]) -> list[Row]:
    """Return rows by task and arm, in the order of the protocol."""
    return sorted(rows, key=lambda row: (list(KINDS).index(row["task"]), rank_arm(row["arm"]), row["seed"]))


def rank_arm(arm: str) -> tuple[int, str]:
    """Return the place of an arm in the tables; those that are not of the protocol come last."""
    return (ARMS.index(arm) if arm in ARMS else len(ARMS), arm)


def render_fitness(rows: Sequence[Row], arms: Sequence[str]) -> str:
    """Render task × arm: mean fitness of the named program over fresh training seeds, with its 95 % interval."""
    title = "Fitness of the named program, retrained on fresh seeds, with 95 % intervals over these seeds"
    lines = []
    for task in dict.fromkeys(row["task"] for row in rows):
        own = [row for row in rows if row["task"] == task]
        cells = {row["arm"]: format_values(list_fitness(row)) for row in own}
        human = next((row["environment_reward"] for row in own if row["environment_reward"]), [])
        chance = next((f"{row['random']:.3g}" for row in own if row["random"] is not None), "–")
        lines.append((task, KINDS[task], *(cells.get(arm, "") for arm in arms), format_values(human), chance))
    return render_table(title, ("task", "kind", *arms, ENVIRONMENT, RANDOM), lines)


def render_headline(rows: Sequence[Row], arms: Sequence[str]) -> str:
    """Render Eureka's two figures and the interquartile mean, over the tasks that the environment's own reward pays."""
    title = "Against the environment's own reward, on the tasks that it pays for (normalised: random 0, it 1)"
    lines = []
    for arm in arms:
        own = [row for row in rows if row["arm"] == arm and row["kind"] in REWARDED and row["environment_reward"]]
        reached = sum(fmean(list_fitness(row)) >= fmean(row["environment_reward"]) for row in own if list_fitness(row))
        scores = {f"{row['task']} {row['seed']}": score for row in own if (score := normalize_row(row))}
        improvement = f"{100 * (fmean(map(fmean, scores.values())) - 1):+.0f} %" if scores else "–"
        middle = format_estimate(interquartile_mean(scores)) if scores else "–"
        lines.append((arm, len(own), f"{reached} of {len(own)}", improvement, middle, len(scores)))
    reached_name = "at least the environment reward"
    header = ("arm", "searches", reached_name, "mean improvement", "interquartile mean", "searches normalised")
    return render_table(title, header, lines)


def render_pairs(arms: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Render the probability of improvement of each pair of arms, over all tasks that both have."""
    title = "Probability that a final training of the first arm is better, on a task drawn at random"
    lines = []
    for first, second in combinations(arms, 2):
        comparison = compare_arms(arms[first], arms[second])
        if comparison is None:
            continue
        values, over_seeds, over_tasks = comparison
        outcome = f"{sum(v > 0.5 for v in values)}, {sum(v == 0.5 for v in values)}, {sum(v < 0.5 for v in values)}"
        seeds, tasks = (format_interval(estimate) for estimate in (over_seeds, over_tasks))
        verdict = "a difference" if is_separated(over_tasks) else "not separated"
        lines.append((first, second, len(values), f"{over_seeds.value:.2f}", seeds, tasks, outcome, verdict))
    header = ("first", "second", "tasks", "probability", "over seeds", "over tasks", "better, equal, worse", "")
    return render_table(title, header, lines)


def render_generations(rows: Sequence[Row], arms: Sequence[str]) -> str:
    """Render how programs of later generations compare with those of the first, by the one training seed of each.

    Programs whose training gave no fitness are left out.
    """
    title = (
        "Exploratory: probability that a program of a later generation has the higher fitness in the search (one "
        "training seed) than one of the first, with intervals over tasks"
    )
    lines = []
    for arm in arms:
        own = [row for row in rows if row["arm"] == arm and len(row.get("generations", ())) > 1]
        if not own:
            continue
        cells = []
        for number in (1, 2):
            # Tasks in which both generations have programs with a fitness.
            found = {row["task"]: row["generations"] for row in own if len(row["generations"]) > number}
            both = {task: values for task, values in found.items() if values[0] and values[number]}
            later = {task: values[number] for task, values in both.items()}
            comparison = compare_arms(later, {task: values[0] for task, values in both.items()})
            cells.append("–" if comparison is None else format_estimate(comparison[2]))
        named = Counter(row["best"].split("c")[0] for row in own if row.get("best"))
        lines.append((arm, len(own), *cells, ", ".join(str(named[f"g{number}"]) for number in range(3))))
    header = ("arm", "searches", "generation 1", "generation 2", "named programs of generations 0, 1, 2")
    return render_table(title, header, lines)


def render_kept_leads(rows: Sequence[Row], arms: Sequence[str]) -> str:
    """Render how much of the named program's lead over its search's average program is left on fresh seeds.

    1 is all of it; 0 or less says that the named program is no better than the average one.
    """
    title = (
        "Exploratory: what is left, on fresh seeds, of the lead that the named program had in the search (one training "
        "seed) over the average program of its search"
    )
    lines = []
    for arm in arms:
        kept = [share for row in rows if row["arm"] == arm and (share := compute_kept_lead(row)) is not None]
        if kept:
            lines.append((arm, len(kept), f"{median(kept):.2f}", f"{sum(share > 0 for share in kept)} of {len(kept)}"))
    header = ("arm", "searches", "median share", "better than the average program")
    return render_table(title, header, lines)


def compute_kept_lead(row: Row) -> float | None:
    """Return the share of a search's lead that is left on fresh seeds; None where it had no lead or no result."""
    in_search = [fitness for generation in row.get("generations", ()) for fitness in generation]
    if not in_search or not row["fitness"]:
        return None
    average = fmean(in_search)
    lead = max(in_search) - average
    return (fmean(list_fitness(row)) - average) / lead if lead > 0.0 else None


def render_spreads(rows: Sequence[Row]) -> str:
    """Render how much fitness varies between programs on one training seed, and between training seeds of a program.

    The share is that of the variance over programs which the seeds do not explain.
    """
    title = (
        "Exploratory: standard deviation of the fitness over best_of_n's programs, each with one training seed, and "
        "over the fresh training seeds of one program (pooled over the task's named programs)"
    )
    lines = []
    for task in dict.fromkeys(row["task"] for row in rows):
        own = [row for row in rows if row["task"] == task]
        drawn = [row["generations"][0] for row in own if row["arm"] == "best_of_n" and row.get("generations")]
        # Arms that name the same program have the same trainings
        named = {tuple(row["fitness"]) for row in own if len(row["fitness"]) > 1}
        if not drawn or len(drawn[0]) < 2 or not named:
            continue
        noise, total = fmean(map(variance, named)), variance(drawn[0])
        share = max(0.0, 1.0 - noise / total) if total else 0.0
        lines.append((task, f"{total**0.5:.3g}", f"{noise**0.5:.3g}", f"{share:.2f}"))
    return render_table(title, ("task", "over programs", "over seeds", "share between programs"), lines)


def render_costs(rows: Sequence[Row], arms: Sequence[str]) -> str:
    """Render what each arm took, its report and baseline left out."""
    title = "What the searches took, each as if alone; reports and baselines left out"
    lines = []
    for arm in arms:
        own = [row for row in rows if row["arm"] == arm]
        total = {name: sum(row.get(name, 0) for row in own) for name in ("trained", "programs", "answers", "tokens")}
        trained = f"{total['trained']} of {total['programs']}"
        steps, seconds = sum(row["env_steps"] for row in own), sum(row["train_s"] for row in own)
        failed = sum(row["status"] == "failed" for row in own)
        in_first = sum(row.get("best", "").startswith("g0") for row in own)
        figures = (f"{steps:,}", format_duration(seconds), f"{total['answers']:,}", f"{total['tokens']:,}")
        lines.append((arm, len(own), failed, trained, f"{in_first} of {len(own)}", *figures))
    header = ("arm", "searches", "failed", "programs trained", "named one is of the first generation", "env steps")
    return render_table(title, (*header, "time of trainings", "answers", "tokens"), lines)


def format_values(values: Sequence[float]) -> str:
    """Return a mean with its 95 % interval (Student) as text."""
    interval = confidence_interval(values)
    return "–" if interval is None else f"{interval.mean:.3g} [{interval.low:.3g}, {interval.high:.3g}]"


def format_estimate(estimate: Estimate) -> str:
    """Return an estimate with its interval as text."""
    return f"{estimate.value:.2f} {format_interval(estimate)}"


def format_interval(estimate: Estimate) -> str:
    """Return an estimate's interval as text."""
    return "[–]" if estimate.low is None or estimate.high is None else f"[{estimate.low:.2f}, {estimate.high:.2f}]"


def render_table(title: str, header: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """Render a Markdown table below its title."""
    rendered = ("| " + " | ".join(map(str, line)) + " |" for line in lines)
    return "\n".join([f"{title}\n", f"| {' | '.join(header)} |", "|---" * len(header) + "|", *rendered])
