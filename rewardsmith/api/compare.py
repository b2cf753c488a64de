"""Reward programs side by side: what each is worth, how differently they order policies, and term by term.

Programs are asked, each in its own sealed process, about the same transitions: those that the first run's probe
recorded under random actions, and the same with the signals stretched (`steps/critic/signature.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rewardsmith.api import searches
from rewardsmith.contract import records
from rewardsmith.contract.errors import ProgramError, RewardFailed, RunError
from rewardsmith.contract.records import Interval, Probe, ReportedFigure, TermStats
from rewardsmith.contract.reward_program import Array, load_reward, parse
from rewardsmith.executors import workplace
from rewardsmith.sandbox import open_process, recorded
from rewardsmith.search.callbacks import Silent
from rewardsmith.search.probe import look
from rewardsmith.search.steps import evaluator
from rewardsmith.search.steps.critic.behaviour_signature import Bank
from rewardsmith.search.steps.critic.dry_run import statistics
from rewardsmith.search.steps.critic.static_checks import nearest
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import Config, resolve

CANDIDATE = re.compile(r"(?P<run>.+):(?P<id>g\d+c\d+)")
ALIKE = 0.9
"""Correlation from which two programs or terms are said to pay alike; from its negative on, the opposite."""
SAME = 0.999
"""Correlation from which nothing but scale and offset is left to tell them apart."""
UNRELATED = 0.1
"""Correlation up to which, in size, two are said to have nothing to do with each other."""


@dataclass(frozen=True)
class Contender:
    """A program that is compared."""

    name: str
    """As it was asked for."""
    source: str
    env_id: str | None = None
    """None for a file, as below."""
    measure: str | None = None
    """The fitness expression that its figures are of."""
    reported: Interval | None = None
    """Trained anew, where the run did that for it."""
    chosen: Interval | None = None
    """In the search, over its training seeds; the highest of many flatters."""
    own_reward: Interval | None = None
    env_steps: int | None = None
    """Of each training."""
    figures: tuple[ReportedFigure, ...] = ()
    """What the task's card wants measured beside the fitness."""


@dataclass(frozen=True)
class TermsOf:
    """A program's terms on the shared transitions."""

    terms: tuple[TermStats, ...]
    problem: str | None = None
    """Why there are none: the environment lacks a signal that it reads, for instance."""


@dataclass(frozen=True)
class Likeness:
    """Two terms of two programs that pay alike or the opposite, whatever they are called."""

    first: str
    second: str
    correlation: float


@dataclass(frozen=True)
class Comparison:
    """Programs side by side."""

    contenders: tuple[Contender, ...]
    env_id: str
    """Whose transitions they were asked about."""
    transitions: int
    distances: tuple[tuple[float | None, ...], ...]
    """STARC distance of each to each, in [0, 1]: 0 where they order all policies alike; None where one cannot be
    asked."""
    terms: tuple[TermsOf, ...]
    likenesses: tuple[Likeness, ...]
    """Between the first two."""


def contender(text: str) -> Contender:
    """Find a program: a run's best, "RUN:g1c02", or a reward file.

    Raises:
        RunError: if there is no such file, run or candidate, or the run has no candidate with a fitness.
        ProgramError: if the file cannot be read or is no program.
    """
    path = Path(text)
    if path.is_file():
        return Contender(text, load_reward(path).source)
    named = CANDIDATE.fullmatch(text)
    folder = Path(named["run"]) if named else path
    if not folder.exists():
        raise RunError(f"there is no reward file or run {str(folder)!r}; `rewardsmith show` lists the runs")
    run = Run.open(folder)
    result = run.result()
    known = {one.id: one for one in run.candidates()}
    if result is not None:
        known.setdefault(result.best.id, result.best)
    if named:
        wanted = named["id"]
    elif result is not None:
        wanted = result.best.id
    else:
        scored = [one for one in known.values() if one.fitness is not None]
        if not scored:
            raise RunError(f"{path} has no candidate with a fitness yet")
        wanted = max(scored, key=lambda one: one.fitness or 0.0).id
    if wanted not in known:
        raise RunError(f"{run.path} has no candidate {wanted!r}; it has {', '.join(known) or 'none yet'}")
    one = known[wanted]
    is_best = result is not None and result.best.id == wanted
    return Contender(
        text,
        one.proposal.source,
        run.task.env.env_id,
        run.task.fitness,
        result.reported if result and is_best else None,
        evaluator.interval([known.fitness for known in one.evaluations if known.fitness is not None], run.task.fitness),
        result.baselines.own_reward if result else None,
        run.config.search.env_steps,
        result.figures if result and is_best else evaluator.further(run.task, chosen=one.evaluations),
    )


