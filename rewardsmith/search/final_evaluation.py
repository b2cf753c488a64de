"""The reported figures: the best program trained on fresh seeds, beside what it is compared with."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rewardsmith.contract import records
from rewardsmith.contract.errors import ProgramError
from rewardsmith.contract.records import (
    Baselines,
    Candidate,
    Ensemble,
    Evaluation,
    Interval,
    Proposal,
    ReportedFigure,
    Result,
    Spent,
)
from rewardsmith.contract.reward_program import RewardProgram, refusal
from rewardsmith.executors.base import Executor
from rewardsmith.search.callbacks import Watch
from rewardsmith.search.concurrency import raised, together
from rewardsmith.search.probe import look
from rewardsmith.search.steps import critic, evaluator, evolution, trainer
from rewardsmith.search.steps.evolution import ensemble
from rewardsmith.search.storage import Journal, Run
from rewardsmith.search.trial import BASELINE, FINAL, Trials

ENSEMBLE = "ensemble"
MEASURED = "user"
"""Id of the one program of such a run."""
OFFER = "What the three best programs agree on is harder to cheat: `rewardsmith resume {run} --ensemble 3` trains on it"


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
        SandboxUnavailable: if an ensemble's text cannot be checked on this machine.
    """
    found = _measure(trials, best, history)
    baselines, every = found.baselines, trials.run.config.search.final_seeds
    result = replace(
        _result(trials, best, history, spent, stopped),
        reported=found.reported,
        baselines=baselines,
        normalised=evaluator.normalised(
            _of_every_seed(found.reported, every), baselines.random, _of_every_seed(baselines.own_reward, every)
        ),
        ensemble=found.ensemble,
        figures=found.figures,
    )
    trials.run.finish(result)
    return result


def measure(run: Run, program: RewardProgram, journal: Journal, executor: Executor, watch: Watch) -> Result:
    """Measure a program as a search measures its best: trained on fresh seeds, run on held-out episodes.

    Raises:
        ProgramError: if the critic refuses it.
        TaskError: if the environment cannot be made.
        WorkerFailed: if the machinery fails; the same call goes on from there.
    """
    probe = look(run, journal, executor)
    verdict = critic.review(program.source, probe, run.transitions, run.config.sandbox)
    if not verdict.accepted:
        raise refusal(verdict.findings)
    trials = Trials(run, journal, executor, watch, probe)
    config = run.config.search
    watch.started(config.final_seeds * (1 + config.baseline), config.env_steps)
    candidate = Candidate(MEASURED, 0, 0, Proposal(program.source, "user"), "ok", verdict)
    run.save(candidate)
    result = report(trials, candidate, [candidate], Spent(), None)
    watch.finished(result)
    return result


def broken_off(run: Run, result: Result) -> bool:
    """Return whether a failure of the machine left an outcome without a figure: what it ended is in no journal.

    Args:
        run: which was reported.
        result: its outcome.
    """
    if any(candidate.status == "infrastructure" for candidate in result.candidates):
        return True
    known, search = {event.key: event.data for event in run.events()}, run.config.search
    owners = [f"{FINAL}/{result.best.id}", *[BASELINE] * search.baseline]
    owners += [_ensemble_owner(result.ensemble.members)] if result.ensemble else []
    seeds = trainer.seeds(run.config, trainer.FINAL_SEEDS, search.final_seeds)
    for owner, seed in ((owner, seed) for owner in owners for seed in seeds):
        training = known.get(f"{owner}/trainer/s{seed}")
        if training is None or (training["status"] == "ok" and f"{owner}/evaluator/s{seed}" not in known):
            return True
    return f"{BASELINE}/evaluator/random" not in known


def pause(trials: Trials, history: list[Candidate], spent: Spent, waits: str) -> Result:
    """Write how far a search is that waits for people: nothing is trained anew, and it will go on.

    Args:
        trials: of the search.
        history: every candidate; at least one has a policy.
        spent: what the language models cost.
        waits: for what.
    """
    result = _result(trials, evolution.ranked(history)[0], history, spent, waits)
    trials.run.finish(result)
    trials.watch.finished(result)
    return result


def _result(trials: Trials, best: Candidate, history: list[Candidate], spent: Spent, stopped: str | None) -> Result:
    """Return an outcome without reported figures."""
    run = trials.run
    return Result(
        run=str(run.path),
        task=run.task.text,
        env_id=run.task.env.env_id,
        fitness=run.task.fitness,
        best=best,
        candidates=tuple(history),
        reported=None,
        baselines=Baselines(),
        normalised=None,
        env_steps=_env_steps(trials.journal),
        spent=spent,
        stopped=stopped,
        figures=evaluator.further(run.task, chosen=best.evaluations),
    )


