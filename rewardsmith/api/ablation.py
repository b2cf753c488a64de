"""Ablation of a reward program: which of its terms earn the fitness.

For each term a program is trained that is the complete one but for the weight of that term, which is 0. All of them,
the complete program too, are trained on the same fresh seeds, which no other training of the run had. They are steps of
the run's journal: an interrupted ablation goes on where it stopped, and more seeds later train only what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rewardsmith.api.exports import BEST, find_candidate
from rewardsmith.api.searches import open_journal
from rewardsmith.contract.errors import ConfigError, RunError
from rewardsmith.contract.program_edits import replace_weights
from rewardsmith.contract.records import Candidate, Interval
from rewardsmith.contract.term_limits import parse_limits
from rewardsmith.executors.base import Executor
from rewardsmith.search import setup, trusted_runs
from rewardsmith.search.callbacks import NullCallback, SearchCallback
from rewardsmith.search.concurrency import results_or_raise, run_in_threads
from rewardsmith.search.intervals import confidence_interval, difference_interval
from rewardsmith.search.probe import probe_environment
from rewardsmith.search.steps import evaluator, trainer
from rewardsmith.search.storage import Event, Run
from rewardsmith.search.storage.journal_keys import trainer_key
from rewardsmith.search.storage.layout import ablation_owner
from rewardsmith.search.trial import TrialRunner

MIN_SEEDS, DEFAULT_SEEDS, MAX_SEEDS = 2, 3, 500
"""Fewest seeds that give an interval; how many there are at least where the user names no number; most that can be."""


@dataclass(frozen=True)
class AblationPlan:
    """An ablation as it would be run."""

    candidate: Candidate
    """The program whose terms are left out in turn."""
    programs: dict[str | None, str]
    """Left-out term to the program's text; None to the complete program's."""
    unweighted_terms: tuple[str, ...]
    """Terms that have the weight 0 already, so that nothing would change without them, or that a limit of
    `training.constraints` holds whatever their weight."""
    seeds: range
    """Training seeds that all programs share."""
    missing: int
    """Number of trainings that the run does not have yet."""
    env_steps: int
    """Environment steps of each training: those of the search."""
    speed: float | None
    """Environment steps per second of one training, over those that the run has; None where they took no time."""


@dataclass(frozen=True)
class AblatedTerm:
    """The complete program beside the one without a term."""

    term: str
    weight: float
    """Weight of the term in the complete program."""
    fitness: Interval | None
    """Fitness of the program without the term, over training seeds; None if no training gave one."""
    difference: float | None = None
    """Mean fitness of the complete program minus that of the program without the term: what the term earns. None where
    a training of one of the two gave no fitness."""
    low: float | None = None
    """Lower end of the 95 % confidence interval of the difference (Welch); None where it cannot be computed."""
    high: float | None = None
    """Upper end of the interval."""

    @property
    def verdict(self) -> str:
        """Effect of the term on the fitness, in words."""
        if self.difference is None:
            return "a training failed"
        if self.low is None or self.high is None:
            return "not tested: all seeds gave the same value"
        if self.low <= 0.0 <= self.high:
            return "no significant difference"
        return "earns fitness" if self.low > 0.0 else "costs fitness"


@dataclass(frozen=True)
class Ablation:
    """Outcome of an ablation."""

    run: str
    candidate: str
    """Id of the candidate."""
    fitness: str
    """The fitness expression."""
    env_steps: int
    """Environment steps of each training."""
    seeds: tuple[int, ...]
    """Training seeds that all programs share."""
    complete: Interval | None
    """Fitness of the complete program; None where no training gave one."""
    terms: tuple[AblatedTerm, ...] = field(default_factory=tuple)
    """Terms in the program's order."""


def plan_ablation(run: Run, candidate: str | None = None, seeds: int | None = None) -> AblationPlan:
    """Plan an ablation; nothing is written.

    Args:
        run: a run with a result.
        candidate: id of the candidate; None takes the best.
        seeds: training seeds of each program, 2 to 500; None takes the number of the run's report, at least 3.

    Raises:
        RunError: if the run has no such program.
        ConfigError: if the number of seeds is not allowed, or the program has too few terms to leave one out.
    """
    seed_count = seeds if seeds is not None else max(DEFAULT_SEEDS, min(run.config.search.final_seeds, MAX_SEEDS))
    if not MIN_SEEDS <= seed_count <= MAX_SEEDS:
        raise ConfigError(f"--seeds {seed_count}: an ablation takes {MIN_SEEDS} to {MAX_SEEDS} training seeds")
    chosen = _find_candidate(run, candidate)

    # Terms that change something when they are left out.
    terms = chosen.term_names
    limited = {limit.term for limit in parse_limits(run.config.training.constraints)}
    weighted = [term for term in terms if chosen.program.weight(term) != 0.0 and term not in limited]
    if len(weighted) < 2:
        names = ", ".join(weighted) or "none"
        raise ConfigError(
            f"an ablation takes two terms with a weight or more; {chosen.id} has {len(weighted)} ({names})"
        )

    source = chosen.proposal.source
    programs: dict[str | None, str] = {None: source}
    programs |= {term: replace_weights(source, {term: 0.0}) for term in weighted}

    # What the journal does not have yet.
    training_seeds = trainer.training_seeds(run.config, trainer.ABLATION_SEEDS, seed_count)
    events = run.read_events()
    known = {event.key for event in events}
    keys = [trainer_key(ablation_owner(chosen.id, term), seed) for term in programs for seed in training_seeds]
    return AblationPlan(
        candidate=chosen,
        programs=programs,
        unweighted_terms=tuple(term for term in terms if term not in weighted),
        seeds=training_seeds,
        missing=sum(key not in known for key in keys),
        env_steps=run.config.search.env_steps,
        speed=_measure_speed(events),
    )


