"""Finalists: after the last generation the best programs get fresh training seeds, which decide between them.

A program's fitness in the search comes from one training seed as a rule, and the best of many such figures is mostly
luck. A fresh training goes to whichever program can still change the choice (`shrinkage.allocate_trainings`), and the
program with the highest estimate is named. Trainings run in rounds of `ROUND_SIZE`: a decision depends on the trainings
of the rounds before and not on who is faster or on how many run at once. It is an event of the journal, and a resumed
search takes it from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from rewardsmith.contract.errors import RunError
from rewardsmith.contract.records import Candidate, Evaluation, Finalist, FinalistRound, Training
from rewardsmith.contract.text import pluralize
from rewardsmith.search.concurrency import results_or_raise, run_in_threads
from rewardsmith.search.shrinkage import (
    allocate_trainings,
    collect_fitness,
    estimate_candidates,
    is_warm_started,
)
from rewardsmith.search.steps import evaluator, evolution, trainer
from rewardsmith.search.storage import Event, Run
from rewardsmith.search.storage.journal_keys import evaluator_key, finalist_round_key, trainer_key
from rewardsmith.search.storage.layout import finalist_owner, parse_candidate_id
from rewardsmith.search.trial import Trial, TrialRunner
from rewardsmith.spec.settings import EvolutionSettings

ROUND_SIZE = 2
"""Trainings of a round. In simulated searches (benchmarks/selection.py) two at once choose as well as one at a time;
the size does not depend on the machine, so that the result does not either."""


@dataclass
class FinalistTrials:
    """The fresh trainings of one candidate so far."""

    assigned: int = 0
    """Number of training seeds that it got."""
    trials: list[Trial] = field(default_factory=list)
    """Trainings that ended by themselves; a resumed search repeats those that the machine ended."""

    def summarize(self, candidate: str) -> Finalist:
        """Return the record of the trainings."""
        fitness = tuple(trial.fitness for trial in self.trials if trial.fitness is not None)
        return Finalist(candidate, fitness, len(self.trials) - len(fitness))


def train_finalists(
    trials: TrialRunner, history: Sequence[Candidate], budget: int, limit_reason: Callable[[], str | None]
) -> tuple[tuple[Finalist, ...], str | None]:
    """Train the best programs on fresh seeds, each training where it can still change the choice.

    Args:
        trials: runs and remembers the trainings.
        history: every candidate of the search.
        budget: how many trainings, those of earlier sessions included.
        limit_reason: asked before each new round why it should not start, an exhausted budget for instance.

    Returns:
        The candidates that were trained, in the order of `history`; and the reason that ended the rounds early, if any.

    Raises:
        WorkerFailed: if the machinery failed repeatedly.
        RunError: if a round in the journal names no candidate.
    """
    finalists: dict[str, FinalistTrials] = {}
    contenders = choose_contenders(history, trials.run.config.evolution)
    left, number, stopped = budget, 0, None
    while True:
        # A round that was decided is finished, whatever the budget says by now.
        is_decided = finalist_round_key(number) in trials.journal
        if not is_decided:
            stopped = limit_reason() if left > 0 else None
            if left <= 0 or stopped:
                break
        chosen = _decide_round(trials, number, contenders, finalists, min(ROUND_SIZE, left))
        if not chosen:
            break
        _run_round(trials, history, chosen, finalists)
        left, number = left - len(chosen), number + 1
    return tuple(_summarize(history, finalists)), stopped


def choose_contenders(history: Sequence[Candidate], settings: EvolutionSettings) -> list[Candidate]:
    """Return the candidates between which the choice is made, best first; of equal programs the first alone.

    There are none where comparisons rank the programs: a fitness does not decide then.
    """
    ranked = evolution.rank_candidates(history, settings.caution)
    if any(candidate.standing is not None for candidate in ranked):
        return []
    return evolution.keep_distinct_programs(ranked)


def name_best(
    history: Sequence[Candidate], finalists: Sequence[Finalist], settings: EvolutionSettings
) -> Candidate | None:
    """Return the program that the search names: the highest estimate; None if nothing has a fitness.

    Without fresh trainings it is the incumbent. A candidate of which a fresh training failed is named only where every
    other one failed too. With a warm start a candidate is named only after a training from nothing.

    Args:
        history: every candidate.
        finalists: their fresh trainings.
        settings: how candidates are ranked without fresh trainings.
    """
    if not finalists:
        return evolution.find_incumbent(history, settings)
    estimates = estimate_candidates(history, finalists)
    failed = {finalist.candidate for finalist in finalists if finalist.failures}
    contenders = choose_contenders(history, settings)
    retrained = {finalist.candidate for finalist in finalists if finalist.fitness}
    reliable = [
        candidate
        for candidate in contenders
        if candidate.id not in failed and (candidate.id in retrained or not is_warm_started(candidate))
    ]
    return max(reliable or contenders, key=lambda candidate: estimates[candidate.id].mean, default=None)


def read_finalists(run: Run) -> tuple[Finalist, ...]:
    """Read the fresh trainings of a run's finalists from its journal, of an unfinished run too.

    Raises:
        RunError: if the journal is damaged.
    """
    if not run.layout.finalists_dir.is_dir():
        return ()
    events = {event.key: event for event in run.read_events()}
    finalists = []
    for id, seeds in _read_assignments(run, events).items():
        fitness, failures, owner = [], 0, finalist_owner(id)
        for seed in seeds:
            training, evaluation = events.get(trainer_key(owner, seed)), events.get(evaluator_key(owner, seed))
            if evaluation is not None:
                value = run.load_event(Evaluation, evaluation).fitness
                fitness += [] if value is None else [value]
                failures += value is None
            elif training is not None:
                failures += run.load_event(Training, training).status != "ok"
        finalists.append(Finalist(id, tuple(fitness), failures))
    return tuple(sorted(finalists, key=lambda finalist: parse_candidate_id(finalist.candidate) or (0, 0)))


def lacks_trainings(run: Run) -> bool:
    """Return whether a failure of the machine ended a fresh training that a round had decided.

    Raises:
        RunError: if the journal is damaged.
    """
    events = {event.key: event for event in run.read_events()}
    assignments = _read_assignments(run, events).items()
    return any(lacks_results_of(run, events, finalist_owner(id), seeds) for id, seeds in assignments)


def lacks_results_of(run: Run, events: Mapping[str, Event], owner: str, seeds: Iterable[int]) -> bool:
    """Return whether a training of an owner, or the evaluation of its policy, is not in the journal.

    Args:
        run: the run.
        events: of its journal, by key.
        owner: of the trainings.
        seeds: of the trainings.

    Raises:
        RunError: if the journal is damaged.
    """
    for seed in seeds:
        training = events.get(trainer_key(owner, seed))
        if training is None:
            return True
        if run.load_event(Training, training).status == "ok" and evaluator_key(owner, seed) not in events:
            return True
    return False


def describe_choice(before: Candidate, best: Candidate, finalists: Sequence[Finalist]) -> str:
    """Say what the fresh trainings of the finalists changed."""
    trainings = sum(len(finalist.fitness) + finalist.failures for finalist in finalists)
    names = ", ".join(finalist.candidate for finalist in finalists)
    trained = f"finalists: {pluralize(trainings, 'fresh training')} of {names}"
    if best.id == before.id:
        return f"{trained}; {best.id} stays the best"
    return f"{trained}; {best.id} is the best now, not {before.id}"


# ---------------------------------------------------------------- parts


def _read_assignments(run: Run, events: Mapping[str, Event]) -> dict[str, range]:
    """Return the fresh training seeds that each candidate got in the rounds of a journal."""
    assigned: Counter[str] = Counter()
    for number in count():
        event = events.get(finalist_round_key(number))
        if event is None:
            break
        assigned.update(run.load_event(FinalistRound, event).candidates)
    return {id: trainer.training_seeds(run.config, trainer.FINALIST_SEEDS, seeds) for id, seeds in assigned.items()}


def _decide_round(
    trials: TrialRunner,
    number: int,
    contenders: Sequence[Candidate],
    finalists: Mapping[str, FinalistTrials],
    size: int,
) -> tuple[str, ...]:
    """Return the candidates of a round; none where no training is expected to change the choice."""

    def decide() -> FinalistRound:
        records = [state.summarize(id) for id, state in finalists.items()]
        failed = {record.candidate for record in records if record.failures}
        reliable = [candidate for candidate in contenders if candidate.id not in failed]
        return FinalistRound(allocate_trainings(collect_fitness(reliable, records), size))

    decision = trials.journal.once(
        finalist_round_key(number), FinalistRound, decide, keep=lambda made: bool(made.candidates)
    )
    return decision.candidates


def _run_round(
    trials: TrialRunner, history: Sequence[Candidate], chosen: Sequence[str], finalists: dict[str, FinalistTrials]
) -> None:
    """Run the trainings of a round at once, and add what they gave in the order of the decision."""
    config = trials.run.config
    episodes = evaluator.episode_seeds(config, evaluator.SELECTION, config.evaluation.episodes)
    sources = {candidate.id: candidate.proposal.source for candidate in history}

    # The next unused seed of each candidate.
    assignments = []
    for id in chosen:
        if id not in sources:
            raise RunError(f"{trials.journal.path} is damaged: a round of finalists names {id!r}, no candidate")
        state = finalists.setdefault(id, FinalistTrials())
        assignments.append((id, trainer.training_seeds(config, trainer.FINALIST_SEEDS, state.assigned + 1)[-1]))
        state.assigned += 1

    def run_training(assignment: tuple[str, int]) -> list[Trial]:
        id, seed = assignment
        return trials.run_trials(finalist_owner(id), sources[id], [seed], episodes)

    for (id, _), outcome in zip(assignments, results_or_raise(run_in_threads(run_training, assignments)), strict=True):
        finalists[id].trials += [trial for trial in outcome if trial.status != "infrastructure"]


def _summarize(history: Sequence[Candidate], finalists: Mapping[str, FinalistTrials]) -> list[Finalist]:
    return [finalists[candidate.id].summarize(candidate.id) for candidate in history if candidate.id in finalists]
