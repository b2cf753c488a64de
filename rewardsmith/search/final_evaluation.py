"""Final evaluation: the best program retrained on fresh seeds, with baselines and, where asked for, an ensemble."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rewardsmith.contract import records
from rewardsmith.contract.errors import ProgramError
from rewardsmith.contract.observation import choose_observation
from rewardsmith.contract.records import (
    Baselines,
    Candidate,
    Ensemble,
    Evaluation,
    Finalist,
    Interval,
    ModelUsage,
    Proposal,
    Result,
    WarmStartLineage,
)
from rewardsmith.contract.reward_program import RewardProgram, build_program_error
from rewardsmith.executors.base import Executor
from rewardsmith.search import curriculum
from rewardsmith.search import finalists as finalist_phase
from rewardsmith.search.callbacks import SearchCallback
from rewardsmith.search.concurrency import results_or_raise, run_in_threads
from rewardsmith.search.intervals import confidence_interval
from rewardsmith.search.probe import probe_environment
from rewardsmith.search.reported_metrics import report_metrics
from rewardsmith.search.steps import critic, evaluator, evolution, trainer
from rewardsmith.search.steps.evolution import ensemble
from rewardsmith.search.storage import Journal, Run
from rewardsmith.search.storage.journal_keys import RANDOM_EVALUATION_KEY, evaluator_key, is_training_of_search
from rewardsmith.search.storage.layout import BASELINE, MEASURED_ID, ensemble_owner, final_owner, lineage_owner
from rewardsmith.search.trial import TrialRunner

ENSEMBLE_OFFER = (
    "What the three best programs agree on is harder to cheat: `rewardsmith resume {run} --ensemble 3` trains on it"
)


@dataclass(frozen=True)
class JoinedProgram:
    """The best programs joined into one."""

    members: tuple[str, ...]
    """Ids of the candidates, best first."""
    source: str


@dataclass(frozen=True)
class Measurement:
    """The trainings of one owner on the final seeds."""

    fitness: Interval | None
    """Fitness over the training seeds; None if no training gave one."""
    evaluations: tuple[Evaluation, ...] = ()


# ---------------------------------------------------------------- outcomes


def report_best(
    trials: TrialRunner,
    best: Candidate,
    history: Sequence[Candidate],
    finalists: tuple[Finalist, ...],
    read_spent: Callable[[], ModelUsage],
    stopped: str | None,
) -> Result:
    """Measure the best program and write the outcome.

    Args:
        trials: runs and remembers the trainings.
        best: the candidate to report.
        history: every candidate.
        finalists: their fresh trainings, which the choice rests on too.
        read_spent: returns what the language models cost; called last, as a judge may score what is measured.
        stopped: why the search ended early, if it did.

    Raises:
        WorkerFailed: if the machinery failed repeatedly.
        SandboxUnavailable: if an ensemble's text cannot be checked on this machine.
    """
    # What is trained: the best program, the environment reward, and the best programs joined.
    config = trials.run.config.search
    best_owner = final_owner(best.id)
    programs: dict[str, str | None] = {best_owner: best.proposal.source}
    if config.baseline:
        programs[BASELINE] = None
    joined = _join_best_programs(trials, best, history)
    joined_owner = ensemble_owner(joined.members) if joined else ""
    if joined:
        programs[joined_owner] = joined.source

    # Every owner is trained on the same seeds, and evaluated on the same episodes as random actions.
    episodes = evaluator.episode_seeds(trials.run.config, evaluator.REPORT, trials.run.config.evaluation.final_episodes)
    random = trials.evaluate(BASELINE, None, episodes)
    measured = _measure_programs(trials, programs, episodes)
    of_best, of_baseline, of_ensemble = (
        measured.get(owner, Measurement(None)) for owner in (best_owner, BASELINE, joined_owner)
    )
    lineage = _measure_lineage(trials, best, history, episodes) if config.warm_start and best.trainings else None

    # What the measurements come to.
    normalised = _normalise_fitness(
        _mean_of_all_seeds(of_best.fitness, config.final_seeds),
        random.fitness,
        _mean_of_all_seeds(of_baseline.fitness, config.final_seeds),
    )
    metrics = report_metrics(
        trials.run.task,
        reported=of_best.evaluations,
        environment_reward=of_baseline.evaluations,
        random=random,
        ensemble=of_ensemble.evaluations,
        chosen=best.evaluations,
    )
    result = replace(
        _unmeasured_result(trials, best, history, read_spent(), stopped),
        reported=of_best.fitness,
        baselines=Baselines(random.fitness, of_baseline.fitness),
        normalised=normalised,
        ensemble=Ensemble(joined.members, config.ensemble_rule, of_ensemble.fitness) if joined else None,
        metrics=metrics,
        finalists=finalists,
        lineage=lineage,
    )
    trials.run.save_result(result)
    return result


def pause_search(trials: TrialRunner, history: Sequence[Candidate], spent: ModelUsage, waiting: str) -> Result:
    """Write the state of a search that waits for people: nothing is retrained, and the search goes on later.

    Args:
        trials: of the search.
        history: every candidate; at least one has a policy.
        spent: what the language models cost.
        waiting: what the search waits for.
    """
    best = evolution.rank_candidates(history)[0]
    result = _unmeasured_result(trials, best, history, spent, waiting)
    trials.run.save_result(result)
    trials.callback.on_search_end(result)
    return result


def measure_program(
    run: Run, program: RewardProgram, journal: Journal, executor: Executor, callback: SearchCallback
) -> Result:
    """Measure a program as a search measures its best one: trained on fresh seeds, run on held-out episodes.

    Raises:
        ProgramError: if the critic refuses it.
        TaskError: if the environment cannot be made.
        WorkerFailed: if the machinery fails; the same call goes on from there.
    """
    for notice in run.take_notices():
        callback.on_notice(notice)
    probe = probe_environment(run, journal, executor)
    verdict = critic.check_program_of_run(run, probe, program.source)
    if not verdict.accepted:
        raise build_program_error(verdict.findings)

    trials = TrialRunner(run, journal, executor, callback, probe)
    trials.remember_verdict(program.source, verdict)
    config = run.config.search
    callback.on_search_start(config.final_seeds * (1 + config.baseline), config.env_steps)
    candidate = Candidate(MEASURED_ID, 0, 0, Proposal(program.source, "user"), "ok", verdict)
    run.save_candidate(candidate)
    result = report_best(trials, candidate, [candidate], (), ModelUsage, None)
    callback.on_search_end(result)
    return result


def lacks_results(run: Run, result: Result) -> bool:
    """Return whether a failure of the machine left holes in an outcome, which a resumed run fills.

    Args:
        run: the run that was reported.
        result: its outcome.
    """
    if any(candidate.status == "infrastructure" for candidate in result.candidates):
        return True
    events = {event.key: event for event in run.read_events()}
    if RANDOM_EVALUATION_KEY not in events:
        return True

    # What a failure of the machine ended is in no journal.
    config = run.config.search
    policies = [training for training in result.best.trainings if training.status == "ok"] if result.lineage else []
    if any(evaluator_key(lineage_owner(result.best.id), training.seed) not in events for training in policies):
        return True
    if finalist_phase.lacks_trainings(run):
        return True
    owners = [final_owner(result.best.id)]
    if config.baseline:
        owners.append(BASELINE)
    if result.ensemble:
        owners.append(ensemble_owner(result.ensemble.members))
    seeds = tuple(trainer.training_seeds(run.config, trainer.FINAL_SEEDS, config.final_seeds))
    return any(finalist_phase.lacks_results_of(run, events, owner, seeds) for owner in owners)


# ---------------------------------------------------------------- parts


def _unmeasured_result(
    trials: TrialRunner, best: Candidate, history: Sequence[Candidate], spent: ModelUsage, stopped: str | None
) -> Result:
    """Return an outcome without anything that the final evaluation measures."""
    run = trials.run
    return Result(
        run=str(run.path),
        task=run.task.heading,
        env_id=run.task.env.env_id,
        fitness=run.fitness_name,
        best=best,
        candidates=tuple(history),
        reported=None,
        baselines=Baselines(),
        normalised=None,
        env_steps=curriculum.count_earlier_steps(run)
        + sum(event.data["env_steps"] for event in trials.journal if is_training_of_search(event.key)),
        spent=spent,
        stopped=stopped,
        metrics=report_metrics(run.task, chosen=best.evaluations),
        stages=curriculum.summarize_stages(run),
        observation=choose_observation(best.program, run.config.training),
        behaviour=run.task.behaviour,
    )


def _measure_programs(
    trials: TrialRunner, programs: Mapping[str, str | None], episodes: tuple[int, ...]
) -> dict[str, Measurement]:
    """Train every program on the final seeds, all at once, and say which trainings gave no fitness.

    Args:
        trials: runs and remembers the trainings.
        programs: owner to text; None for the environment reward.
        episodes: seeds of the held-out episodes.
    """
    run = trials.run
    seeds = trainer.training_seeds(run.config, trainer.FINAL_SEEDS, run.config.search.final_seeds)
    outcomes = results_or_raise(
        run_in_threads(lambda owner: trials.run_trials(owner, programs[owner], seeds, episodes), programs)
    )
    measured = {}
    for owner, owner_trials in zip(programs, outcomes, strict=True):
        values = [trial.fitness for trial in owner_trials if trial.fitness is not None]
        evaluations = tuple(trial.evaluation for trial in owner_trials if trial.evaluation)
        measured[owner] = Measurement(confidence_interval(values, run.fitness_name), evaluations)
        for trial in owner_trials:
            if trial.fitness is None:
                is_retried = trial.status == "infrastructure"
                retry = f"; `rewardsmith resume {run.path}` tries again" if is_retried else ""
                what = f"a training of {owner} (seed {trial.training.seed}) gave no fitness"
                trials.callback.on_notice(f"{what}: {trial.cause}{retry}")
    return measured


def _measure_lineage(
    trials: TrialRunner, best: Candidate, history: Sequence[Candidate], episodes: tuple[int, ...]
) -> WarmStartLineage:
    """Evaluate the policies that the search itself trained on the best program, on the episodes of the report."""
    owner, source = lineage_owner(best.id), best.proposal.source
    trained = [training for training in best.trainings if training.status == "ok"]
    evaluations = [trials.evaluate(owner, training.seed, episodes, source, best.id) for training in trained]
    values = [evaluation.fitness for evaluation in evaluations if evaluation.fitness is not None]
    members = trace_lineage(best, history)
    return WarmStartLineage(
        members=tuple(member.id for member in members),
        env_steps=sum(member.trainings[0].env_steps for member in members if member.trainings),
        reached=confidence_interval(values, trials.run.fitness_name),
    )


def trace_lineage(candidate: Candidate, history: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates whose policies led to a candidate's, itself last, by its first training seed."""
    by_id, members = {other.id: other for other in history}, [candidate]
    while members[0].trainings and members[0].trainings[0].inherited_from in by_id:
        members.insert(0, by_id[str(members[0].trainings[0].inherited_from)])
    return members