def run_ablation(
    run: Run, plan: AblationPlan, callback: SearchCallback | None = None, executor: Executor | None = None
) -> Ablation:
    """Train the programs of an ablation, as far as they are not trained yet, and compare them.

    Args:
        run: the run.
        plan: from `plan_ablation`.
        callback: receives the events of the trainings.
        executor: where jobs run; None runs them as the run's configuration says.

    Raises:
        RunError: if another process runs this directory, or it was not started here and asks for more than usual.
        RunFailed: if the machinery fails; the same call goes on from there.
    """
    trusted_runs.check_trusted(run, executor_is_given=executor is not None)
    callback = callback or NullCallback()
    with open_journal(run) as journal, setup.open_run_executor(run, callback.on_notice, executor) as opened:
        trials = TrialRunner(run, journal, opened, callback, probe_environment(run, journal, opened))
        callback.on_search_start(plan.missing, plan.env_steps)
        terms = list(plan.programs)
        measured = results_or_raise(run_in_threads(lambda term: _measure_fitness(trials, plan, term), terms))

    fitness = dict(zip(terms, measured, strict=True))
    complete = fitness.pop(None)
    return Ablation(
        run=str(run.path),
        candidate=plan.candidate.id,
        fitness=run.task.fitness,
        env_steps=plan.env_steps,
        seeds=tuple(plan.seeds),
        complete=complete,
        terms=tuple(
            _compare_programs(term, plan.candidate.program.weight(term), complete, without, len(plan.seeds))
            for term, without in fitness.items()
            if term is not None
        ),
    )


# ---------------------------------------------------------------- parts


def _find_candidate(run: Run, id: str | None) -> Candidate:
    if run.read_result() is None:
        raise RunError(f"{run.path} has no result yet; `rewardsmith resume {run.path}` goes on")
    return find_candidate(run, BEST if id is None else id)


def _measure_speed(events: Sequence[Event]) -> float | None:
    """Return the environment steps per second of one training, over the trainings in a journal."""
    trainings = [event.data for event in events if event.step == "trainer"]
    seconds = sum(training["wall_s"] for training in trainings)
    return sum(training["env_steps"] for training in trainings) / seconds if seconds else None


def _measure_fitness(trials: TrialRunner, plan: AblationPlan, term: str | None) -> Interval | None:
    """Train the program without a term on every seed, and return its fitness over them."""
    config, owner, source = trials.run.config, ablation_owner(plan.candidate.id, term), plan.programs[term]

    # A term scores the same whatever the weights are, so the trial scoring of the complete program holds for all.
    if plan.candidate.verdict:
        trials.remember_verdict(source, plan.candidate.verdict)

    episodes = evaluator.episode_seeds(config, evaluator.REPORT, config.evaluation.final_episodes)
    outcome = trials.run_trials(owner, source, plan.seeds, episodes)
    trials.callback.on_stage(owner, "done")
    for trial in outcome:
        if trial.fitness is None:
            trials.callback.on_notice(f"{trainer_key(owner, trial.training.seed)} gave no fitness: {trial.cause}")
    values = [trial.fitness for trial in outcome if trial.fitness is not None]
    return confidence_interval(values, trials.run.task.fitness)


def _compare_programs(
    term: str, weight: float, complete: Interval | None, without: Interval | None, seeds: int
) -> AblatedTerm:
    """Return the difference between the complete program and the one without a term."""
    values = [interval.values if interval else () for interval in (complete, without)]
    if any(len(of_one) < seeds for of_one in values):
        return AblatedTerm(term, weight, without)

    low, high = _find_bounds(*values)
    difference = sum(values[0]) / seeds - sum(values[1]) / seeds
    return AblatedTerm(term, weight, without, difference, low, high)


def _find_bounds(complete: Sequence[float], without: Sequence[float]) -> tuple[float | None, float | None]:
    """Return Welch's interval of the difference; none where all values of a program are equal."""
    if len(set(complete)) == 1 or len(set(without)) == 1:
        return None, None
    return difference_interval(complete, without)
