"""Comparison of reward programs: their fitness, how differently they order policies, and their terms.

Programs score, each in its own sealed process, the same transitions: those that the first run's probe recorded under
random actions, and the same with the signals stretched (`steps/critic/behaviour_signature.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rewardsmith.api.checks import record_transitions
from rewardsmith.api.exports import BEST, find_candidate
from rewardsmith.contract.errors import ProgramError, RewardFailed, RunError
from rewardsmith.contract.records import Interval, Probe, ReportedMetric, TermStats
from rewardsmith.contract.reward_files import load_reward
from rewardsmith.contract.reward_program import Array, parse_program
from rewardsmith.contract.text import suggest_names
from rewardsmith.sandbox import open_process
from rewardsmith.sandbox.recorded import TransitionFile
from rewardsmith.sandbox.recorded_scores import build_layout, score_recording
from rewardsmith.search.intervals import confidence_interval
from rewardsmith.search.reported_metrics import report_metrics
from rewardsmith.search.steps.critic.behaviour_signature import BehaviourDistance, Equivalence
from rewardsmith.search.steps.critic.trial_scoring import compute_term_stats
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import Config
from rewardsmith.spec.env_options import NO_ENV_OPTIONS, EnvOptions

CANDIDATE = re.compile(r"(?P<run>.+):(?P<id>g\d+c\d+)")
ALIKE = 0.9
"""Correlation from which two programs or terms pay nearly alike; from its negative on, nearly the opposite."""
SAME = 0.999
"""Correlation from which two programs or terms differ in scale and offset only."""
UNRELATED = 0.1
"""Absolute correlation up to which two programs or terms are unrelated."""


@dataclass(frozen=True)
class ComparedProgram:
    """One of the programs that are compared."""

    name: str
    """Name of the program as the caller gave it."""
    source: str
    env_id: str | None = None
    """None for a reward file, as below."""
    fitness: str | None = None
    """Fitness expression of the run."""
    reported: Interval | None = None
    """Fitness when retrained on fresh seeds, where the run did that."""
    chosen: Interval | None = None
    """Fitness in the search, over its training seeds; too high for a best program, as it was chosen by it."""
    environment_reward: Interval | None = None
    env_steps: int | None = None
    """Environment steps of each training."""
    metrics: tuple[ReportedMetric, ...] = ()
    """Metrics of the task's card."""


@dataclass(frozen=True)
class ProgramTerms:
    """Terms of a program on the shared transitions."""

    terms: tuple[TermStats, ...]
    problem: str | None = None
    """Why there are none: the environment lacks a signal that it reads, for instance."""


@dataclass(frozen=True)
class TermCorrelation:
    """Correlation of two terms of two programs, whatever their names."""

    first: str
    second: str
    correlation: float


@dataclass(frozen=True)
class ProgramComparison:
    """Result of a comparison."""

    programs: tuple[ComparedProgram, ...]
    env_id: str
    """Environment of the transitions that they scored."""
    transitions: int
    distances: tuple[tuple[float | None, ...], ...]
    """STARC distance of each to each, in [0, 1]: 0 where they order all policies alike; None where one cannot score the
    transitions."""
    terms: tuple[ProgramTerms, ...]
    correlations: tuple[TermCorrelation, ...]
    """Nearly equal and nearly opposite terms of the first two programs."""


def find_program(text: str) -> ComparedProgram:
    """Find a program by name: a run means its best program, "RUN:g1c02" for one candidate, else a reward file.

    Raises:
        RunError: if there is no such file, run or candidate, or the run has no candidate with a fitness.
        ProgramError: if the file cannot be read or is no program.
    """
    path = Path(text)
    if path.is_file():
        return ComparedProgram(text, load_reward(path).source)

    # A run, or a candidate of one.
    named_candidate = CANDIDATE.fullmatch(text)
    folder = Path(named_candidate["run"]) if named_candidate else path
    if not folder.exists():
        raise RunError(f"there is no reward file or run {str(folder)!r}; `rewardsmith show` lists the runs")
    run = Run.open(folder)
    result = run.read_result()
    candidate = find_candidate(run, named_candidate["id"] if named_candidate else BEST)

    # Only the best program was retrained, so only it has reported figures.
    search_fitness = [evaluation.fitness for evaluation in candidate.evaluations if evaluation.fitness is not None]
    is_best = result is not None and result.best.id == candidate.id
    return ComparedProgram(
        name=text,
        source=candidate.proposal.source,
        env_id=run.task.env.env_id,
        fitness=run.fitness_name,
        reported=result.reported if result and is_best else None,
        chosen=confidence_interval(search_fitness, run.fitness_name),
        environment_reward=result.baselines.environment_reward if result else None,
        env_steps=run.config.search.env_steps,
        metrics=result.metrics if result and is_best else report_metrics(run.task, chosen=candidate.evaluations),
    )


