"""The reported figures: the best program trained on fresh seeds, beside what it is compared with."""

from __future__ import annotations

from rewardsmith.archive import Journal
from rewardsmith.records import Baselines, Candidate, Interval, Result, Spent
from rewardsmith.steps import evaluator, trainer
from rewardsmith.threads import raised, together
from rewardsmith.trials import BASELINE, FINAL, Trials


def report(trials: Trials, best: Candidate, history: list[Candidate], spent: Spent, stopped: str | None) -> Result:
    """Measure the best program and write the outcome.

    Args:
        trials: runs and remembers the trainings.
        best: the candidate to report.
        history: every candidate.
        spent: what the language model cost.
        stopped: why the search ended early, if it did.

    Raises:
        WorkerFailed: if the machinery failed repeatedly.
    """
    run = trials.run
    reported, baselines = _measure(trials, best)
    own = baselines.own_reward.mean if baselines.own_reward else None
    result = Result(
        run=str(run.path),
        task=run.task.text,
        env_id=run.task.env.env_id,
        fitness=run.task.fitness,
        best=best,
        candidates=tuple(history),
        reported=reported,
        baselines=baselines,
        normalised=evaluator.normalised(reported.mean if reported else None, baselines.random, own),
        env_steps=_env_steps(trials.journal),
        spent=spent,
        stopped=stopped,
    )
    run.finish(result)
    return result


def _measure(trials: Trials, best: Candidate) -> tuple[Interval | None, Baselines]:
    config = trials.run.config
    episodes = evaluator.seeds(config, evaluator.REPORT, config.evaluation.final_episodes)
    seeds = trainer.seeds(config, trainer.FINAL_SEEDS, config.search.final_seeds)
    final = f"{FINAL}/{best.id}"
    programs: dict[str, str | None] = {final: best.proposal.source}
    if config.search.baseline:
        programs[BASELINE] = None
    random = trials.evaluate(BASELINE, None, "random", episodes)
    measured = raised(together(lambda owner: trials.of(owner, programs[owner], seeds, episodes), programs))
    figures: dict[str, Interval | None] = {}
    for owner, outcomes in zip(programs, measured, strict=True):
        figures[owner] = evaluator.interval([trial.fitness for trial in outcomes if trial.fitness is not None])
        for trial in outcomes:
            if trial.fitness is None:
                trials.watch.notice(f"a training of {owner} (seed {trial.training.seed}) gave no figure: {trial.cause}")
    return figures[final], Baselines(random.fitness, figures.get(BASELINE))


def _env_steps(journal: Journal) -> int:
    return sum(event.data["env_steps"] for event in journal if event.step == "trainer")
