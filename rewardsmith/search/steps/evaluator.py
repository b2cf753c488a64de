"""The evaluator: a policy becomes its fitness and further figures on held-out seeds; it never sees the program."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rewardsmith.contract.fitness.bounds import is_share
from rewardsmith.contract.records import EvaluateJob, Evaluation, Interval, Probe, ReportedFigure
from rewardsmith.executors.base import Executor
from rewardsmith.spec.config import Config
from rewardsmith.spec.task_cards import Task

SELECTION, REPORT = 1_000_000_000, 1_500_000_000
"""Where the seeds of the selection's and of the report's episodes begin, far from each other and from training's."""

T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
"""0.975 quantile of Student's t by degrees of freedom, from 1; the normal's 1.96 stands in beyond."""


def seeds(config: Config, first: int, count: int) -> tuple[int, ...]:
    """Return `count` episode seeds, the same for every candidate of a search.

    Args:
        config: for the seed of the search.
        first: SELECTION or REPORT.
        count: how many, at most 10,000.
    """
    start = first + 10_000 * (config.search.seed % 10_000)
    return tuple(range(start, start + count))


def evaluate(
    executor: Executor,
    task: Task,
    probe: Probe,
    policy: Path | None,
    episodes: tuple[int, ...],
    out: Path,
    reads: Sequence[str] = (),
    deterministic: bool = True,
) -> Evaluation:
    """Run a policy for one episode per seed; blocks until it is done.

    Args:
        executor: where it runs.
        task: whose fitness expression counts, and whose further figures are measured.
        probe: the environment's catalogue.
        policy: folder of the policy; None acts at random.
        episodes: one seed each.
        out: folder for the recorded episodes.
        reads: signals to record beside those that the task names; the program's, which is not seen here.
        deterministic: the policy's likeliest actions; else drawn by chance, from a generator of the episode's seed.

    Raises:
        WorkerFailed: if the machinery failed repeatedly.
    """
    job = EvaluateJob(
        env=replace(task.env, signals=probe.signals, measures=probe.measures),
        policy=None if policy is None else str(policy),
        fitness=task.fitness,
        seeds=episodes,
        record=tuple(dict.fromkeys((*(signal.name for signal in task.env.signals), *reads))),
        deterministic=deterministic,
        figures=task.expressions,
    )
    result = executor.run(job, out)
    assert isinstance(result, Evaluation)  # the executor answers a job with its own kind of result
    return result


def interval(values: Sequence[float], expression: str | None = None) -> Interval | None:
    """Return the mean with its 95 % confidence interval; None where there are no values.

    Student's t makes it; of what can only be in [0, 1] the part is left out that cannot be.

    >>> interval([1.0, 2.0, 3.0])
    Interval(mean=2.0, low=-0.484..., high=4.484..., values=(1.0, 2.0, 3.0))
    >>> interval([0.25, 0.75], "any(success)")
    Interval(mean=0.5, low=0.0, high=1.0, values=(0.25, 0.75))

    Args:
        values: one per training seed, or per episode.
        expression: whose values they are; None: of nothing that is known.
    """
    n = len(values)
    if n == 0:
        return None
    mean = sum(values) / n
    if n == 1:
        return Interval(mean, None, None, tuple(values))
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1))
    half = (T_975[n - 2] if n - 2 < len(T_975) else 1.96) * deviation / math.sqrt(n)
    low, high = mean - half, mean + half
    if expression is not None and is_share(expression):
        low, high = max(low, 0.0), min(high, 1.0)
    return Interval(mean, low, high, tuple(values))


def figures(evaluations: Iterable[Evaluation], expressions: Mapping[str, str] | None = None) -> dict[str, Interval]:
    """Return each further figure that evaluations have, over them; one that has no value in any is left out.

    >>> figures([Evaluation("ok", (), 1.0, 0.1, figures={"fell": 0.25, "gap": None})])
    {'fell': Interval(mean=0.25, low=None, high=None, values=(0.25,))}

    Args:
        evaluations: of one program, or of random actions.
        expressions: the figures', by name, as far as they are known.
    """
    spelled = expressions or {}
    known = list(evaluations)
    found = {}
    for name in dict.fromkeys(name for one in known for name in one.figures):
        values = [value for one in known if (value := one.figures.get(name)) is not None]
        over = interval(values, spelled.get(name))
        if over is not None:
            found[name] = over
    return found


def further(
    task: Task,
    *,
    reported: Sequence[Evaluation] = (),
    own_reward: Sequence[Evaluation] = (),
    random: Evaluation | None = None,
    ensemble: Sequence[Evaluation] = (),
    chosen: Sequence[Evaluation] = (),
) -> tuple[ReportedFigure, ...]:
    """Return a task's further figures, each over the evaluations of what was measured.

    Args:
        task: names them.
        reported: of the best program trained anew, one per training seed.
        own_reward: of policies trained on the environment's own reward.
        random: of random actions.
        ensemble: of the best programs joined.
        chosen: of the program in the search.
    """
    over = [figures(evaluations, task.expressions) for evaluations in (reported, own_reward, ensemble, chosen)]
    found = []
    for one in task.figures:
        anew, own, joined, before = (known.get(one.name) for known in over)
        at_random = random.figures.get(one.name) if random else None
        found.append(ReportedFigure(one.name, one.expression, one.meaning, anew, own, at_random, joined, before))
    return tuple(found)


def normalised(fitness: float | None, random: float | None, own: float | None) -> float | None:
    """Return (fitness - random) / (own - random); None where a figure is missing or the denominator is not positive.

    >>> normalised(3.0, 1.0, 2.0)
    2.0
    """
    if fitness is None or random is None or own is None or own <= random:
        return None
    return (fitness - random) / (own - random)