def describe_correlation(correlation: float) -> str:
    """Describe in words the similarity of two rewards with this correlation.

    >>> describe_correlation(1.0), describe_correlation(0.95), describe_correlation(0.5), describe_correlation(-0.02)
    ('equivalent up to scaling', 'very similar', 'similar', 'unrelated')
    >>> describe_correlation(-1.0), describe_correlation(-0.95), describe_correlation(-0.5)
    ('opposite', 'nearly opposite', 'mostly opposed')
    """
    size = abs(correlation)
    if size <= UNRELATED:
        return "unrelated"
    if size >= SAME:
        return "equivalent up to scaling" if correlation > 0.0 else "opposite"
    if size >= ALIKE:
        return "very similar" if correlation > 0.0 else "nearly opposite"
    return "similar" if correlation > 0.0 else "mostly opposed"


def describe_distance(distance: float) -> str:
    """Describe in words the similarity of two rewards at this STARC distance.

    The distance is half that of two vectors of length 1, so their cosine is 1 - 2 * distance ** 2.

    >>> describe_distance(0.0), describe_distance(0.7071), describe_distance(1.0)
    ('equivalent up to scaling', 'unrelated', 'opposite')
    """
    return describe_correlation(1.0 - 2.0 * distance**2)


TermValues = dict[str, Array]
"""Term name to its values, weight included; shape (n,)."""


def compare_programs(
    names: Sequence[str], folder: Path, env: str | None = None, env_options: EnvOptions = NO_ENV_OPTIONS
) -> ProgramComparison:
    """Compare programs.

    Args:
        names: what `find_program` finds; at least two.
        folder: where transitions are recorded if no run has them.
        env: a task's name or a Gymnasium id whose transitions to use; None takes the first run's.
        env_options: of the environment that `env` names.

    Raises:
        RunError: if a run is missing, or neither a run nor `env` says which environment.
        ProgramError: if a file is no program.
        TaskError: if the environment cannot be made.
        SandboxUnavailable: if reward programs cannot be sealed on this machine.
    """
    programs = tuple(find_program(name) for name in names)
    probe, transitions, config, env_id = _find_transitions(programs, folder, env, env_options)

    # How differently they order policies, each against each.
    equivalence = Equivalence(config.training.gamma, ignore_shaping=True)
    distance = BehaviourDistance(probe, transitions, config.sandbox, equivalence)
    distances = tuple(tuple(distance(first.source, second.source) for second in programs) for first in programs)

    # Their terms; those of the first two are correlated.
    scored = [_score_terms(program, probe, transitions, config) for program in programs]
    return ProgramComparison(
        programs,
        env_id,
        probe.transitions,
        distances,
        terms=tuple(terms for terms, _ in scored),
        correlations=_correlate_terms(scored[0][1], scored[1][1]),
    )


def _find_transitions(
    programs: Sequence[ComparedProgram], folder: Path, env: str | None, env_options: EnvOptions
) -> tuple[Probe, Path, Config, str]:
    """Return a catalogue of signals, the file of its transitions, the configuration and the environment's id."""
    # The first run that has recorded some.
    for program in programs if env is None else ():
        if program.env_id is None:
            continue
        named_candidate = CANDIDATE.fullmatch(program.name)
        run = Run.open(Path(named_candidate["run"]) if named_candidate else Path(program.name))
        probe = run.read_probe()
        if probe is not None and run.transitions.is_file():
            return probe, run.transitions, run.config, run.task.env.env_id

    # Else they are recorded now.
    if env is None:
        raise RunError("these are files alone: --env says on which environment's transitions to compare them")
    run, probe = record_transitions("compare", env, folder, env_options=env_options)
    return probe, run.transitions, run.config, run.task.env.env_id


def _score_terms(
    program: ComparedProgram, probe: Probe, transitions: Path, config: Config
) -> tuple[ProgramTerms, TermValues]:
    """Return a program's terms on the transitions: their statistics, and their values with weights."""
    parsed = parse_program(program.source)
    names = [signal.name for signal in probe.signals]
    missing = [f"{name!r}; {suggest_names(name, names)}" for name in parsed.signals if name not in names]
    if missing:
        return ProgramTerms((), f"the environment has no signal {', and no signal '.join(missing)}"), {}
    try:
        recording = TransitionFile(transitions).read(parsed)
        with open_process(parsed, build_layout(probe), config.sandbox) as process:
            scores = score_recording(process, recording)
    except (ProgramError, RewardFailed) as error:
        return ProgramTerms((), str(error).splitlines()[0]), {}
    values = {name: parsed.weight(name) * term for name, term in scores.terms.items()}
    return ProgramTerms(compute_term_stats(parsed, scores)), values


def _correlate_terms(first: TermValues, second: TermValues) -> tuple[TermCorrelation, ...]:
    """Return the pairs of terms that pay nearly alike or nearly the opposite; constant terms correlate with none."""
    correlations = []
    for first_name, first_values in first.items():
        for second_name, second_values in second.items():
            if np.std(first_values) > 0 and np.std(second_values) > 0:
                correlation = float(np.corrcoef(first_values, second_values)[0, 1])
                if abs(correlation) >= ALIKE:
                    correlations.append(TermCorrelation(first_name, second_name, correlation))
    return tuple(correlations)