def _join_best_programs(trials: TrialRunner, best: Candidate, history: Sequence[Candidate]) -> JoinedProgram | None:
    """Join the best programs where the search asks for it, or say why that cannot be done.

    Where it does not ask and the best program raised an alarm, say that it could.
    """
    run, notify = trials.run, trials.callback.on_notice
    count = run.config.search.ensemble
    if not count:
        if best.reflection and best.reflection.alarms:
            offer = ENSEMBLE_OFFER.format(run=run.path)
            notify(f"{best.id} raised an alarm: {best.reflection.alarms[0]}. {offer}")
        return None

    members = evolution.choose_ensemble_members(history, count, run.config.evolution)
    names = ", ".join(member.id for member in members)
    if len(members) < 2:
        notify(f"no ensemble: it takes two different programs with a fitness, and there is {names}")
        return None
    try:
        source = ensemble.join_programs(members, run.config.search.ensemble_rule)
    except ProgramError as error:
        notify(f"no ensemble: {error}")
        return None

    records.write_text(run.layout.ensemble_program, source)
    verdict = critic.check_program(source, trials.probe, run.transitions, run.config.sandbox)
    if not verdict.trainable:
        errors = "; ".join(finding.message for finding in verdict.findings if finding.severity == "error")
        notify(f"no ensemble: {names} joined into one are refused: {errors}")
        return None
    trials.remember_verdict(source, verdict)
    return JoinedProgram(tuple(member.id for member in members), source)


def _mean_of_all_seeds(fitness: Interval | None, seeds: int) -> float | None:
    """Return the mean; None where a training gave no fitness, as the mean of the others flatters the program."""
    return fitness.mean if fitness and len(fitness.values) == seeds else None


def _normalise_fitness(fitness: float | None, random: float | None, environment_reward: float | None) -> float | None:
    """Return (fitness - random) / (environment reward - random).

    Returns:
        None where one of them is missing or the divisor is not positive.

    >>> _normalise_fitness(3.0, 1.0, 2.0)
    2.0

    Args:
        fitness: of the program.
        random: fitness of random actions.
        environment_reward: fitness of policies trained on the environment reward.
    """
    if fitness is None or random is None or environment_reward is None or environment_reward <= random:
        return None
    return (fitness - random) / (environment_reward - random)