@dataclass(frozen=True)
class _Found:
    """What was measured anew."""

    reported: Interval | None
    baselines: Baselines
    ensemble: Ensemble | None
    figures: tuple[ReportedFigure, ...]


def _measure(trials: Trials, best: Candidate, history: list[Candidate]) -> _Found:
    config = trials.run.config
    episodes = evaluator.seeds(config, evaluator.REPORT, config.evaluation.final_episodes)
    seeds = trainer.seeds(config, trainer.FINAL_SEEDS, config.search.final_seeds)
    final = f"{FINAL}/{best.id}"
    programs: dict[str, str | None] = {final: best.proposal.source}
    if config.search.baseline:
        programs[BASELINE] = None
    joined = _joined(trials, best, history)
    if joined:
        programs[joined.owner] = joined.source
    random = trials.evaluate(BASELINE, None, "random", episodes)
    measured = raised(together(lambda owner: trials.of(owner, programs[owner], seeds, episodes), programs))
    fitness: dict[str, Interval | None] = {}
    evaluations: dict[str, list[Evaluation]] = {}
    for owner, outcomes in zip(programs, measured, strict=True):
        values = [trial.fitness for trial in outcomes if trial.fitness is not None]
        fitness[owner] = evaluator.interval(values, trials.run.task.fitness)
        evaluations[owner] = [trial.evaluation for trial in outcomes if trial.evaluation]
        for trial in outcomes:
            if trial.fitness is None:
                again = f"; `rewardsmith resume {trials.run.path}` tries again" * (trial.status == "infrastructure")
                what = f"a training of {owner} (seed {trial.training.seed}) gave no figure"
                trials.watch.notice(f"{what}: {trial.cause}{again}")
    figures = evaluator.further(
        trials.run.task,
        reported=evaluations[final],
        own_reward=evaluations.get(BASELINE, ()),
        random=random,
        ensemble=evaluations[joined.owner] if joined else (),
        chosen=best.evaluations,
    )
    robust = Ensemble(joined.members, config.search.ensemble_rule, fitness[joined.owner]) if joined else None
    return _Found(fitness[final], Baselines(random.fitness, fitness.get(BASELINE)), robust, figures)


@dataclass(frozen=True)
class _Joined:
    """The best programs as one."""

    members: tuple[str, ...]
    source: str

    @property
    def owner(self) -> str:
        """What its trainings are kept under: other members are another program."""
        return _ensemble_owner(self.members)


def _joined(trials: Trials, best: Candidate, history: list[Candidate]) -> _Joined | None:
    """Join the best programs where the search asks for it; where that cannot be done, say why.

    Where it does not ask, and the best program raised an alarm, say that it could.
    """
    config = trials.run.config
    count = config.search.ensemble
    if not count:
        if best.feedback and best.feedback.alarms:
            offer = OFFER.format(run=trials.run.path)
            trials.watch.notice(f"{best.id} raised an alarm: {best.feedback.alarms[0]}. {offer}")
        return None
    members = evolution.members(history, count, config.evolution)
    names = ", ".join(member.id for member in members)
    if len(members) < 2:
        trials.watch.notice(f"no ensemble: it takes two different programs with a fitness, and there is {names}")
        return None
    try:
        source = ensemble.join(members, config.search.ensemble_rule)
    except ProgramError as error:
        trials.watch.notice(f"no ensemble: {error}")
        return None
    records.write_text(trials.run.path / f"{ENSEMBLE}.py", source)
    verdict = critic.review(source, trials.probe, trials.run.transitions, config.sandbox)
    if verdict.trainable:
        return _Joined(tuple(member.id for member in members), source)
    errors = "; ".join(finding.message for finding in verdict.findings if finding.severity == "error")
    trials.watch.notice(f"no ensemble: {names} joined into one are refused: {errors}")
    return None


def _ensemble_owner(members: tuple[str, ...]) -> str:
    return f"{FINAL}/{ENSEMBLE}-{'-'.join(members)}"


def _of_every_seed(figure: Interval | None, seeds: int) -> float | None:
    """Return the mean; None where a training gave no figure: the mean of those that are left flatters the program."""
    return figure.mean if figure and len(figure.values) == seeds else None


def _env_steps(journal: Journal) -> int:
    return sum(event.data["env_steps"] for event in journal if event.step == "trainer")