def likeness(correlation: float) -> str:
    """Say how two rewards pay that correlate so.

    >>> likeness(1.0), likeness(0.95), likeness(0.5), likeness(-0.02)
    ('pay alike up to scale', 'pay nearly alike', 'pay partly alike', 'are unrelated')
    >>> likeness(-1.0), likeness(-0.95), likeness(-0.5)
    ('pay the opposite', 'pay nearly the opposite', 'pay partly the opposite')
    """
    size = abs(correlation)
    if size <= UNRELATED:
        return "are unrelated"
    much = "" if size >= SAME else "nearly " if size >= ALIKE else "partly "
    up_to = "" if much or correlation < 0.0 else " up to scale"
    return f"pay {much}{'the opposite' if correlation < 0.0 else 'alike'}{up_to}"


def told_distance(distance: float) -> str:
    """Say how two rewards pay that lie so far apart: the half distance of two vectors of length 1 tells their cosine.

    >>> told_distance(0.0), told_distance(0.7071), told_distance(1.0)
    ('pay alike up to scale', 'are unrelated', 'pay the opposite')
    """
    return likeness(1.0 - 2.0 * distance**2)


Values = dict[str, Array]
"""Term name to (n,), weight included."""


def compare(texts: Sequence[str], folder: Path, env: str | None = None) -> Comparison:
    """Compare programs.

    Args:
        texts: what `contender` finds; at least two.
        folder: for transitions, where no run gives them.
        env: a task's name or a Gymnasium id whose transitions to use; None takes the first run's.

    Raises:
        RunError: if a run is missing, or neither a run nor `env` says which environment.
        ProgramError: if a file is no program.
        TaskError: if the environment cannot be made.
        SandboxUnavailable: if reward programs cannot be sealed on this machine.
    """
    contenders = tuple(contender(text) for text in texts)
    probe, transitions, config, env_id = _transitions(contenders, folder, env)
    layer = {"gates": {"same": "shaping"}, "training": {"normalize_reward": True}}
    bank = Bank(probe, transitions, resolve(config.model_dump(), layer))
    distances = tuple(tuple(bank.distance(a.source, b.source) for b in contenders) for a in contenders)
    asked = [_asked(one, probe, transitions, config) for one in contenders]
    return Comparison(
        contenders,
        env_id,
        probe.transitions,
        distances,
        tuple(terms for terms, _ in asked),
        _likenesses(asked[0][1], asked[1][1]),
    )


def _transitions(contenders: Sequence[Contender], folder: Path, env: str | None) -> tuple[Probe, Path, Config, str]:
    """Return the environment's catalogue, and where transitions of it lie."""
    for one in contenders if env is None else ():
        if one.env_id is None:
            continue
        named = CANDIDATE.fullmatch(one.name)
        run = Run.open(Path(named["run"]) if named else Path(one.name))
        event = next((event for event in run.events() if event.key == "probe/loop"), None)
        if event is not None and run.transitions.is_file():
            return records.load(Probe, event.data), run.transitions, run.config, run.task.env.env_id
    if env is None:
        raise RunError("these are files alone: --env says on which environment's transitions to compare them")
    planned = searches.look_plan("compare", env)
    run = Run.create(folder / "run", planned.task, planned.config)
    with searches.journal_of(run) as journal, workplace(run.config, Silent().notice) as executor:
        return look(run, journal, executor), run.transitions, run.config, planned.task.env.env_id


def _asked(one: Contender, probe: Probe, transitions: Path, config: Config) -> tuple[TermsOf, Values]:
    """Return a program's terms on the transitions: figures, and values with their weights."""
    parsed = parse(one.source)
    known = [signal.name for signal in probe.signals]
    missing = [f"{name!r}; {nearest(name, known)}" for name in parsed.signals if name not in known]
    if missing:
        return TermsOf((), f"the environment has no signal {', and no signal '.join(missing)}"), {}
    try:
        recording = recorded.probe(transitions, parsed)
        with open_process(parsed, recorded.layout(probe), config.sandbox) as process:
            outcome = recorded.score(process, recording)
    except (ProgramError, RewardFailed) as error:
        return TermsOf((), str(error).splitlines()[0]), {}
    values = {name: parsed.weight(name) * term for name, term in outcome.terms.items()}
    return TermsOf(statistics(parsed, outcome)), values


def _likenesses(first: Values, second: Values) -> tuple[Likeness, ...]:
    found = []
    for a, one in first.items():
        for b, other in second.items():
            if np.std(one) > 0 and np.std(other) > 0:
                correlation = float(np.corrcoef(one, other)[0, 1])
                if abs(correlation) >= ALIKE:
                    found.append(Likeness(a, b, correlation))
    return tuple(found)
